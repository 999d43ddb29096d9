/**
 * Envoy's admission control: while a callee answers too few calls well, its callers hold back a part of theirs, chosen by lot,
 * so that it gets the load it can still bear and everybody sees it recover. Unlike a circuit it never turns everything away.
 *
 * Only attempts that came to something count: one that was rejected here or further in, or that its caller gave up, does not.
 * Memory: one window of counters.
 */
import type { AdmissionSpec } from '../policy/model.js';
import type { Random } from '../random.js';
import { ADMITTED, type Gate, REFUSED, type Refusal, type Verdict } from './gate.js';
import type { Outcome } from './outcome.js';
import { TimeWindow } from './window.js';

const BUCKETS = 30;

export class Admission implements Gate {
  readonly timeless = false;
  #spec: AdmissionSpec;
  #window: TimeWindow;
  readonly #random: Random;

  constructor(spec: AdmissionSpec, options: { random: Random; now: number }) {
    this.#spec = spec;
    this.#random = options.random;
    this.#window = new TimeWindow(spec.windowMs, BUCKETS, options.now);
  }

  admit(_row: number, now: number): Verdict {
    const probability = this.rejection(now);
    return probability > 0 && this.#random.next() < probability ? REFUSED : ADMITTED;
  }

  settle(_row: number, outcome: Outcome, now: number): void {
    if (outcome !== 'neutral') this.#window.record(now, outcome === 'failure', false);
  }

  /** P = min(maxRejection, max(0, (n − ok / successRate) / (n + 1))), of the calls of the window. */
  rejection(now: number): number {
    const window = this.#window;
    window.expire(now);
    if (window.failed === 0) return 0;
    const { successRate, maxRejection } = this.#spec;
    const { calls, failed } = window;
    return Math.min(maxRejection, Math.max(0, (calls - (calls - failed) / successRate) / (calls + 1)));
  }

  refusal(now: number): Refusal {
    this.#window.expire(now);
    const { calls, failed } = this.#window;
    const seen = `${percent((calls - failed) / Math.max(1, calls))} of ${calls} calls succeeded`;
    const text = `${seen}, fewer than ${percent(this.#spec.successRate)}, so some are held back; slow down`;
    return { code: 'overloaded', text, section: 'admission' };
  }

  /** What was counted stays, unless the window's length changed. */
  reconfigure(spec: AdmissionSpec, now: number): void {
    if (spec.windowMs !== this.#spec.windowMs) this.#window = new TimeWindow(spec.windowMs, BUCKETS, now);
    this.#spec = spec;
  }
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 1_000) / 10} %`;
}
