/**
 * One callee (and method), bound once: the plan that its policies compile to, its time limits, its counters, and the words of
 * its rejections. A change of policy puts another plan here between two calls; calls under way end in the plan they began in.
 */
import { MeshError } from '../core/errors.js';
import type { Effective, Source } from '../core/policy/model.js';
import type { Outcome } from '../core/resilience/outcome.js';
import type { Plan } from '../core/resilience/plan.js';

/** What `Targets` compiles from the effective policies. */
export interface Compiled {
  readonly plan: Plan;
  readonly effective: Effective;
}

/** Counts since the last report. */
export interface Cell {
  readonly callee: string;
  readonly method: string;
  readonly ok: number;
  readonly failed: number;
  readonly slow: number;
  readonly rejected: number;
  /** Of the rejected, those that an open circuit turned away. */
  readonly blocked: number;
}

/** The sections that limit time. */
export type TimeSection = 'timeout' | 'attemptTimeout' | 'streamTimeout';

const sectionOfCode: { readonly [code: string]: keyof Effective } = {
  circuit_open: 'circuit',
  bulkhead_full: 'bulkhead',
  bulkhead_timeout: 'bulkhead',
};

export class Target {
  plan: Plan;
  effective: Effective;
  /** Neither timeout nor attempt timeout: a call that streams no responses needs no limit of ours. */
  timeless: boolean;
  slowCallMs: number;
  /** Of the monotonic clock; decides who leaves when there are too many. */
  lastUsedAt = 0;
  /** No longer in the table: whoever holds on to it asks for a new one. */
  evicted = false;
  #ok = 0;
  #failed = 0;
  #slow = 0;
  #rejected = 0;
  #blocked = 0;
  #active = false;
  readonly #onActive: (target: Target) => void;

  constructor(
    readonly callee: string,
    readonly method: string,
    compiled: Compiled,
    onActive: (target: Target) => void,
  ) {
    this.#onActive = onActive;
    this.plan = compiled.plan;
    this.effective = compiled.effective;
    this.timeless = true;
    this.slowCallMs = Number.POSITIVE_INFINITY;
    this.use(compiled);
  }

  use({ plan, effective }: Compiled): void {
    this.plan = plan;
    this.effective = effective;
    this.timeless = effective.timeout === undefined && effective.attemptTimeout === undefined;
    this.slowCallMs = effective.circuit?.value.slowCallMs ?? Number.POSITIVE_INFINITY;
  }

  /** Counts a finished attempt. */
  count(outcome: Outcome, tookMs: number): void {
    if (outcome === 'neutral') return;
    if (outcome === 'success') this.#ok++;
    else this.#failed++;
    if (tookMs >= this.slowCallMs) this.#slow++;
    if (!this.#active) this.#activate();
  }

  /**
   * The rejection of an attempt that `plan.admit` (or `resume`) has just turned away. `began`: the policies under which the call
   * began, for one that waited in line while they were removed.
   */
  rejection(plan: Plan, now: number, began?: Effective): MeshError {
    const { code, text, retryAfterMs } = plan.refusal(now);
    const section = sectionOfCode[code];
    const said = section !== undefined && this.effective[section] === undefined ? began : this.effective;
    return this.reject(code as RejectionCode, text, retryAfterMs, said);
  }

  /** Counts a call that never started. */
  countRejected(): void {
    this.#rejected++;
    if (!this.#active) this.#activate();
  }

  /** A rejection of our own: counted, with the policy that asked for it. */
  reject(
    code: RejectionCode,
    text: string,
    retryAfterMs?: number,
    effective: Effective = this.effective,
  ): MeshError {
    this.countRejected();
    if (code === 'circuit_open') this.#blocked++;
    const section = sectionOfCode[code];
    return this.error(
      code,
      text,
      section === undefined ? undefined : effective[section]?.source,
      retryAfterMs,
    );
  }

  /**
   * The whole call (`timeout`), an attempt, or a stream's first message took too long: a failure of the callee. `effective`:
   * what held when the call began, which a change may have replaced since.
   */
  timedOut(section: TimeSection, what: string, effective: Effective = this.effective): MeshError {
    const limit = effective[section];
    const text = limit === undefined ? `${what} in time` : `${what} within ${limit.value} ms`;
    return this.error('deadline_exceeded', text, limit?.source);
  }

  /** How long a call that began under these policies may stand in line, milliseconds. */
  queueTimeoutMs(effective: Effective): number {
    return effective.bulkhead?.value.queueTimeoutMs ?? Number.POSITIVE_INFINITY;
  }

  /** Its time in line is over. */
  noSlot(effective: Effective): MeshError {
    const text = `no slot came free within ${this.queueTimeoutMs(effective)} ms; slow down`;
    return this.reject('bulkhead_timeout', text, undefined, effective);
  }

  /** The time of the whole was over in line. `section`: whose limit that was; undefined: the caller's own. */
  lateInLine(section: TimeSection | undefined, effective: Effective): MeshError {
    this.countRejected();
    if (section !== undefined) return this.timedOut(section, 'no slot came free', effective);
    const text = "no slot came free before the caller's deadline";
    return this.error('deadline_exceeded', text, effective.bulkhead?.source);
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

  /** Counts since the last time, which starts a new count. */
  drain(): Cell {
    const cell = {
      callee: this.callee,
      method: this.method,
      ok: this.#ok,
      failed: this.#failed,
      slow: this.#slow,
      rejected: this.#rejected,
      blocked: this.#blocked,
    };
    this.#ok = this.#failed = this.#slow = this.#rejected = this.#blocked = 0;
    this.#active = false;
    return cell;
  }

  #activate(): void {
    this.#active = true;
    this.#onActive(this);
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
