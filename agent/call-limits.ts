/**
 * The time limits of one gRPC call and of each of its attempts. A deadline on the wire is an instant of the wall clock, which may
 * jump; so it is computed once per attempt from what remains on the monotonic clock, and nothing is decided by it here. One
 * deadline spans all attempts and the pauses between them. Limits are those of the policies that held when the call began.
 */
import * as grpc from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import type { Effective } from '../core/policy/model.js';
import { attemptDeadlineAt, effectiveDeadline } from '../core/resilience/deadline.js';
import type { TimeSection } from './target.js';

/** A timer of grpc-js, or the callee's view of the same deadline, may be over so much before our clock says so. */
export const EARLY_MS = 10;

export interface CallLimits {
  /** Monotonic: the caller's own deadline and that of the call which it is part of. */
  readonly callerAt: number;
  /** Monotonic: by when an attempt must have begun, waiting included; later, nothing could come of it. */
  readonly startsBefore: number;
  /** Whose limit that is; undefined: the caller's. */
  readonly startsBeforeBy: TimeSection | undefined;
  /** Monotonic: when this attempt must be over, or have settled if it streams. */
  readonly attemptEndsAt: number;
  /** Monotonic: when the deadline on the wire is over. */
  readonly wireEndsAt: number;
  /** Wall clock, for grpc-js, of an attempt that starts at `now`; undefined: the caller's own holds, as it stands. */
  wireDeadline(now: number): number | undefined;
  /** Whose limit the wire deadline is; undefined: the caller's. */
  readonly wireDeadlineBy: TimeSection | undefined;
  /** From the attempt's start to the first message of a streamed response; Infinity: no limit. */
  readonly firstMessageMs: number;
  readonly firstMessageBy: TimeSection;
  /** Until `startsBefore`; a policy's own figure where it is one (see `Timeouts.set`). */
  remainingMs(now: number): number;
  /** The attempt begins only now, after its turn in line. */
  restart(now: number): void;
  /** Those of another attempt at the same call, which begins now. */
  again(now: number): CallLimits;
}

/**
 * min(the caller's own deadline, that of the call it is part of, the policy's), for the call and for its attempt. `callerAt`:
 * `callerDeadlineAt`; `inheritedAt`: monotonic, of the call that this process is answering; `wallNow`: now, if it is known.
 */
export function limitsOf(
  effective: Effective,
  { method_definition }: grpc.InterceptorOptions,
  clock: Clock,
  now: number,
  callerAt: number,
  inheritedAt = Number.POSITIVE_INFINITY,
  wallNow = Number.NaN,
): CallLimits {
  const at = Math.min(callerAt, inheritedAt);
  const limits = method_definition.responseStream
    ? new StreamLimits(effective, clock, now, at)
    : new UnaryLimits(effective, clock, now, at);
  // grpc-js knows of a parent that it was given, not of the one that is only in the context.
  limits.retold = inheritedAt < callerAt;
  limits.begunOnWall = wallNow;
  return limits;
}

/** Monotonic: when the caller's own deadline, or that of the call it is part of, is over. */
export function callerDeadlineAt(options: grpc.InterceptorOptions, wallNow: number, now: number): number {
  const at = endsAt(options.deadline, wallNow, now);
  return options.parent === undefined ? at : Math.min(at, endsAt(parentDeadline(options), wallNow, now));
}

function endsAt(deadline: grpc.Deadline | undefined, wallNow: number, now: number): number {
  if (deadline === undefined) return Number.POSITIVE_INFINITY;
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  // Not a number: grpc-js refuses it in its own words.
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : now + (at - wallNow);
}

function parentDeadline({ parent, propagate_flags }: grpc.InterceptorOptions): grpc.Deadline | undefined {
  const flags = propagate_flags ?? grpc.propagate.DEFAULTS;
  return flags & grpc.propagate.DEADLINE ? parent?.getDeadline() : undefined;
}

abstract class Limits {
  /** The wire is told what remains of the caller's deadline, too: it doesn't know it, or not as it is by now. */
  retold = false;
  /** The wall clock when the call began; not a number: nobody looked. */
  begunOnWall = Number.NaN;
  abstract readonly startsBefore: number;
  abstract readonly startsBeforeBy: TimeSection | undefined;
  abstract readonly wireEndsAt: number;
  abstract readonly wireDeadlineBy: TimeSection | undefined;

  constructor(
    protected readonly effective: Effective,
    protected readonly clock: Clock,
    protected readonly begunAt: number,
    readonly callerAt: number,
  ) {}

  wireDeadline(now: number): number | undefined {
    if (this.wireEndsAt === Number.POSITIVE_INFINITY) return undefined;
    if (this.wireDeadlineBy === undefined && !this.retold) return undefined;
    // A look at a clock costs as much as a good part of all this.
    const known = now === this.begunAt && !Number.isNaN(this.begunOnWall);
    return (known ? this.begunOnWall : this.clock.wallNow()) + (this.wireEndsAt - now);
  }

  remainingMs(now: number): number {
    const { effective, begunAt } = this;
    const section = this.startsBeforeBy;
    const limitMs = section === undefined ? undefined : effective[section]?.value;
    return limitMs !== undefined && now === begunAt ? limitMs : this.startsBefore - now;
  }
}

class UnaryLimits extends Limits implements CallLimits {
  readonly startsBefore: number;
  readonly startsBeforeBy: TimeSection | undefined;
  attemptEndsAt: number;
  readonly firstMessageMs = Number.POSITIVE_INFINITY;
  readonly firstMessageBy = 'timeout';

  constructor(effective: Effective, clock: Clock, begunAt: number, callerAt: number) {
    super(effective, clock, begunAt, callerAt);
    const { at, by } = effectiveDeadline(begunAt, callerAt, effective.timeout?.value);
    this.startsBefore = at;
    this.startsBeforeBy = by === 'policy' ? 'timeout' : undefined;
    this.attemptEndsAt = attemptDeadlineAt(begunAt, at, effective.attemptTimeout?.value);
  }

  get wireEndsAt(): number {
    return this.attemptEndsAt;
  }

  get wireDeadlineBy(): TimeSection | undefined {
    return this.attemptEndsAt < this.startsBefore ? 'attemptTimeout' : this.startsBeforeBy;
  }

  restart(now: number): void {
    this.retold = true;
    const attemptMs = this.effective.attemptTimeout?.value;
    this.attemptEndsAt = attemptDeadlineAt(now, this.startsBefore, attemptMs);
  }

  again(now: number): CallLimits {
    const limits = new UnaryLimits(this.effective, this.clock, this.begunAt, this.callerAt);
    limits.restart(now);
    return limits;
  }
}

class StreamLimits extends Limits implements CallLimits {
  readonly startsBefore: number;
  readonly startsBeforeBy: TimeSection | undefined;
  readonly wireEndsAt: number;
  readonly wireDeadlineBy: TimeSection | undefined;
  attemptEndsAt = Number.POSITIVE_INFINITY;
  firstMessageMs = Number.POSITIVE_INFINITY;
  firstMessageBy: TimeSection = 'timeout';
  readonly #firstMessageAt: number;

  constructor(effective: Effective, clock: Clock, begunAt: number, callerAt: number) {
    super(effective, clock, begunAt, callerAt);
    const { at, by } = effectiveDeadline(begunAt, callerAt, effective.streamTimeout?.value);
    this.wireEndsAt = at;
    this.wireDeadlineBy = by === 'policy' ? 'streamTimeout' : undefined;
    this.#firstMessageAt = begunAt + (effective.timeout?.value ?? Number.POSITIVE_INFINITY);
    this.startsBefore = Math.min(at, this.#firstMessageAt);
    this.startsBeforeBy = this.#firstMessageAt < at ? 'timeout' : this.wireDeadlineBy;
    this.#attempt(begunAt);
  }

  restart(now: number): void {
    this.retold = true;
    this.#attempt(now);
  }

  again(now: number): CallLimits {
    const limits = new StreamLimits(this.effective, this.clock, this.begunAt, this.callerAt);
    limits.restart(now);
    return limits;
  }

  #attempt(now: number): void {
    const { effective, begunAt } = this;
    const attemptMs = effective.attemptTimeout?.value;
    const messageAt = attemptDeadlineAt(now, this.#firstMessageAt, attemptMs);
    const byAttempt = messageAt < this.#firstMessageAt;
    this.firstMessageBy = byAttempt ? 'attemptTimeout' : 'timeout';
    const settingMs = byAttempt ? attemptMs : now === begunAt ? effective.timeout?.value : undefined;
    this.firstMessageMs = settingMs ?? messageAt - now;
    this.attemptEndsAt = Math.min(messageAt, this.wireEndsAt);
  }
}
