/**
 * What a call came to, as far as the health of its target is concerned, and how a gRPC status reads as that. `neutral` says
 * nothing about the target: a cancel by our own caller, a rejection that never left this process, a callee that sheds load.
 */
export type Outcome = 'success' | 'failure' | 'neutral';

/**
 * gRPC codes that count against the target: Envoy's admission control list, and UNKNOWN, which is what a Node handler that
 * throws yields. Indexed by code, so that classifying costs a load.
 */
const failing: readonly boolean[] = [
  false, // OK
  false, // CANCELLED
  true, // UNKNOWN
  false, // INVALID_ARGUMENT
  true, // DEADLINE_EXCEEDED
  false, // NOT_FOUND
  false, // ALREADY_EXISTS
  false, // PERMISSION_DENIED
  true, // RESOURCE_EXHAUSTED
  false, // FAILED_PRECONDITION
  true, // ABORTED
  false, // OUT_OF_RANGE
  false, // UNIMPLEMENTED
  true, // INTERNAL
  true, // UNAVAILABLE
  true, // DATA_LOSS
  false, // UNAUTHENTICATED
];

/** The outcome of a finished call by its status code; a code outside gRPC's sixteen reads as UNKNOWN, as the protocol asks. */
export function outcomeOfStatus(code: number): Outcome {
  return (failing[code] ?? true) ? 'failure' : 'success';
}
