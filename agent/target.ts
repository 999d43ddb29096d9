/**
 * One callee (and method), bound once: the plan that its policies compile to, its time limits, its counters, and the words of
 * its rejections. A change of policy puts another plan here between two calls; calls under way end in the plan they began in.
 */
import { MeshError } from '../core/errors.js';
import type { Effective, SectionName, Source } from '../core/policy/model.js';
import type { Outcome } from '../core/resilience/outcome.js';
import type { Plan } from '../core/resilience/plan.js';
import { RollingLatency } from '../core/resilience/rolling-latency.js';
import { COARSE_LAG_MS } from './coarse-clock.js';
import type { DecisionKind, DecisionListener } from './decisions.js';
import { EndpointCounts } from './endpoint-counts.js';
import type { Surround } from './surround.js';
import { Tally, TIMED } from './tally.js';

/** What `Targets` compiles from the effective policies. */
export interface Compiled {
  readonly plan: Plan;
  readonly effective: Effective;
  readonly surround: Surround | undefined;
}

/** Counts since the last report. */
export interface Cell {
  readonly callee: string;
  readonly method: string;
  /** Instance that was called, `host:port`; absent: any, or nobody knows. */
  readonly endpoint?: string;
  readonly ok: number;
  readonly failed: number;
  readonly slow: number;
  readonly rejected: number;
  /** Of the rejected, those that an open circuit turned away. */
  readonly blocked: number;
  /** Encoded histogram of the latencies that were sampled; empty: none. */
  readonly latency: Uint8Array;
}

/** Whoever has targets hears of them. */
export interface TargetOwner {
  /** It has counted something for the first time since it was last drained. */
  active(target: Target): void;
  /** Under a circuit of the mesh, calls of this target begin to fail or to be slow. */
  bad(): void;
}

// How the calls of a target fare, as far as reports go: none has been bad; some have since the last report that was due; some had before.
const FINE = 0;
const TURNING = 1;
const BAD = 2;

/** The sections that limit time. */
export type TimeSection = 'timeout' | 'attemptTimeout' | 'streamTimeout';

const noLatency = new Uint8Array(0);
/** A limit of time is at least so many times as long as the coarse clock may lag, or it is taken from the exact one. */
const LAGS_PER_LIMIT = 10;

export class Target {
  /** What was compiled last; the three that follow are its parts. */
  compiled: Compiled;
  plan: Plan;
  effective: Effective;
  surround: Surround | undefined;
  /** Neither timeout nor attempt timeout: a call that streams no responses needs no limit of ours. */
  timeless: boolean;
  /** Nothing but gates: the shortest way does. */
  plain: boolean;
  slowCallMs: number;
  /** A clock that lags a little does for the end of a call: nobody asks how long it took. */
  coarse: boolean;
  /** That, and nobody asks where it went. */
  brief: boolean;
  /** And for its beginning: no limit of time is so short that the lag would show. */
  coarseStart: boolean;
  hedgesByPercentile: boolean;
  /** Length of the one limit of time of calls that have nothing else that begins with them; -1: others begin by the longer way. */
  directMs: number;
  /** Of the monotonic clock; decides who leaves when there are too many. */
  lastUsedAt = 0;
  /** No longer in the table: whoever holds on to it asks for a new one. */
  evicted = false;
  /** Shared by what found no key of its own: a place in it is for one call, by the next there may be room. */
  overflow = false;
  /** Of a method that gRPC called, not of a key that the application chose: of those there are as many as services define. */
  rpc = false;
  readonly tally = new Tally();
  /** Where a hedge waits for a percentile. */
  latency: RollingLatency | undefined = undefined;
  /** By instance, where the circuit is one of the mesh. */
  endpoints: EndpointCounts | undefined = undefined;
  #fares = FINE;
  #told = { ok: 0, failed: 0, slow: 0, rejected: 0, blocked: 0 };
  #active = false;
  readonly #owner: TargetOwner;
  readonly #listener: DecisionListener;

  constructor(
    readonly callee: string,
    readonly method: string,
    compiled: Compiled,
    owner: TargetOwner,
    listener: DecisionListener,
  ) {
    this.#owner = owner;
    this.#listener = listener;
    this.compiled = compiled;
    this.plan = compiled.plan;
    this.effective = compiled.effective;
    this.surround = compiled.surround;
    this.timeless = this.plain = true;
    this.slowCallMs = Number.POSITIVE_INFINITY;
    this.coarse = this.brief = this.coarseStart = this.hedgesByPercentile = false;
    this.directMs = -1;
    this.use(compiled);
  }

  use(compiled: Compiled): void {
    const { plan, effective, surround } = compiled;
    this.compiled = compiled;
    this.plan = plan;
    this.effective = effective;
    this.surround = surround;
    this.timeless = effective.timeout === undefined && effective.attemptTimeout === undefined;
    this.plain = this.timeless && surround === undefined;
    this.slowCallMs = effective.circuit?.value.slowCallMs ?? Number.POSITIVE_INFINITY;
    const shadow = surround?.shadow;
    this.hedgesByPercentile =
      effective.hedge?.value.delay.kind === 'percentile' || shadow?.hedgesByPercentile === true;
    const timed = this.hedgesByPercentile || shadow !== undefined;
    this.coarse = !timed && this.slowCallMs === Number.POSITIVE_INFINITY && plan.grainMs >= COARSE_LAG_MS;
    if (effective.circuit?.value.scope !== 'cluster') this.endpoints = undefined;
    else this.endpoints ??= new EndpointCounts();
    this.brief = this.coarse && this.endpoints === undefined;
    const limits = [effective.timeout?.value, effective.attemptTimeout?.value];
    this.coarseStart =
      this.coarse && limits.every((limit) => limit === undefined || limit >= LAGS_PER_LIMIT * COARSE_LAG_MS);
    const alone = !surround || !(surround.hedge || surround.fallback || surround.shadow);
    const direct = alone && this.coarseStart && effective.attemptTimeout === undefined;
    this.directMs = direct ? (effective.timeout?.value ?? Number.POSITIVE_INFINITY) : -1;
    if (!this.hedgesByPercentile) this.latency = undefined;
  }

  /** Counts a finished attempt. `tookMs`: not a number where nobody looked at the time. `weight`: as `Tally.draw` said. */
  count(outcome: Outcome, tookMs: number, weight = TIMED): void {
    const bad = this.tally.ended(outcome, tookMs, this.slowCallMs, weight);
    if (!this.#active && outcome !== 'neutral') this.#activate();
    if (bad) this.#turnBad();
  }

  /** The same, of one that went to an instance that `at` knows. */
  countAt(at: { readonly instance: string }, outcome: Outcome, tookMs: number): void {
    // Before it is counted: whoever is told that it turned bad finds both.
    if (this.endpoints !== undefined) this.endpoints.count(at.instance, outcome, tookMs >= this.slowCallMs);
    this.count(outcome, tookMs);
  }

  /** Counts a success of which nobody asks how long it took. */
  succeeded(now: number): void {
    this.lastUsedAt = now;
    this.tally.ok++;
    if (!this.#active) this.#activate();
  }

  /** For a hedge's percentile: a call took so long. */
  recordLatency(tookMs: number, now: number): void {
    if (!this.hedgesByPercentile) return;
    this.latency ??= new RollingLatency(now);
    this.latency.record(tookMs, now);
  }

  /** Tells what a policy did, if anybody listens; what has a count of its own is counted by whoever calls this. */
  decide(kind: DecisionKind, source: Source | undefined, code: string, text: string): void {
    if (kind.startsWith('would')) this.tally.increment('would', kind);
    // A rejection is entered where it is counted.
    if (kind !== 'reject') this.tally.book.add(kind, code, source);
    if (!this.#listener.listening) return;
    const { callee, method } = this;
    const { policy, revision } = source ?? { policy: '', revision: 0 };
    this.#listener.tell({ kind, callee, method, policy, revision, code, text }, this.rpc);
  }

  /**
   * The rejection of an attempt that `plan.admit` (or `resume`) has just turned away. `began`: the policies under which the call
   * began, for one that waited in line while they were removed.
   */
  rejection(plan: Plan, now: number, began?: Effective): MeshError {
    const { code, text, retryAfterMs, section } = plan.refusal(now);
    const said = section !== undefined && this.effective[section] === undefined ? began : this.effective;
    return this.reject(code as RejectionCode, text, section, said, retryAfterMs);
  }

  /** Counts a call that never started, under the policy that asked for it. */
  #countRejected(code: RejectionCode, source: Source | undefined): void {
    this.tally.rejected++;
    this.tally.increment('rejections', code);
    this.tally.book.add('reject', code, source);
    if (!this.#active) this.#activate();
  }

  /** A rejection of our own: counted, with the policy that asked for it. `section`: which of it did; undefined: none. */
  reject(
    code: RejectionCode,
    text: string,
    section?: SectionName,
    effective: Effective = this.effective,
    retryAfterMs?: number,
  ): MeshError {
    const source = section === undefined ? undefined : effective[section]?.source;
    this.#countRejected(code, source);
    if (code === 'circuit_open') this.tally.blocked++;
    this.decide('reject', source, code, text);
    return this.error(code, text, source, retryAfterMs);
  }

  /**
   * The whole call (`timeout`), an attempt, or a stream's first message took too long: a failure of the callee. `effective`:
   * what held when the call began, which a change may have replaced since.
   */
  timedOut(section: TimeSection, what: string, effective: Effective = this.effective): MeshError {
    const limit = effective[section];
    const text = limit === undefined ? `${what} in time` : `${what} within ${limit.value} ms`;
    this.tally.timeouts++;
    this.decide('timeout', limit?.source, 'deadline_exceeded', text);
    return this.error('deadline_exceeded', text, limit?.source);
  }

  /** How long a call that began under these policies may stand in line, milliseconds. */
  queueTimeoutMs(effective: Effective): number {
    return effective.bulkhead?.value.queueTimeoutMs ?? Number.POSITIVE_INFINITY;
  }

  /** Its time in line is over. */
  noSlot(effective: Effective): MeshError {
    const text = `no slot came free within ${this.queueTimeoutMs(effective)} ms; slow down`;
    return this.reject('bulkhead_timeout', text, 'bulkhead', effective);
  }

  /** The time of the whole was over in line. `section`: whose limit that was; undefined: the caller's own. */
  lateInLine(section: TimeSection | undefined, effective: Effective): MeshError {
    const source = (section === undefined ? effective.bulkhead : effective[section])?.source;
    this.#countRejected('deadline_exceeded', source);
    if (section !== undefined) return this.timedOut(section, 'no slot came free', effective);
    const text = "no slot came free before the caller's deadline";
    this.decide('reject', source, 'deadline_exceeded', text);
    return this.error('deadline_exceeded', text, source);
  }

  /** It had to make room in the line for a more critical call. */
  displaced(effective: Effective): MeshError {
    return this.reject(
      'overloaded',
      'gave up its place in line to a more critical call',
      'bulkhead',
      effective,
    );
  }

  /** It waited so long in line. */
  waited(ms: number): void {
    this.tally.queued++;
    this.tally.queuedMs += ms;
  }

  /** Of a call that waited in line when the mesh closed. */
  meshClosed(): MeshError {
    return this.error('mesh_closed', 'the mesh was closed while this call waited in line');
  }

  error(code: RejectionCode, text: string, source?: Source, retryAfterMs?: number): MeshError {
    return new MeshError(code, text, {
      target: this.callee,
      policy: source?.policy,
      revision: source?.revision,
      retryAfterMs,
    });
  }

  /** Counts since the last time, which starts a new count. `urgent`: it isn't the time yet, something turned bad. */
  drain(urgent = false): Cell {
    const { ok, failed, slow, rejected, blocked } = this.tally;
    const told = this.#told;
    const cell = {
      callee: this.callee,
      method: this.method,
      ok: ok - told.ok,
      failed: failed - told.failed,
      slow: slow - told.slow,
      rejected: rejected - told.rejected,
      blocked: blocked - told.blocked,
      latency: this.tally.drainLatency() ?? noLatency,
    };
    this.#told = { ok, failed, slow, rejected, blocked };
    this.#active = false;
    if (cell.failed + cell.slow === 0) this.#fares = FINE;
    else if (!urgent) this.#fares = BAD;
    return cell;
  }

  /** The same by instance; what went to none that is known, and what isn't about one, stands apart. */
  drainCells(urgent = false): Cell[] {
    const rest = this.drain(urgent);
    const counts = this.endpoints?.drain() ?? [];
    if (counts.length === 0) return [rest];
    const { callee, method } = this;
    const none = { rejected: 0, blocked: 0, latency: noLatency };
    const cells: Cell[] = counts.map((count) => ({ callee, method, ...count, ...none }));
    const less = (name: 'ok' | 'failed' | 'slow') =>
      rest[name] - cells.reduce((sum, cell) => sum + cell[name], 0);
    const apart = { ...rest, ok: less('ok'), failed: less('failed'), slow: less('slow') };
    const { ok, failed, slow, rejected, latency } = apart;
    return ok + failed + slow + rejected + latency.length > 0 ? [...cells, apart] : cells;
  }

  /** Reports are early from the first bad call on until one that was due has told of it. */
  #turnBad(): void {
    if (this.endpoints === undefined || this.#fares === BAD) return;
    this.#fares = TURNING;
    this.#owner.bad();
  }

  #activate(): void {
    this.#active = true;
    this.#owner.active(this);
  }
}

export type RejectionCode =
  | 'circuit_open'
  | 'bulkhead_full'
  | 'bulkhead_timeout'
  | 'rate_limited'
  | 'overloaded'
  | 'deadline_exceeded'
  | 'mesh_closed'
  | 'cancelled';
