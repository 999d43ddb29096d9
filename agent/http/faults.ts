/**
 * Errors of an exchange that say something else than "the callee is ill": nothing was sent, the request can't be made at all, or
 * the connections were closed with their mesh. What remembers an error here holds it weakly.
 */

const unsent = new WeakSet<object>();

/** Remembers that this error came before anything was sent. */
export function markUnsent(error: unknown): void {
  if (typeof error === 'object' && error !== null) unsent.add(error);
}

export function isUnsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unsent.has(error);
}

/** The application's own fault: no instance has seen it, and none would take it. */
export function isUnmakeable(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED';
}

/** The pool was closed with its mesh. */
export function isPoolClosed(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED';
}

/** Undici's and the network's own; fetch hides it in the cause. */
function codeOf(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof cause === 'object' && cause !== null && 'code' in cause) return cause.code;
  return code;
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
