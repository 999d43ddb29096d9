/**
 * What became of the calls to one target since the process began, as plain numbers that only grow: telemetry reads them when it
 * is asked, and a report takes the difference since the last one, so that a call pays for an addition and nothing else.
 */
import { LatencySketch } from '../core/resilience/latency-sketch.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { Book } from './book.js';

/** Counts by a word of a closed set: of codes, of kinds. */
export type Counts = { [word: string]: number };

/** Where there are many calls, one in so many stands for all of them; of fewer than that since the last report, each for itself. */
const SAMPLE_SIZE = 16;
const SAMPLE_MASK = SAMPLE_SIZE - 1;
/** Instead of a weight: the time of this call was needed for something else, and which are recorded is decided as they end. */
export const TIMED = -1;

const none: Counts = Object.freeze({});

export class Tally {
  ok = 0;
  failed = 0;
  /** Ended without saying anything of the target. */
  neutral = 0;
  slow = 0;
  rejected = 0;
  /** Of the rejected, those that an open circuit turned away. */
  blocked = 0;
  retries = 0;
  hedges = 0;
  /** Ended by a limit of time of a policy. */
  timeouts = 0;
  /** Calls that waited in line, and how long together. */
  queued = 0;
  queuedMs = 0;
  /** By code of the rejection. */
  rejections: Counts = none;
  /** By kind of fallback. */
  degraded: Counts = none;
  /** Of policies in shadow, by kind of decision. */
  would: Counts = none;
  #book: Book | undefined = undefined;
  /**
   * Of calls that are timed, every failure, the first sixteen successes since the last report, and of those that follow one in
   * sixteen, which counts for sixteen; of others the same by chance, whatever became of them. Undefined: none yet.
   */
  latency: LatencySketch | undefined = undefined;
  /** Since the last report. */
  #recent: LatencySketch | undefined = undefined;
  #drawn = 0;
  /** Below these, each call is recorded for itself. */
  #fewDrawn = SAMPLE_SIZE;
  #fewOk = SAMPLE_SIZE;

  /** Which policy's revision decided what; made at the first decision, as the counts are. */
  get book(): Book {
    this.#book ??= new Book();
    return this.#book;
  }

  /** One more of a word. */
  increment(counts: 'rejections' | 'degraded' | 'would', word: string): void {
    if (this[counts] === none) this[counts] = {};
    this[counts][word] = (this[counts][word] ?? 0) + 1;
  }

  /** Whether the next success of a call that is timed is one whose latency is recorded. */
  get sampling(): boolean {
    return this.ok < this.#fewOk || (this.ok & SAMPLE_MASK) === SAMPLE_MASK;
  }

  /**
   * Whether to look at the time for a call that nothing else needs it for, and then the call's weight; 0: not. Drawn as calls begin:
   * of those under way at once, the end would find hardly one that somebody had looked at.
   */
  draw(): number {
    const drawn = this.#drawn++;
    if (drawn < this.#fewDrawn) return 1;
    return (drawn & SAMPLE_MASK) === SAMPLE_MASK ? SAMPLE_SIZE : 0;
  }

  /**
   * `tookMs` is not a number where nobody looked at the time. `weight`: as `draw` said. Answers whether it speaks against the target:
   * it failed, or was slow.
   */
  ended(outcome: Outcome, tookMs: number, slowCallMs: number, weight: number): boolean {
    if (outcome === 'success') {
      if (weight > 0) this.#record(tookMs, weight);
      else if (weight === TIMED && this.sampling)
        this.#record(tookMs, this.ok < this.#fewOk ? 1 : SAMPLE_SIZE);
      this.ok++;
    } else if (outcome === 'failure') {
      this.failed++;
      if (weight !== 0) this.#record(tookMs, weight === TIMED ? 1 : weight);
    } else {
      this.neutral++;
      return false;
    }
    const slow = weight === TIMED && tookMs >= slowCallMs;
    if (slow) this.slow++;
    return slow || outcome === 'failure';
  }

  /** The latencies since the last time, encoded; undefined: none was recorded. Starts a new time. */
  drainLatency(): Uint8Array | undefined {
    const bytes = this.#recent?.histogram().encode();
    this.#recent = undefined;
    this.#fewOk = this.ok + SAMPLE_SIZE;
    this.#fewDrawn = this.#drawn + SAMPLE_SIZE;
    return bytes;
  }

  #record(tookMs: number, weight: number): void {
    if (!(tookMs >= 0)) return;
    this.latency ??= new LatencySketch();
    this.latency.record(tookMs, weight);
    this.#recent ??= new LatencySketch();
    this.#recent.record(tookMs, weight);
  }
}
