/**
 * Until when a call, and each of its attempts, may take. One deadline spans everything: waiting in line, all attempts, the
 * pauses between them. Instants are those of the monotonic clock; Infinity means no limit.
 */
export interface Deadline {
  /** The earliest of all limits. */
  readonly at: number;
  /** Whose limit that is. */
  readonly by: 'caller' | 'policy' | 'none';
}

const UNLIMITED: Deadline = { at: Number.POSITIVE_INFINITY, by: 'none' };

/** min(the caller's own, the policy's `timeout` from now on). At a tie it is the caller's: it knew first. */
export function effectiveDeadline(now: number, callerAt: number, timeoutMs: number | undefined): Deadline {
  const policyAt = timeoutMs === undefined ? Number.POSITIVE_INFINITY : now + timeoutMs;
  if (policyAt < callerAt) return { at: policyAt, by: 'policy' };
  return callerAt === Number.POSITIVE_INFINITY ? UNLIMITED : { at: callerAt, by: 'caller' };
}

/** An attempt's own limit: min(`attemptTimeout`, what remains of the whole). */
export function attemptDeadlineAt(
  now: number,
  deadlineAt: number,
  attemptTimeoutMs: number | undefined,
): number {
  return attemptTimeoutMs === undefined ? deadlineAt : Math.min(deadlineAt, now + attemptTimeoutMs);
}
