/**
 * The time limits of one gRPC call. A deadline on the wire is an instant of the wall clock, which may jump; so it is computed
 * once per attempt from what remains on the monotonic clock, and nothing is decided by it here. Limits are those of the
 * policies that held when the call began.
 */
import * as grpc from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import type { Effective } from '../core/policy/model.js';
import { attemptDeadlineAt, effectiveDeadline } from '../core/resilience/deadline.js';
import type { TimeSection } from './target.js';

export interface CallLimits {
  /** Monotonic: by when the attempt must have begun, waiting included; later, nothing could come of it. */
  readonly startsBefore: number;
  /** Whose limit that is; undefined: the caller's. */
  readonly startsBeforeBy: TimeSection | undefined;
  /** Monotonic: when this attempt must be over, or have settled if it streams. */
  readonly attemptEndsAt: number;
  /** Monotonic: when the deadline on the wire is over. */
  readonly wireEndsAt: number;
  /** Wall clock, for grpc-js; undefined: the caller's own holds, as it stands. */
  readonly wireDeadline: number | undefined;
  /** Whose limit the wire deadline is; undefined: the caller's. */
  readonly wireDeadlineBy: TimeSection | undefined;
  /** From the attempt's start to the first message of a streamed response; Infinity: no limit. */
  readonly firstMessageMs: number;
  readonly firstMessageBy: TimeSection;
  /** The attempt begins only now, after its turn in line. */
  restart(now: number): void;
}

/** min(the caller's own deadline, that of the call it is part of, the policy's), for the call and for its attempt. */
export function limitsOf(
  effective: Effective,
  options: grpc.InterceptorOptions,
  clock: Clock,
  now: number,
): CallLimits {
  const callerAt = Math.min(
    endsAt(options.deadline, clock, now),
    endsAt(parentDeadline(options), clock, now),
  );
  return options.method_definition.responseStream
    ? new StreamLimits(effective, callerAt, clock, now)
    : new UnaryLimits(effective, callerAt, clock, now);
}

function endsAt(deadline: grpc.Deadline | undefined, clock: Clock, now: number): number {
  if (deadline === undefined) return Number.POSITIVE_INFINITY;
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  // Not a number: grpc-js refuses it in its own words.
  return Number.isNaN(at) ? Number.POSITIVE_INFINITY : now + (at - clock.wallNow());
}

function parentDeadline({ parent, propagate_flags }: grpc.InterceptorOptions): grpc.Deadline | undefined {
  const flags = propagate_flags ?? grpc.propagate.DEFAULTS;
  return flags & grpc.propagate.DEADLINE ? parent?.getDeadline() : undefined;
}

abstract class Limits {
  /** It waited in line: the caller's deadline, too, is told the wire as what remains of it. */
  #waited = false;
  abstract readonly wireEndsAt: number;
  abstract readonly wireDeadlineBy: TimeSection | undefined;

  constructor(
    readonly effective: Effective,
    readonly clock: Clock,
  ) {}

  get wireDeadline(): number | undefined {
    if (this.wireEndsAt === Number.POSITIVE_INFINITY) return undefined;
    if (this.wireDeadlineBy === undefined && !this.#waited) return undefined;
    return this.clock.wallNow() + (this.wireEndsAt - this.clock.now());
  }

  restart(_now: number): void {
    this.#waited = true;
  }
}

class UnaryLimits extends Limits implements CallLimits {
  readonly startsBefore: number;
  readonly startsBeforeBy: TimeSection | undefined;
  attemptEndsAt: number;
  readonly firstMessageMs = Number.POSITIVE_INFINITY;
  readonly firstMessageBy = 'timeout';

  constructor(effective: Effective, callerAt: number, clock: Clock, now: number) {
    super(effective, clock);
    const { at, by } = effectiveDeadline(now, callerAt, effective.timeout?.value);
    this.startsBefore = at;
    this.startsBeforeBy = by === 'policy' ? 'timeout' : undefined;
    this.attemptEndsAt = attemptDeadlineAt(now, at, effective.attemptTimeout?.value);
  }

  get wireEndsAt(): number {
    return this.attemptEndsAt;
  }

  get wireDeadlineBy(): TimeSection | undefined {
    return this.attemptEndsAt < this.startsBefore ? 'attemptTimeout' : this.startsBeforeBy;
  }

  override restart(now: number): void {
    super.restart(now);
    this.attemptEndsAt = attemptDeadlineAt(now, this.startsBefore, this.effective.attemptTimeout?.value);
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

  constructor(effective: Effective, callerAt: number, clock: Clock, now: number) {
    super(effective, clock);
    const { at, by } = effectiveDeadline(now, callerAt, effective.streamTimeout?.value);
    this.wireEndsAt = at;
    this.wireDeadlineBy = by === 'policy' ? 'streamTimeout' : undefined;
    this.#firstMessageAt = now + (effective.timeout?.value ?? Number.POSITIVE_INFINITY);
    this.startsBefore = Math.min(at, this.#firstMessageAt);
    this.startsBeforeBy = this.#firstMessageAt < at ? 'timeout' : this.wireDeadlineBy;
    this.#attempt(now);
  }

  override restart(now: number): void {
    super.restart(now);
    this.#attempt(now);
  }

  #attempt(now: number): void {
    const messageAt = attemptDeadlineAt(now, this.#firstMessageAt, this.effective.attemptTimeout?.value);
    this.firstMessageBy = messageAt < this.#firstMessageAt ? 'attemptTimeout' : 'timeout';
    this.firstMessageMs = messageAt - now;
    this.attemptEndsAt = Math.min(messageAt, this.wireEndsAt);
  }
}
