/**
 * How long few calls took: as many as fit in a small list, and a histogram from there on, so that ten thousand targets that were
 * called once or twice each hold some bytes and not a histogram each. It reads as a histogram whenever somebody asks.
 */
import { LatencyHistogram, latencyBucket } from './latency.js';

/** Entries of the list: bucket and weight in turn. */
const LIST_MAX = 2 * 16;

export class LatencySketch {
  #list: number[] | undefined = [];
  #histogram: LatencyHistogram | undefined = undefined;

  record(ms: number, weight = 1): void {
    const list = this.#list;
    if (list !== undefined && list.length < LIST_MAX) list.push(latencyBucket(ms), weight);
    else this.#grown().recordIn(latencyBucket(ms), weight);
  }

  /** All of it. The caller's own while the sketch is small, else the sketch's: to be read, not to be kept. */
  histogram(): LatencyHistogram {
    return this.#histogram ?? filled(this.#list ?? []);
  }

  #grown(): LatencyHistogram {
    this.#histogram ??= filled(this.#list ?? []);
    this.#list = undefined;
    return this.#histogram;
  }
}

function filled(list: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < list.length; i += 2) histogram.recordIn(list[i] ?? 0, list[i + 1] ?? 1);
  return histogram;
}
