/**
 * A circuit that is obviously right and far too slow: it keeps every call that ever was, and counts them anew each time. It
 * knows the rules of the reference and nothing of how the real one keeps them.
 */
import type { CircuitSpec, WindowSpec } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import type { CircuitMode } from '../../core/resilience/circuit.js';
import type { Outcome } from '../../core/resilience/outcome.js';

interface Call {
  readonly epoch: number;
  readonly at: number;
  readonly deadline: number;
  /** Whether the circuit counts it at all. */
  readonly counted: boolean;
  readonly probe: boolean;
  ended: boolean;
  /** What its probe came to, if anything. */
  verdict?: { failed: boolean; slow: boolean } | 'returned';
}

interface Finished {
  readonly at: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

export class CircuitTwin {
  epoch = 1;
  late = 0;
  machine: 'closed' | 'open' | 'half-open' = 'closed';
  mode: CircuitMode = 'enforce';
  readonly told: string[] = [];
  wouldReject = 0;
  readonly calls: Call[] = [];
  holds: { id: number; endsAt: number }[] = [];
  #shownHeld = false;
  #closedSince = 0;
  #openUntil = 0;
  #lastPeriodMs = 0;
  #openings = 0;
  #permits = 0;
  #finished: Finished[] = [];

  constructor(
    public spec: CircuitSpec,
    readonly random: Random,
  ) {}

  state(now: number): string {
    if (this.mode === 'disabled') return 'disabled';
    if (this.holds.some(({ endsAt }) => now < endsAt)) return 'forced-open';
    return this.machine === 'open' && now >= this.#openUntil ? 'half-open' : this.machine;
  }

  retryAfterMs(now: number): number {
    const ends = this.holds.map(({ endsAt }) => endsAt).filter((endsAt) => now < endsAt);
    if (ends.length > 0) return Math.ceil(Math.max(...ends) - now);
    if (this.machine === 'open') return Math.max(0, Math.ceil(this.#openUntil - now));
    return this.machine === 'half-open' && !this.#permitLeft() ? 1_000 : 0;
  }

  /** The call if it may go on, counted or not. */
  acquire(now: number, deadline: number): Call | undefined {
    this.#dropHolds(now);
    let counted = this.mode !== 'disabled';
    if (counted && (this.holds.length > 0 || !this.#letsThrough(now))) {
      if (this.mode === 'enforce') return undefined;
      this.wouldReject++;
      counted = false;
    }
    const probe = counted && this.machine === 'half-open';
    const call: Call = { epoch: this.epoch, at: now, deadline, counted, probe, ended: false };
    this.calls.push(call);
    return call;
  }

  end(call: Call, outcome: Outcome, now: number): void {
    if (call.ended) return;
    call.ended = true;
    if (!call.counted) return;
    if (call.epoch !== this.epoch) {
      this.late++;
      return;
    }
    const slow = now - call.at >= (this.spec.slowCallMs ?? Number.POSITIVE_INFINITY);
    if (call.probe) {
      const wasOver = call.verdict !== undefined;
      this.#noticeOverdue(now);
      if (wasOver || (call.epoch !== this.epoch && call.verdict === undefined)) this.late++;
      else if (call.verdict === undefined) {
        call.verdict = outcome === 'neutral' ? 'returned' : { failed: outcome === 'failure', slow };
        this.#judgeProbes(now);
      }
    } else if (outcome !== 'neutral') {
      this.#finished.push({ at: now, failed: outcome === 'failure', slow });
      const kept = this.#inWindow(now);
      const failed = kept.filter((each) => each.failed).length;
      const slowOnes = kept.filter((each) => each.slow).length;
      if (kept.length >= this.spec.minimumCalls && this.#tooMany(failed, slowOnes, kept.length))
        this.#open(now);
    }
  }

  reconfigure(spec: CircuitSpec, mode: CircuitMode, now: number): void {
    const before = this.#name(now);
    if (JSON.stringify(spec.window) !== JSON.stringify(this.spec.window)) this.#finished = [];
    this.spec = spec;
    this.mode = mode;
    this.#covered(before, now);
  }

  hold(id: number, ttlMs: number, now: number): void {
    this.#dropHolds(now);
    const before = this.#name(now);
    this.holds.push({ id, endsAt: now + ttlMs });
    this.#shownHeld = true;
    this.#covered(before, now);
  }

  release(id: number, now: number): void {
    this.#dropHolds(now);
    const before = this.#name(now);
    this.holds = this.holds.filter((hold) => hold.id !== id);
    this.#shownHeld = this.holds.length > 0;
    this.#covered(before, now);
  }

  #name(now: number): string {
    if (this.mode === 'disabled') return 'disabled';
    return this.holds.some(({ endsAt }) => now < endsAt) ? 'forced-open' : this.machine;
  }

  #covered(before: string, now: number): void {
    const after = this.#name(now);
    if (before === after) return;
    if (this.machine === 'half-open') this.#permits = this.spec.halfOpen.calls;
    this.#tell(before, after);
  }

  #dropHolds(now: number): void {
    this.holds = this.holds.filter(({ endsAt }) => now < endsAt);
    if (!this.#shownHeld || this.holds.length > 0) return;
    this.#shownHeld = false;
    if (this.mode !== 'disabled') this.#covered('forced-open', now);
  }

  #letsThrough(now: number): boolean {
    this.#noticeOverdue(now);
    if (this.machine === 'open' && now >= this.#openUntil) {
      this.#permits = this.spec.halfOpen.calls;
      this.#go('half-open');
    }
    return this.machine === 'closed' || (this.machine === 'half-open' && this.#permitLeft());
  }

  #round(): Call[] {
    return this.calls.filter((call) => call.probe && call.epoch === this.epoch);
  }

  #permitLeft(): boolean {
    return this.#round().filter((call) => call.verdict !== 'returned').length < this.#permits;
  }

  /** One probe after the other, the earliest first. */
  #noticeOverdue(now: number): void {
    const { maxWaitMs } = this.spec.halfOpen;
    while (this.machine === 'half-open') {
      const over = this.#round()
        .filter((call) => call.verdict === undefined)
        .map((call) => ({ call, at: Math.min(call.deadline, call.at + maxWaitMs) }))
        .filter(({ at }) => at <= now)
        .sort((a, b) => a.at - b.at)[0];
      if (!over) return;
      const slow = over.at - over.call.at >= (this.spec.slowCallMs ?? Number.POSITIVE_INFINITY);
      over.call.verdict = { failed: true, slow };
      if (over.call.at + maxWaitMs <= over.call.deadline) this.#open(over.at);
      else this.#judgeProbes(over.at);
    }
  }

  #judgeProbes(at: number): void {
    const decided = this.#round().flatMap(({ verdict }) => (typeof verdict === 'object' ? [verdict] : []));
    const failed = decided.filter((each) => each.failed).length;
    const slow = decided.filter((each) => each.slow).length;
    if (this.#tooMany(failed, slow, this.#permits)) this.#open(at);
    else if (decided.length >= this.#permits) {
      this.#finished = [];
      this.#closedSince = at;
      this.#go('closed');
    }
  }

  #tooMany(failed: number, slow: number, of: number): boolean {
    if (atLeast(failed / of, this.spec.failureRate)) return true;
    return this.spec.slowCallMs !== undefined && atLeast(slow / of, this.spec.slowRate);
  }

  #inWindow(now: number): Finished[] {
    const window: WindowSpec = this.spec.window;
    if (window.kind === 'count') return this.#finished.slice(-window.calls);
    const bucket = (at: number) => Math.floor(at / (window.durationMs / window.buckets));
    return this.#finished.filter(({ at }) => bucket(at) > bucket(now) - window.buckets);
  }

  #open(at: number): void {
    const healed = this.machine === 'closed' && at - this.#closedSince >= this.#lastPeriodMs;
    this.#openings = healed ? 1 : this.#openings + 1;
    let period = this.spec.openForMs;
    for (let i = 1; i < this.#openings && period < 60_000; i++)
      period = Math.min(2 * period, Math.max(60_000, period));
    this.#lastPeriodMs = period * (0.8 + 0.4 * this.random.next());
    this.#openUntil = at + this.#lastPeriodMs;
    this.#go('open');
  }

  #go(to: 'closed' | 'open' | 'half-open'): void {
    const from = this.machine;
    this.machine = to;
    this.#tell(from, to);
  }

  #tell(from: string, to: string): void {
    this.epoch++;
    this.told.push(`${from} → ${to} (${this.epoch})`);
  }
}

/** As a person reads rates: to nine digits. */
function atLeast(part: number, rate: number): boolean {
  return Number(part.toFixed(9)) >= Number(rate.toFixed(9));
}
