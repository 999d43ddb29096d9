/**
 * How long calls took over the last ten seconds, as callers report them: ten histograms of a second for each callee whose latency a
 * brownout rule asks for. Of others nothing is decoded, since histograms of all that a mesh calls would be the dearest part of
 * a report. They are added up when somebody looks: a running sum would have to take out again what a full bucket had no room for.
 *
 * Bound: as many callees as there may be rules (50), 11 histograms (11 kB) each; one that no rule asks for any more is dropped.
 */
import { LatencyHistogram } from '../../core/resilience/latency.js';
import type { BrownoutRevision } from '../ports.js';

const BUCKETS = 10;
const BUCKET_MS = 1000;

export class LatencyWindow {
  readonly #source: { readonly brownout: BrownoutRevision | undefined };
  readonly #windows = new Map<string, Window>();
  #setting: BrownoutRevision | undefined;
  #asked: ReadonlySet<string> = new Set();

  constructor(source: { readonly brownout: BrownoutRevision | undefined }) {
    this.#source = source;
  }

  /** `encoded`: a histogram, empty for none. False: the bytes are nothing of the kind, and were left out. */
  record(callee: string, encoded: Uint8Array, now: number): boolean {
    if (encoded.length === 0 || !this.#askedOf.has(callee)) return true;
    const histogram = LatencyHistogram.decode(encoded);
    if (!histogram) return false;
    const bucket = Math.floor(now / BUCKET_MS);
    const window = this.#windows.get(callee) ?? new Window();
    this.#windows.set(callee, window);
    window.add(bucket, histogram);
    return true;
  }

  /** One of its own for whoever asks; without samples where nothing is known. */
  of(callee: string, now: number): LatencyHistogram {
    return this.#windows.get(callee)?.sum(Math.floor(now / BUCKET_MS)) ?? new LatencyHistogram();
  }

  /** Of the callees that rules ask for, those with samples. */
  all(now: number): ReadonlyMap<string, LatencyHistogram> {
    const found = [...this.#askedOf].map((callee) => [callee, this.of(callee, now)] as const);
    return new Map(found.filter(([, { samples }]) => samples > 0));
  }

  get #askedOf(): ReadonlySet<string> {
    const { brownout } = this.#source;
    if (brownout === this.#setting) return this.#asked;
    this.#setting = brownout;
    const rules = brownout?.setting.rules ?? [];
    this.#asked = new Set(
      rules.flatMap(({ when: { callee, latency } }) => (callee && latency ? [callee] : [])),
    );
    for (const callee of this.#windows.keys()) if (!this.#asked.has(callee)) this.#windows.delete(callee);
    return this.#asked;
  }
}

class Window {
  /** Each with the number of its second since time zero. */
  readonly #parts: { bucket: number; readonly histogram: LatencyHistogram }[] = [];

  add(bucket: number, histogram: LatencyHistogram): void {
    const at = bucket % BUCKETS;
    const part = this.#parts[at] ?? { bucket, histogram: new LatencyHistogram() };
    this.#parts[at] = part;
    if (part.bucket !== bucket) {
      part.histogram.clear();
      part.bucket = bucket;
    }
    part.histogram.merge(histogram);
  }

  sum(bucket: number): LatencyHistogram {
    const sum = new LatencyHistogram();
    for (const part of this.#parts) if (part && bucket - part.bucket < BUCKETS) sum.merge(part.histogram);
    return sum;
  }
}
