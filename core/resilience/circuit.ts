/**
 * One circuit breaker. Closed it records what calls come to; when too many fail or are slow it opens and turns calls away;
 * after a while the next call finds it half-open, and a counted number of probes decides. It has no timer and no clock: time
 * is handed in, and whatever falls due is noticed by the next call or result, as of when it was due.
 *
 * Each permit carries the epoch that issued it, and every transition starts a new epoch, so a late result decides nothing.
 * The machine's own transitions happen in `#become`; what lies over it (modes, holds, directions of the mesh) is in `overlay.ts`
 * and changes what it shows in `#overlaid`. Deciding is this class; who is let through before and after it is the plan's business.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Random } from '../random.js';
import type {
  CircuitListener,
  CircuitMode,
  CircuitOptions,
  CircuitStateName,
  SavedCircuit,
} from './circuit-state.js';
import type { DirectionSpec } from './direction.js';
import { ADMITTED, type Gate, REFUSED, type Refusal, type Verdict } from './gate.js';
import { type Fate, faultOfWindow, judgeNextDue, judgeRound } from './judgement.js';
import { LonePermits } from './lone-permits.js';
import { OpenPeriod } from './open-period.js';
import type { Outcome } from './outcome.js';
import { bare, Overlay } from './overlay.js';
import { Probes } from './probes.js';
import { createWindow, sameShape, TimeWindow, type Window } from './window.js';

export type * from './circuit-state.js';

type HalfOpen = { readonly kind: 'half-open'; readonly probes: Probes };
type State =
  | { readonly kind: 'closed'; readonly since: number }
  | { readonly kind: 'open'; readonly until: number }
  | HalfOpen;

const EPOCH_MAX = 0x7fffffff;
/** In place of the epoch, of an attempt that a probe permit of the mesh let through: no circuit is ever in it. */
const BY_PERMIT = -2;

/** A half-open circuit with no probe to give can't say when it will have decided; callers come back after this. */
const HALF_OPEN_RETRY_MS = 1_000;

export class Circuit extends LonePermits implements Gate {
  /** Results that came in after the state they were admitted in had ended. */
  late = 0;
  #spec: CircuitSpec;
  /** Infinity: no call is slow. */
  #slowCallMs: number;
  #window: Window;
  /** The window, if it is one of time. */
  #time: TimeWindow | undefined;
  #state: State;
  #epoch = 1;
  readonly #openPeriod: OpenPeriod;
  /** Its own from the first hold, direction or mode on: hardly any circuit ever has one. */
  #overlay: Overlay;
  /** Plain and closed: a call is let through as it comes. */
  #letting: boolean;
  readonly #random: Random;
  readonly #listener: CircuitListener;

  constructor(spec: CircuitSpec, options: CircuitOptions) {
    super(options.permits);
    this.#spec = spec;
    this.#slowCallMs = spec.slowCallMs ?? Number.POSITIVE_INFINITY;
    const mode = options.mode ?? 'enforce';
    this.#overlay = mode === 'enforce' ? bare : new Overlay(mode);
    this.#random = options.random;
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
    const state = this.#state;
    const due = state.kind === 'open' && now >= state.until;
    return this.#overlay.shown(due ? 'half-open' : state.kind, now);
  }

  /** What the mesh says of it at present, in words; undefined: nothing. */
  saying(now: number): string | undefined {
    return this.#overlay.saying(now);
  }

  /** Milliseconds until a call has a chance again; 0 while calls are let through; Infinity under a hold without an end. */
  retryAfterMs(now: number): number {
    return this.#overlay.retryAfterMs(this.#machineRetryMs(now), now);
  }

  #machineRetryMs(now: number): number {
    const state = this.#state;
    if (state.kind === 'open') return Math.max(0, Math.ceil(state.until - now));
    if (state.kind === 'half-open' && !state.probes.available) return HALF_OPEN_RETRY_MS;
    return 0;
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
      this.permits.setEpoch(row, this.#epoch);
      return ADMITTED;
    }
    return this.#admitSlowly(row, now);
  }

  settle(row: number, outcome: Outcome, now: number): void {
    const epoch = this.permits.epoch(row);
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
    return this.#overlay.refusal(this.#machineRetryMs(now), now);
  }

  /**
   * Takes a policy's new settings between two calls. State, epoch and the time it stays open are kept; the window too, unless
   * its shape changed. A half-open circuit ends its round under the number of probes it began with.
   */
  reconfigure(spec: CircuitSpec, now: number, mode: CircuitMode = 'enforce'): void {
    const from = this.#current(now);
    if (!sameShape(spec.window, this.#spec.window)) {
      this.#window = createWindow(spec.window, now);
      this.#time = this.#window instanceof TimeWindow ? this.#window : undefined;
    }
    this.#spec = spec;
    this.#slowCallMs = spec.slowCallMs ?? Number.POSITIVE_INFINITY;
    if (mode !== this.#overlay.mode) this.#own().mode = mode;
    this.#overlaid(from, 'its policy was changed', now);
  }

  /** Forces the circuit open until it is released, or for `ttlMs`. Each hold is its owner's own. */
  hold(ttlMs: number, now: number, reason: string): number {
    const from = this.#current(now);
    const hold = this.#own().hold(now + ttlMs);
    this.#overlaid(from, reason, now);
    return hold;
  }

  /** Ends a hold; false if it had ended. What the circuit itself had decided before applies again. */
  release(hold: number, now: number): boolean {
    const from = this.#current(now);
    const released = this.#overlay.release(hold);
    this.#overlaid(from, 'the hold was released', now);
    return released;
  }

  /**
   * What the mesh says of this circuit, in place of what it said before, for its TTL from `now` on; undefined or `closed`: nothing any
   * more. It only tightens, except that each of its probe permits lets one attempt through that an open circuit would have turned away.
   */
  direct(direction: DirectionSpec | undefined, now: number): void {
    if (this.#overlay === bare && (direction === undefined || direction.state === 'closed')) return;
    const from = this.#current(now);
    const reason = this.#own().direct(direction, now);
    this.#overlaid(from, reason, now);
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
    const remainingMs = this.#openPeriod.restore(this.#spec.openForMs, saved, elapsedMs);
    this.#become({ kind: 'open', until: now + remainingMs }, 'open when this process last ran', now);
  }

  #record(row: number, outcome: Outcome, now: number): void {
    const slow = now - (this.permits.starts[row] as number) >= this.#slowCallMs;
    const window = this.#window;
    window.record(now, outcome === 'failure', slow);
    if (window.bad > 0) this.#judgeWindow(now);
  }

  /** After each change of state, mode, holds or settings: which of the short ways hold. */
  #settleIn(): void {
    this.#letting = this.#overlay.plain && this.#state.kind === 'closed';
    const untimed = this.#time !== undefined && this.#slowCallMs === Number.POSITIVE_INFINITY;
    this.swift = this.#letting && untimed ? this.#epoch : -1;
  }

  #settleSlowly(row: number, epoch: number, outcome: Outcome, now: number): void {
    if (epoch === 0) return;
    const state = this.#state;
    if (epoch === BY_PERMIT) this.#settlePermit(row, outcome, now);
    else if (epoch !== this.#epoch) this.late++;
    else if (state.kind === 'half-open') this.#settleProbe(state, row, outcome, now);
  }

  /** What it came to goes to the mesh, and counts here as any other result does. A neutral one says nothing: its permit is lost. */
  #settlePermit(row: number, outcome: Outcome, now: number): void {
    const probe = this.#overlay.probeEnded(row);
    if (probe === undefined) return;
    const tookMs = now - (this.permits.starts[row] as number);
    this.permits.setEpoch(row, probe.epoch);
    this.settle(row, outcome, now);
    if (outcome === 'neutral') return;
    const ok = outcome === 'success' && tookMs < this.#slowCallMs;
    this.#tell((listener) => listener.probed?.(probe.permit, ok));
  }

  #judgeWindow(now: number): void {
    const reason = faultOfWindow(this.#spec, this.#window);
    if (reason !== undefined) this.#open(now, reason, now);
  }

  #admitSlowly(row: number, now: number): Verdict {
    this.#expire(now);
    const { mode } = this.#overlay;
    if (mode === 'disabled') return ADMITTED;
    const passage = this.#overlay.passage(this.#random);
    if (typeof passage === 'object') return this.#admitByPermit(row, passage.permit, now);
    const verdict = passage === 'none' ? REFUSED : this.#decide(row, now);
    if (verdict === ADMITTED || mode === 'enforce') return verdict;
    this.#tell((listener) => listener.wouldReject?.(this.refusal(now)));
    return ADMITTED;
  }

  /** The mesh lets it through. An open circuit takes it for the first of its own probes; one that has no probe left doesn't count it. */
  #admitByPermit(row: number, permit: number, now: number): Verdict {
    if (this.#state.kind === 'open') this.#probe(now);
    const counted = this.#decide(row, now) === ADMITTED;
    this.#overlay.probeBegan(row, permit, counted ? this.#epoch : 0);
    this.permits.setEpoch(row, BY_PERMIT);
    return ADMITTED;
  }

  #decide(row: number, now: number): Verdict {
    if (this.#state.kind === 'half-open') this.#catchUp(this.#state, now);
    if (this.#state.kind === 'open' && now >= this.#state.until) this.#probe(now);
    const state = this.#state;
    if (state.kind === 'open') return REFUSED;
    if (state.kind === 'half-open') {
      if (!state.probes.issue(row, now, this.permits.deadlines[row] as number)) return REFUSED;
    }
    this.permits.setEpoch(row, this.#epoch);
    return ADMITTED;
  }

  #probe(now: number): void {
    const probes = new Probes(this.#spec.halfOpen.calls);
    this.#become({ kind: 'half-open', probes }, `probing with up to ${probes.limit} calls`, now);
  }

  #settleProbe(state: HalfOpen, row: number, outcome: Outcome, now: number): void {
    const { probes } = state;
    const wasOut = probes.isOut(row);
    this.#catchUp(state, now);
    // That its time was over has just been counted, and outweighs what it says now.
    if (wasOut && !probes.isOut(row)) return;
    const slow = now - (this.permits.starts[row] as number) >= this.#slowCallMs;
    if (this.#state === state && probes.settle(row, outcome, slow))
      this.#follow(judgeRound(this.#spec, probes, now), now);
    else this.late++;
  }

  /** Nobody wakes a half-open circuit: whose time was over meanwhile is dealt with now, in order, as of when it was. */
  #catchUp(state: HalfOpen, now: number): void {
    let more = true;
    while (more && this.#state === state) {
      const { fate, due } = judgeNextDue(this.#spec, state.probes, now);
      this.#follow(fate, now);
      more = due;
    }
  }

  #follow(fate: Fate | undefined, now: number): void {
    if (fate === undefined) return;
    if (fate.kind === 'open') {
      this.#open(fate.at, fate.reason, now);
    } else {
      this.#window.clear(now);
      this.#become({ kind: 'closed', since: fate.at }, fate.reason, now);
    }
  }

  /** `at`: from when on; it may be noticed only `now`. */
  #open(at: number, reason: string, now: number): void {
    const closedForMs = this.#state.kind === 'closed' ? at - this.#state.since : 0;
    const openMs = this.#openPeriod.next(this.#spec.openForMs, closedForMs);
    this.#become({ kind: 'open', until: at + openMs }, reason, now);
  }

  #become(next: State, reason: string, now: number): void {
    this.#lapse(now);
    const from = this.#overlay.directed(this.#state.kind, now);
    this.#state = next;
    this.#nextEpoch();
    const to = this.#overlay.directed(next.kind, now);
    // Where it is the mesh's word that callers get, nothing changes for them.
    if (to !== from) this.#announce(from, to, reason, now);
  }

  /**
   * Modes, holds and directions lie over the machine. Where they change what it shows, that is a transition too: results of calls
   * from before are late, and a half-open round, whose permits those calls hold, begins anew.
   */
  #overlaid(from: CircuitStateName, reason: string, now: number): void {
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
    return this.#overlay.shown(this.#state.kind, now);
  }

  /** The same, once what has run out is gone. */
  #current(now: number): CircuitStateName {
    this.#expire(now);
    return this.#shown(now);
  }

  #own(): Overlay {
    if (this.#overlay === bare) this.#overlay = new Overlay('enforce');
    return this.#overlay;
  }

  #expire(now: number): void {
    if (this.#overlay === bare) return;
    const from = this.#overlay.shown(this.#state.kind, Number.NEGATIVE_INFINITY);
    const lapsed = this.#overlay.lapse(now);
    const why = this.#overlay.expire(now) ?? lapsed;
    if (why !== undefined) this.#overlaid(from, why, now);
  }

  #lapse(now: number): void {
    const from = this.#overlay.shown(this.#state.kind, Number.NEGATIVE_INFINITY);
    const why = this.#overlay.lapse(now);
    if (why !== undefined) this.#overlaid(from, why, now);
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
