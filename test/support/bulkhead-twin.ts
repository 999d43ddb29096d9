/**
 * A bulkhead whose limit may find itself, as its rules read: lists of who runs and who waits, the adaptive limit that was asked
 * for, and the calls that were turned away with the time of each. Slow and obviously right; without shares.
 */
import { type AdaptiveLimit, Aimd, Gradient2 } from '../../core/resilience/adaptive.js';
import type { Outcome } from '../../core/resilience/outcome.js';

interface Call {
  readonly name: string;
  readonly rank: number;
  /** When its time is over. */
  readonly endsAt: number;
  startedAt: number;
  /** The adaptive limit that it began under, and in which epoch. */
  under: AdaptiveLimit | undefined;
  epoch: number;
}

export interface BulkheadTwinSpec {
  readonly maxConcurrent: number | 'auto';
  readonly maxQueue: number;
}

export class BulkheadTwin {
  readonly running: Call[] = [];
  waiting: Call[] = [];
  readonly log: string[] = [];
  #spec: BulkheadTwinSpec;
  #adaptive: AdaptiveLimit | undefined;
  /** NaN: at a time that nobody had read. */
  #turnedAway: { readonly rank: number; at: number }[] = [];

  constructor(
    spec: BulkheadTwinSpec,
    readonly side: 'client' | 'server',
  ) {
    this.#spec = spec;
    this.reconfigure(spec);
  }

  get limit(): number {
    const { maxConcurrent } = this.#spec;
    return maxConcurrent === 'auto' ? Math.floor(this.#adaptive?.limit ?? 0) : maxConcurrent;
  }

  reconfigure(spec: BulkheadTwinSpec, now = 0): void {
    if (spec.maxConcurrent !== 'auto') this.#adaptive = undefined;
    else this.#adaptive ??= this.side === 'server' ? new Gradient2() : new Aimd(5_000);
    this.#spec = spec;
    this.#passOn(now);
  }

  enter(name: string, rank: number, now: number, deadlineMs: number): 'runs' | 'waits' | 'refused' {
    const clockIsRead = this.#adaptive !== undefined || this.#turnedAway.length > 0;
    for (const each of this.#turnedAway) if (Number.isNaN(each.at)) each.at = now;
    this.#turnedAway = this.#turnedAway.filter(({ at }) => now - at < 1_000);
    const call: Call = { name, rank, endsAt: now + deadlineMs, startedAt: now, under: undefined, epoch: 0 };
    const free = this.limit - this.running.length;
    if (free > 0 && free > this.#closedTo(rank)) {
      this.#begin(call, now);
      return 'runs';
    }
    const less = this.waiting.filter((other) => other.rank > rank);
    const full = this.waiting.length >= this.#spec.maxQueue;
    // Once the line is longer than it may be (it has been made shorter), nobody takes another's place.
    const canDisplace = this.waiting.length === this.#spec.maxQueue && less.length > 0;
    if (free > 0 || (full && !canDisplace)) {
      if (rank < 3) this.#turnedAway.push({ rank, at: clockIsRead ? now : Number.NaN });
      return 'refused';
    }
    this.waiting.push(call);
    if (full) {
      const least = Math.max(...less.map((other) => other.rank));
      const youngest = less.filter((other) => other.rank === least).at(-1);
      this.waiting = this.waiting.filter((other) => other !== youngest);
      this.log.push(`${youngest?.name} displaced`);
    }
    return 'waits';
  }

  abandon(name: string): void {
    this.waiting = this.waiting.filter((call) => call.name !== name);
  }

  leave(name: string, outcome: Outcome, now: number): void {
    const at = this.running.findIndex((call) => call.name === name);
    const call = this.running[at];
    if (!call) return;
    this.#sample(call, outcome, now);
    this.running.splice(at, 1);
    this.#passOn(now);
  }

  /** What went well, and what ran out of its time, of calls that began under the limit that now is. */
  #sample({ under, epoch, startedAt, endsAt }: Call, outcome: Outcome, now: number): void {
    if (under === undefined || under !== this.#adaptive || outcome === 'neutral') return;
    const tookMs = now - startedAt;
    const late = tookMs >= 0.95 * (endsAt - startedAt);
    if (outcome === 'success' || late)
      under.sample(epoch, tookMs, this.running.length, outcome === 'failure', now);
  }

  /** The most critical first, then who has waited longest. */
  #passOn(now: number): void {
    while (this.waiting.length > 0 && this.running.length < this.limit) {
      const most = Math.min(...this.waiting.map(({ rank }) => rank));
      const next = this.waiting.find(({ rank }) => rank === most) as Call;
      this.abandon(next.name);
      this.#begin(next, now);
    }
  }

  #begin(call: Call, now: number): void {
    call.startedAt = now;
    call.under = this.#adaptive;
    call.epoch = this.#adaptive?.epoch ?? 0;
    this.running.push(call);
    this.log.push(`${call.name} runs`);
  }

  /** A tenth of the limit, rounded up, for each more critical class of which anybody was turned away within a second. */
  #closedTo(rank: number): number {
    const above = new Set(this.#turnedAway.map((each) => each.rank).filter((each) => each < rank));
    return above.size * Math.ceil(this.limit / 10);
  }
}
