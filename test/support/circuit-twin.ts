/**
 * A circuit that is obviously right and far too slow: it keeps every call that ever was, and counts them anew each time; who holds
 * it and what the mesh says of it are lists and a word, looked at whenever anybody asks. It knows the rules of the reference and
 * nothing of how the real one keeps them.
 */
import type { CircuitSpec, WindowSpec } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import type { CircuitMode, SavedCircuit } from '../../core/resilience/circuit.js';
import type { DirectionSpec } from '../../core/resilience/direction.js';
import type { Outcome } from '../../core/resilience/outcome.js';

interface Call {
  readonly epoch: number;
  readonly at: number;
  readonly deadline: number;
  /** Whether the circuit counts it at all. */
  readonly counted: boolean;
  readonly probe: boolean;
  /** Of the mesh's, by which it came. */
  readonly permit: number | undefined;
  ended: boolean;
  /** What its probe came to, if anything. */
  verdict?: { failed: boolean; slow: boolean } | 'returned';
}

interface Finished {
  readonly at: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

type Word = DirectionSpec & { readonly endsAt: number };

export class CircuitTwin {
  epoch = 1;
  late = 0;
  machine: 'closed' | 'open' | 'half-open' = 'closed';
  mode: CircuitMode = 'enforce';
  readonly told: string[] = [];
  wouldReject = 0;
  /** What permits of the mesh came to. */
  readonly probed: { permit: number; ok: boolean }[] = [];
  readonly calls: Call[] = [];
  holds: { id: number; endsAt: number }[] = [];
  /** What the mesh says. */
  #word: Word | undefined;
  /** Permits that were used of the half-open period that the mesh spoke of last. */
  #period = -1;
  #used: number[] = [];
  /** The name that was told last. */
  #shown = 'closed';
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

  /** What callers get, whoever says so. */
  state(now: number): string {
    return this.#name(now, this.machine === 'open' && now >= this.#openUntil ? 'half-open' : this.machine);
  }

  retryAfterMs(now: number): number {
    const ends = this.holds.map(({ endsAt }) => endsAt).filter((endsAt) => now < endsAt);
    if (ends.length > 0) return Math.ceil(Math.max(...ends) - now);
    const said = this.#said(now);
    if (said?.state === 'open' || said?.state === 'forced-open') return 1_000;
    if (said?.state === 'half-open') return this.#permitsOfMesh().length > 0 ? 0 : 1_000;
    if (this.machine === 'open') return Math.max(0, Math.ceil(this.#openUntil - now));
    return this.machine === 'half-open' && !this.#permitLeft() ? 1_000 : 0;
  }

  /** The call if it may go on, counted or not. */
  acquire(now: number, deadline: number): Call | undefined {
    if (!this.#letsAllThrough()) this.#notice(now);
    let counted = this.mode !== 'disabled';
    const [permit] = counted && this.holds.length === 0 ? this.#permitsOfMesh() : [];
    if (permit !== undefined) {
      this.#used.push(permit);
      if (this.machine === 'open') this.#beginRound(now);
      counted = this.#letsThrough(now);
    } else if (counted && !this.#allows(now)) {
      if (this.mode === 'enforce') return undefined;
      this.wouldReject++;
      counted = false;
    }
    const probe = counted && this.machine === 'half-open';
    const call: Call = { epoch: this.epoch, at: now, deadline, counted, probe, permit, ended: false };
    this.calls.push(call);
    return call;
  }

  end(call: Call, outcome: Outcome, now: number): void {
    if (call.ended) return;
    call.ended = true;
    const slow = now - call.at >= (this.spec.slowCallMs ?? Number.POSITIVE_INFINITY);
    if (call.counted) this.#count(call, outcome, slow, now);
    if (call.permit !== undefined && outcome !== 'neutral')
      this.probed.push({ permit: call.permit, ok: outcome === 'success' && !slow });
  }

  #count(call: Call, outcome: Outcome, slow: boolean, now: number): void {
    if (call.epoch !== this.epoch) {
      this.late++;
    } else if (call.probe) {
      const wasOver = call.verdict !== undefined;
      this.#noticeOverdue(now);
      if (wasOver || (call.epoch !== this.epoch && call.verdict === undefined)) this.late++;
      else if (call.verdict === undefined) {
        call.verdict = outcome === 'neutral' ? 'returned' : { failed: outcome === 'failure', slow };
        this.#judgeProbes(now, now);
      }
    } else if (outcome !== 'neutral') {
      this.#finished.push({ at: now, failed: outcome === 'failure', slow });
      const kept = this.#inWindow(now);
      const failed = kept.filter((each) => each.failed).length;
      const slowOnes = kept.filter((each) => each.slow).length;
      if (kept.length >= this.spec.minimumCalls && this.#tooMany(failed, slowOnes, kept.length))
        this.#open(now, now);
    }
  }

  reconfigure(spec: CircuitSpec, mode: CircuitMode, now: number): void {
    this.#notice(now);
    if (JSON.stringify(spec.window) !== JSON.stringify(this.spec.window)) this.#finished = [];
    this.spec = spec;
    this.mode = mode;
    this.#notice(now);
  }

  hold(id: number, ttlMs: number, now: number): void {
    this.#notice(now);
    this.holds.push({ id, endsAt: now + ttlMs });
    this.#notice(now);
  }

  release(id: number, now: number): void {
    this.#notice(now);
    this.holds = this.holds.filter((hold) => hold.id !== id);
    this.#notice(now);
  }

  /** The mesh takes back what it said, and says this. */
  direct(word: DirectionSpec | undefined, now: number): void {
    this.#notice(now);
    if (word?.state === 'half-open' && word.epoch !== this.#period) {
      this.#period = word.epoch;
      this.#used = [];
    }
    this.#word =
      word === undefined || word.state === 'closed' ? undefined : { ...word, endsAt: now + word.ttlMs };
    this.#notice(now);
  }

  save(now: number): SavedCircuit | undefined {
    if (this.machine === 'closed') return undefined;
    const remainingMs = this.machine === 'open' ? Math.max(0, this.#openUntil - now) : 0;
    return { remainingMs, openings: this.#openings };
  }

  /** Of a former process: what is left of its open period, never less than nothing, nor more than there ever is of one. */
  restore({ remainingMs, openings }: SavedCircuit, elapsedMs: number, now: number): void {
    const passedMs = elapsedMs > 0 && elapsedMs < Number.POSITIVE_INFINITY ? elapsedMs : 0;
    const longestMs = 1.2 * Math.max(60_000, this.spec.openForMs);
    this.#openings = openings > 1 && openings < Number.POSITIVE_INFINITY ? openings : 1;
    this.#lastPeriodMs = this.#evenPeriod();
    const leftMs = remainingMs - passedMs;
    this.#openUntil = now + (leftMs > 0 ? Math.min(longestMs, leftMs) : 0);
    this.#go('open', now);
  }

  // --- what lies over it

  #name(now: number, machine: string = this.machine): string {
    if (this.mode === 'disabled') return 'disabled';
    if (this.holds.some(({ endsAt }) => now < endsAt)) return 'forced-open';
    const said = this.#said(now)?.state ?? 'closed';
    // The mesh only tightens: where it lets some or all through, what the circuit itself makes of them counts.
    return said === 'closed' || ((said === 'ramping' || said === 'forced-closed') && machine !== 'closed')
      ? machine
      : said;
  }

  #said(now: number): Word | undefined {
    return this.#word !== undefined && now < this.#word.endsAt ? this.#word : undefined;
  }

  #permitsOfMesh(): number[] {
    if (this.#word?.state !== 'half-open') return [];
    return this.#word.permits.filter((permit) => !this.#used.includes(permit));
  }

  /** Nobody looks at the time then, and what has run out makes no difference. */
  #letsAllThrough(): boolean {
    const nobody = this.#word === undefined || this.#word.state === 'forced-closed';
    return nobody && this.mode === 'enforce' && this.holds.length === 0 && this.machine === 'closed';
  }

  /** What has run out is gone. If callers get something else than they were told last, that is a transition. */
  #notice(now: number): void {
    this.holds = this.holds.filter(({ endsAt }) => now < endsAt);
    this.#word = this.#said(now);
    if (this.#name(now) === this.#shown) return;
    if (this.machine === 'half-open') this.#permits = this.spec.halfOpen.calls;
    this.epoch++;
    this.#tell(now);
  }

  #tell(now: number): void {
    const name = this.#name(now);
    if (name !== this.#shown) this.told.push(`${this.#shown} → ${name} (${this.epoch})`);
    this.#shown = name;
  }

  // --- whom it lets through

  #allows(now: number): boolean {
    if (this.holds.length > 0) return false;
    const { state, admitPercent = 0 } = this.#word ?? {};
    if (state === 'open' || state === 'forced-open' || state === 'half-open') return false;
    if (state === 'ramping' && this.random.next() * 100 >= admitPercent) return false;
    return this.#letsThrough(now);
  }

  #letsThrough(now: number): boolean {
    this.#noticeOverdue(now);
    if (this.machine === 'open' && now >= this.#openUntil) this.#beginRound(now);
    return this.machine === 'closed' || (this.machine === 'half-open' && this.#permitLeft());
  }

  #beginRound(now: number): void {
    this.#permits = this.spec.halfOpen.calls;
    this.#go('half-open', now);
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
      if (over.call.at + maxWaitMs <= over.call.deadline) this.#open(over.at, now);
      else this.#judgeProbes(over.at, now);
    }
  }

  #judgeProbes(at: number, now: number): void {
    const decided = this.#round().flatMap(({ verdict }) => (typeof verdict === 'object' ? [verdict] : []));
    const failed = decided.filter((each) => each.failed).length;
    const slow = decided.filter((each) => each.slow).length;
    if (this.#tooMany(failed, slow, this.#permits)) this.#open(at, now);
    else if (decided.length >= this.#permits) {
      this.#finished = [];
      this.#closedSince = at;
      this.#go('closed', now);
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

  #open(at: number, now: number): void {
    const healed = this.machine === 'closed' && at - this.#closedSince >= this.#lastPeriodMs;
    this.#openings = healed ? 1 : this.#openings + 1;
    this.#lastPeriodMs = this.#evenPeriod() * (0.8 + 0.4 * this.random.next());
    this.#openUntil = at + this.#lastPeriodMs;
    this.#go('open', now);
  }

  /** Twice as long for each opening in a row, up to a minute or, if that is longer, its own. */
  #evenPeriod(): number {
    let period = this.spec.openForMs;
    for (let i = 1; i < this.#openings && period < 60_000; i++)
      period = Math.min(2 * period, Math.max(60_000, period));
    return period;
  }

  #go(to: 'closed' | 'open' | 'half-open', now: number): void {
    this.#notice(now);
    this.machine = to;
    this.epoch++;
    this.#tell(now);
  }
}

/** As a person reads rates: to nine digits. */
function atLeast(part: number, rate: number): boolean {
  return Number(part.toFixed(9)) >= Number(rate.toFixed(9));
}
