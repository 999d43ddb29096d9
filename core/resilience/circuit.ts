/**
 * One circuit breaker. Closed it records what calls come to; when too many fail or are slow it opens and turns calls away;
 * after a while the next call finds it half-open, and a counted number of probes decides. It has no timer and no clock: time
 * is handed in, and whatever falls due is noticed by the next call or result, as of when it was due.
 *
 * Each permit carries the epoch that issued it, and every transition starts a new epoch, so a late result decides nothing.
 * The machine's own transitions happen in `#become`; holds and modes lie over it (`#overlaid`). Deciding is this class; who
 * is let through before and after it is the plan's business.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Random } from '../random.js';
import type { CircuitListener, CircuitMode, CircuitStateName, SavedCircuit } from './circuit-state.js';
import { ADMITTED, type Gate, REFUSED, type Refusal, type Verdict } from './gate.js';
import { Holds } from './holds.js';
import { faultOfProbes, faultOfWindow } from './judgement.js';
import { OpenPeriod } from './open-period.js';
import type { Outcome } from './outcome.js';
import { layout, NONE, type Permits } from './permits.js';
import { Probes } from './probes.js';
import { createWindow, sameShape, TimeWindow, type Window } from './window.js';

export type * from './circuit-state.js';

type HalfOpen = { readonly kind: 'half-open'; readonly probes: Probes };
type State =
  | { readonly kind: 'closed'; readonly since: number }
  | { readonly kind: 'open'; readonly until: number }
  | HalfOpen;

const noHolds = new Holds();

// Constants of this module, as `permits.ts` says why.
const { ROW_MASK, NEXT_GENERATION, HANDLE_MASK, EPOCH, NEXT_FREE, SLOT_SHIFT } = layout;

const EPOCH_MAX = 0x7fffffff;

/** A half-open circuit with no probe to give can't say when it will have decided; callers come back after this. */
const HALF_OPEN_RETRY_MS = 1_000;

export class Circuit implements Gate {
  /** Results that came in after the state they were admitted in had ended. */
  late = 0;
  #spec: CircuitSpec;
  /** Infinity: no call is slow. */
  #slowCallMs: number;
  #mode: CircuitMode;
  #window: Window;
  /** The window, if it is one of time. */
  #time: TimeWindow | undefined;
  #state: State;
  #epoch = 1;
  readonly #openPeriod: OpenPeriod;
  /** Made by the first hold: hardly any circuit ever has one. */
  #holds: Holds = noHolds;
  /** Enforcing, and nobody holds it: what the machine says is what callers get. */
  #plain: boolean;
  /** Plain and closed: a call is let through as it comes. */
  #letting: boolean;
  /** The epoch while it lets through, over time, with no slow calls to tell: a success is just one more. Else -1. @internal */
  swift = -1;
  readonly #permits: Permits;
  readonly #listener: CircuitListener;

  constructor(
    spec: CircuitSpec,
    options: {
      permits: Permits;
      random: Random;
      now: number;
      mode?: CircuitMode;
      listener?: CircuitListener;
    },
  ) {
    this.#spec = spec;
    this.#slowCallMs = spec.slowCallMs ?? Number.POSITIVE_INFINITY;
    this.#mode = options.mode ?? 'enforce';
    this.#plain = this.#mode === 'enforce';
    this.#permits = options.permits;
    this.#openPeriod = new OpenPeriod(options.random);
    this.#listener = options.listener ?? {};
    this.#window = createWindow(spec.window, options.now);
    this.#time = this.#window instanceof TimeWindow ? this.#window : undefined;
    this.#state = { kind: 'closed', since: options.now };
    this.#letting = false;
    this.#settleIn();
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The state as a caller would find it at `now`; reading changes nothing. */
  state(now: number): CircuitStateName {
    const shown = this.#shown(now);
    return shown === 'open' && this.#state.kind === 'open' && now >= this.#state.until ? 'half-open' : shown;
  }

  /** Milliseconds until a call has a chance again; 0 while calls are let through; Infinity under a hold without an end. */
  retryAfterMs(now: number): number {
    if (now < this.#holds.endsAt) return Math.ceil(this.#holds.endsAt - now);
    const state = this.#state;
    if (state.kind === 'open') return Math.max(0, Math.ceil(state.until - now));
    if (state.kind === 'half-open' && !state.probes.available) return HALF_OPEN_RETRY_MS;
    return 0;
  }

  /**
   * A permit of its own for one call, without a plan: a handle, or NONE if the circuit turns it away. What `Permits` and `admit` do
   * for a closed circuit is written out here and in `end`: called one by one they cost three times as much.
   */
  tryAcquire(now: number, deadline = Number.POSITIVE_INFINITY): number {
    const permits = this.#permits;
    const handle = permits.free;
    const epoch = this.swift;
    if (epoch < 0 || handle < 0) return this.#tryAcquireSlowly(now, deadline);
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    permits.free = slots[slot + NEXT_FREE] as number;
    slots[slot + EPOCH] = epoch;
    // Nobody asks at present how long calls take; a policy may come to ask before this one ends.
    permits.starts[row] = now;
    return handle;
  }

  /** Ends a permit of `tryAcquire`. A second end, even by a listener that hears of the first, does nothing. */
  end(handle: number, outcome: Outcome, now: number): void {
    const permits = this.#permits;
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    if (slots[slot] !== handle) return;
    const next = (handle + NEXT_GENERATION) & HANDLE_MASK;
    slots[slot] = next;
    if (outcome === 'success' && slots[slot + EPOCH] === this.swift) {
      slots[slot + NEXT_FREE] = permits.free;
      permits.free = next;
      this.succeed(now);
      return;
    }
    this.settle(row, outcome, now);
    permits.giveBack(row);
  }

  get timeless(): boolean {
    return this.#letting && this.#slowCallMs === Number.POSITIVE_INFINITY;
  }

  /** A clock may lag this far behind for what the window counts: a tenth of a bucket. */
  get grainMs(): number {
    const { window } = this.#spec;
    return window.kind === 'time' ? window.durationMs / window.buckets / 10 : Number.POSITIVE_INFINITY;
  }

  admit(row: number, now: number): Verdict {
    if (this.#letting) {
      this.#permits.setEpoch(row, this.#epoch);
      return ADMITTED;
    }
    return this.#admitSlowly(row, now);
  }

  settle(row: number, outcome: Outcome, now: number): void {
    const epoch = this.#permits.epoch(row);
    if (outcome === 'success' && epoch === this.swift) {
      this.succeed(now);
    } else if (epoch !== this.#epoch || this.#state.kind !== 'closed') {
      this.#settleSlowly(row, epoch, outcome, now);
    } else if (outcome !== 'neutral') {
      this.#record(row, outcome, now);
    }
  }

  /** A success of the `swift` epoch. The judging stands apart, so that this is inlined. @internal */
  succeed(now: number): void {
    const time = this.#time as TimeWindow;
    time.succeeded(now);
    if (time.bad > 0) this.#judgeWindow(now);
  }

  refusal(now: number): Refusal {
    const retryAfterMs = this.retryAfterMs(now);
    if (!Number.isFinite(retryAfterMs))
      return { code: 'circuit_open', text: 'forced open until it is released', section: 'circuit' };
    return { code: 'circuit_open', text: `retry in ${retryAfterMs} ms`, retryAfterMs, section: 'circuit' };
  }

  /**
   * Takes a policy's new settings between two calls. State, epoch and the time it stays open are kept; the window too, unless
   * its shape changed. A half-open circuit ends its round under the number of probes it began with.
   */
  reconfigure(spec: CircuitSpec, now: number, mode: CircuitMode = 'enforce'): void {
    const from = this.#shown(now);
    if (!sameShape(spec.window, this.#spec.window)) {
      this.#window = createWindow(spec.window, now);
      this.#time = this.#window instanceof TimeWindow ? this.#window : undefined;
    }
    this.#spec = spec;
    this.#slowCallMs = spec.slowCallMs ?? Number.POSITIVE_INFINITY;
    this.#mode = mode;
    this.#overlaid(from, 'its policy was changed', now);
  }

  /** Forces the circuit open until it is released, or for `ttlMs`. Each hold is its owner's own. */
  hold(ttlMs: number, now: number, reason: string): number {
    this.#endHolds(now);
    const from = this.#shown(now);
    if (this.#holds === noHolds) this.#holds = new Holds();
    const hold = this.#holds.add(now + ttlMs);
    this.#overlaid(from, reason, now);
    return hold;
  }

  /** Ends a hold; false if it had ended. What the circuit itself had decided before applies again. */
  release(hold: number, now: number): boolean {
    this.#endHolds(now);
    const from = this.#shown(now);
    const released = this.#holds.remove(hold);
    this.#overlaid(from, 'the hold was released', now);
    return released;
  }

  /** What a restart should know; undefined unless open. */
  save(now: number): SavedCircuit | undefined {
    const state = this.#state;
    if (state.kind === 'closed') return undefined;
    const remainingMs = state.kind === 'open' ? Math.max(0, state.until - now) : 0;
    return { remainingMs, openings: this.#openPeriod.openings };
  }

  /**
   * Opens as saved, for the time that was left: never longer than was saved, whatever the clocks say meanwhile, and never
   * longer than this circuit could have opened by itself, whatever the file says.
   */
  restore(saved: SavedCircuit, elapsedMs: number, now: number): void {
    if (this.#state.kind !== 'closed') return;
    const passedMs = Number.isFinite(elapsedMs) ? Math.max(0, elapsedMs) : 0;
    const leftMs = saved.remainingMs - passedMs;
    const remainingMs = this.#openPeriod.restore(this.#spec.openForMs, saved.openings, leftMs);
    this.#become({ kind: 'open', until: now + remainingMs }, 'open when this process last ran', now);
  }

  #record(row: number, outcome: Outcome, now: number): void {
    const slow = now - (this.#permits.starts[row] as number) >= this.#slowCallMs;
    const window = this.#window;
    window.record(now, outcome === 'failure', slow);
    if (window.bad > 0) this.#judgeWindow(now);
  }

  #tryAcquireSlowly(now: number, deadline: number): number {
    const handle = this.#permits.take(now, deadline);
    if (handle === NONE) return NONE;
    const row = this.#permits.row(handle);
    if (this.admit(row, now) === ADMITTED) return handle;
    this.#permits.end(row);
    this.#permits.giveBack(row);
    return NONE;
  }

  /** After each change of state, mode, holds or settings: which of the short ways hold. */
  #settleIn(): void {
    this.#letting = this.#plain && this.#state.kind === 'closed';
    const untimed = this.#time !== undefined && this.#slowCallMs === Number.POSITIVE_INFINITY;
    this.swift = this.#letting && untimed ? this.#epoch : -1;
  }

  #settleSlowly(row: number, epoch: number, outcome: Outcome, now: number): void {
    if (epoch === 0) return;
    const state = this.#state;
    if (epoch !== this.#epoch) this.late++;
    else if (state.kind === 'half-open') this.#settleProbe(state, row, outcome, now);
  }

  #judgeWindow(now: number): void {
    const reason = faultOfWindow(this.#spec, this.#window);
    if (reason !== undefined) this.#open(now, reason, now);
  }

  #admitSlowly(row: number, now: number): Verdict {
    this.#endHolds(now);
    if (this.#mode === 'disabled') return ADMITTED;
    const verdict = this.#holds.size > 0 ? REFUSED : this.#decide(row, now);
    if (verdict === ADMITTED || this.#mode === 'enforce') return verdict;
    this.#tell((listener) => listener.wouldReject?.(this.refusal(now)));
    return ADMITTED;
  }

  #decide(row: number, now: number): Verdict {
    if (this.#state.kind === 'half-open') this.#catchUp(this.#state, now);
    if (this.#state.kind === 'open' && now >= this.#state.until) {
      const probes = new Probes(this.#spec.halfOpen.calls);
      this.#become({ kind: 'half-open', probes }, `probing with up to ${probes.limit} calls`, now);
    }
    const state = this.#state;
    if (state.kind === 'open') return REFUSED;
    if (state.kind === 'half-open') {
      if (!state.probes.issue(row, now, this.#permits.deadlines[row] as number)) return REFUSED;
    }
    this.#permits.setEpoch(row, this.#epoch);
    return ADMITTED;
  }

  #settleProbe(state: HalfOpen, row: number, outcome: Outcome, now: number): void {
    const { probes } = state;
    const wasOut = probes.isOut(row);
    this.#catchUp(state, now);
    // That its time was over has just been counted, and outweighs what it says now.
    if (wasOut && !probes.isOut(row)) return;
    const slow = now - (this.#permits.starts[row] as number) >= this.#slowCallMs;
    if (this.#state === state && probes.settle(row, outcome, slow)) this.#judge(probes, now, now);
    else this.late++;
  }

  /** Nobody wakes a half-open circuit: whose time was over meanwhile is dealt with now, in order, as of when it was. */
  #catchUp(state: HalfOpen, now: number): void {
    const { maxWaitMs } = this.#spec.halfOpen;
    while (this.#state === state) {
      const due = state.probes.firstDue(now, maxWaitMs);
      if (!due) return;
      state.probes.settle(due.row, 'failure', due.afterMs >= this.#slowCallMs);
      if (due.hung) this.#open(due.at, `a probe gave no answer within ${maxWaitMs} ms`, now);
      else this.#judge(state.probes, due.at, now);
    }
  }

  /** Re-opens as soon as the probes can't close it any more; closes when the last of them is in. `at`: when that was. */
  #judge(probes: Probes, at: number, now: number): void {
    const fault = faultOfProbes(this.#spec, probes);
    if (fault !== undefined) {
      this.#open(at, fault, now);
    } else if (probes.complete) {
      this.#window.clear(now);
      const { limit, failed } = probes;
      this.#become({ kind: 'closed', since: at }, `${limit - failed} of ${limit} probes succeeded`, now);
    }
  }

  /** `at`: from when on; it may be noticed only `now`. */
  #open(at: number, reason: string, now: number): void {
    const closedForMs = this.#state.kind === 'closed' ? at - this.#state.since : 0;
    const openMs = this.#openPeriod.next(this.#spec.openForMs, closedForMs);
    this.#become({ kind: 'open', until: at + openMs }, reason, now);
  }

  #become(next: State, reason: string, now: number): void {
    const from = this.#state.kind;
    this.#state = next;
    this.#nextEpoch();
    this.#announce(from, next.kind, reason, now);
  }

  /**
   * Holds and modes lie over the machine. Where they change what it shows, that is a transition too: results of calls from
   * before are late, and a half-open round, whose permits those calls hold, begins anew.
   */
  #overlaid(from: CircuitStateName, reason: string, now: number): void {
    this.#plain = this.#mode === 'enforce' && this.#holds.size === 0;
    this.#settleIn();
    const to = this.#shown(now);
    if (to === from) return;
    if (this.#state.kind === 'half-open') {
      this.#state = { kind: 'half-open', probes: new Probes(this.#spec.halfOpen.calls) };
    }
    this.#nextEpoch();
    this.#announce(from, to, reason, now);
  }

  /** The state as of the last transition. */
  #shown(now: number): CircuitStateName {
    if (this.#mode === 'disabled') return 'disabled';
    return now < this.#holds.endsAt ? 'forced-open' : this.#state.kind;
  }

  #endHolds(now: number): void {
    if (this.#holds.size === 0) return;
    this.#holds.expire(now);
    if (this.#holds.size > 0) return;
    this.#overlaid(this.#mode === 'disabled' ? 'disabled' : 'forced-open', 'the hold ran out', now);
  }

  #nextEpoch(): void {
    this.#epoch = this.#epoch === EPOCH_MAX ? 1 : this.#epoch + 1;
    this.#settleIn();
  }

  #announce(from: CircuitStateName, to: CircuitStateName, reason: string, now: number): void {
    const transition = { from, to, epoch: this.#epoch, reason, retryAfterMs: this.retryAfterMs(now) };
    this.#tell((listener) => listener.transition?.(transition));
  }

  #tell(say: (listener: CircuitListener) => void): void {
    try {
      say(this.#listener);
    } catch {
      // The decision stands whatever a listener does with the news; who owns the listener logs what it throws.
    }
  }
}
