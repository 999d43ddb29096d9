/**
 * How long calls took, in buckets that grow by a constant factor: any percentile comes out within 4.4 % of the exact one, from
 * 50 µs to an hour, in 844 bytes however many calls. Recording is a logarithm and an increment. A call may stand for several that
 * nobody timed; how many were really looked at is kept beside it, since the weights say nothing of how sure a figure is.
 * Histograms add up, across time and across processes, and travel in at most 512 bytes; what arrives may be anything and is refused
 * rather than believed.
 */

const FLOOR_MS = 0.05;
const CEILING_MS = 3_600_000;
/** With the middle of a bucket for all of it, the error is at most (g − 1) / (g + 1) = 4.3 %. */
const GROWTH = 1.09;
const PER_LOG = 1 / Math.log(GROWTH);
/** The first holds all below the floor, the last all from the ceiling on. */
export const LATENCY_BUCKETS = 2 + Math.ceil(Math.log(CEILING_MS / FLOOR_MS) * PER_LOG);
const COUNT_MAX = 2 ** 32 - 1;

/** What stands for each bucket: the value whose relative distance to both of its ends is the same. */
const middlesMs = Float64Array.from({ length: LATENCY_BUCKETS }, (_, i) =>
  i === 0 ? FLOOR_MS / 2 : (2 * FLOOR_MS * GROWTH ** i) / (GROWTH + 1),
);

/** Where a latency belongs. Negative values and NaN, which a duration never is, read as none at all. */
export function latencyBucket(ms: number): number {
  if (!(ms >= FLOOR_MS)) return 0;
  if (ms >= CEILING_MS) return LATENCY_BUCKETS - 1;
  return 1 + Math.floor(Math.log(ms / FLOOR_MS) * PER_LOG);
}

export class LatencyHistogram {
  /** Calls, each by its weight. */
  count = 0;
  /** Calls that were recorded; fewer than `count` where some stand for several. */
  samples = 0;
  readonly #counts = new Uint32Array(LATENCY_BUCKETS);

  /** `weight`: of how many calls this is one that was looked at. */
  record(ms: number, weight = 1): void {
    this.recordIn(latencyBucket(ms), weight);
  }

  /** The same, for who keeps a latency in several histograms and would pay for the logarithm each time. */
  recordIn(bucket: number, weight = 1): void {
    this.samples++;
    this.#add(bucket, weight);
  }

  /** The smallest latency that the fraction `p` of the calls did not exceed (nearest rank); undefined: no calls. */
  percentile(p: number): number | undefined {
    if (this.count === 0) return undefined;
    const rank = Math.min(this.count, Math.max(1, Math.ceil(p * this.count)));
    let seen = 0;
    let at = 0;
    for (; at < LATENCY_BUCKETS; at++) {
      seen += this.#counts[at] as number;
      if (seen >= rank) break;
    }
    return middlesMs[at];
  }

  clear(): void {
    this.#counts.fill(0);
    this.count = 0;
    this.samples = 0;
  }

  merge(other: LatencyHistogram): void {
    this.samples += other.samples;
    for (let at = 0; at < LATENCY_BUCKETS; at++) {
      const count = other.#counts[at] as number;
      if (count > 0) this.#add(at, count);
    }
  }

  /** Takes out what was merged or recorded here before. */
  subtract(other: LatencyHistogram): void {
    for (let at = 0; at < LATENCY_BUCKETS; at++)
      this.#counts[at] = (this.#counts[at] as number) - (other.#counts[at] as number);
    this.count -= other.count;
    this.samples -= other.samples;
  }

  /**
   * Version, shift, in version 2 the number of samples (in version 1 each call is one), then gap and count of each bucket that isn't
   * empty, as varints. Where that would take too long, counts are rounded up to multiples of 2^shift: the shape stays, their sum
   * may grow.
   */
  encode(): Uint8Array {
    for (let shift = 0; ; shift++) {
      const bytes = this.#encodeAt(shift);
      // Counts up to 127 take one byte, gaps two at most: it fits long before the shift has eaten the counts.
      if (bytes.length <= ENCODED_BYTES_MAX) return Uint8Array.from(bytes);
    }
  }

  #encodeAt(shift: number): number[] {
    const weighted = this.samples < this.count;
    const bytes = [weighted ? WEIGHTED : UNWEIGHTED, shift];
    if (weighted) pushVarint(bytes, Math.min(this.samples, COUNT_MAX));
    let gap = 0;
    for (const count of this.#counts) {
      if (count === 0) {
        gap++;
        continue;
      }
      pushVarint(bytes, gap);
      pushVarint(bytes, Math.ceil(count / 2 ** shift));
      gap = 0;
    }
    return bytes;
  }

  /** What `encode` made; undefined for anything else. */
  static decode(bytes: Uint8Array): LatencyHistogram | undefined {
    const [version, shift] = bytes;
    const weighted = version === WEIGHTED;
    if (!weighted && version !== UNWEIGHTED) return undefined;
    if (shift === undefined || shift > 32 || bytes.length > ENCODED_BYTES_MAX) return undefined;
    const histogram = new LatencyHistogram();
    const reader = { bytes, at: 2 };
    const samples = weighted ? readVarint(reader) : undefined;
    for (let bucket = 0; reader.at < bytes.length; bucket++) {
      bucket += readVarint(reader);
      const count = readVarint(reader);
      if (!(bucket < LATENCY_BUCKETS && count > 0)) return undefined;
      histogram.#add(bucket, count * 2 ** shift);
    }
    histogram.samples = samples ?? histogram.count;
    return histogram.samples <= histogram.count ? histogram : undefined;
  }

  /** A bucket that is full stays full: a wrap around to zero would turn the busiest latency into one nobody saw. */
  #add(bucket: number, count: number): void {
    const before = this.#counts[bucket] as number;
    const added = count > COUNT_MAX - before ? COUNT_MAX - before : count;
    this.#counts[bucket] = before + added;
    this.count += added;
  }
}

const UNWEIGHTED = 1;
const WEIGHTED = 2;
export const ENCODED_BYTES_MAX = 512;

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
}

/** NaN where there is no number of at most 32 bits. */
function readVarint(reader: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let factor = 1; factor <= 2 ** 28; factor *= 128) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined) return Number.NaN;
    value += (byte % 128) * factor;
    if (byte < 128) return value <= COUNT_MAX ? value : Number.NaN;
  }
  return Number.NaN;
}
