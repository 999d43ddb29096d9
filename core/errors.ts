/**
 * The one error class of the project and its closed set of codes. A code says what happened, in words that programs can rely
 * on; the message says it to a person, with the policy and revision that did it and what to do next. `docs/errors.md` has a
 * row for each code; a test holds the two together.
 */

/** Codes of calls: what the agent tells the application. */
export const callCodes = [
  'circuit_open',
  'bulkhead_full',
  'bulkhead_timeout',
  'rate_limited',
  'deadline_exceeded',
  'overloaded',
  'no_instances',
  'fallback_error',
  'cancelled',
  'mesh_closed',
] as const;

/** Codes of the control plane: what REST, the stream, the store and the CLI tell their users. */
export const controlCodes = [
  'invalid_policy',
  'invalid_request',
  'invalid_configuration',
  'not_found',
  'method_not_allowed',
  'revision_conflict',
  'rollout_halted',
  'unsupported_media_type',
  'payload_too_large',
  'not_acceptable',
  'unauthenticated',
  'permission_denied',
  'rate_limited_request',
  'store_unavailable',
  'store_corrupt',
  'store_locked',
  'address_in_use',
  'unavailable',
  'internal',
] as const;

export type CallCode = (typeof callCodes)[number];
export type ControlCode = (typeof controlCodes)[number];
export type ErrorCode = CallCode | ControlCode;

/** One fault of an input: where (`spec.circuit.window`, `""` for the whole) and what would be right. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

export interface MeshErrorFields {
  /** Callee, resource or document the error is about. */
  target?: string | undefined;
  /** Name of the policy that decided. */
  policy?: string | undefined;
  /** Revision of that policy. */
  revision?: number | undefined;
  /** When a new try makes sense, milliseconds from now. */
  retryAfterMs?: number | undefined;
  issues?: readonly Issue[] | undefined;
  cause?: unknown;
}

/**
 * `message` reads `[circuit_open] inventory: retry in 1200 ms (policy inventory-default@7)`. Building one collects no stack
 * trace: a rejection is an ordinary answer and must cost as little (a trace costs 5 µs and more). But a mistake of the program's has
 * one, since its place is what there is to know.
 */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly target: string | undefined;
  readonly policy: string | undefined;
  readonly revision: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly issues: readonly Issue[] | undefined;

  constructor(code: ErrorCode, text: string, fields: MeshErrorFields = {}) {
    const limit = Error.stackTraceLimit;
    if (code !== 'invalid_configuration') Error.stackTraceLimit = 0;
    const message = describe(code, text, fields);
    if (fields.cause === undefined) super(message);
    else super(message, { cause: fields.cause });
    Error.stackTraceLimit = limit;
    this.name = 'MeshError';
    this.code = code;
    this.target = fields.target;
    this.policy = fields.policy;
    this.revision = fields.revision;
    this.retryAfterMs = fields.retryAfterMs;
    this.issues = fields.issues;
  }
}

function describe(code: ErrorCode, text: string, { target, policy, revision }: MeshErrorFields): string {
  const where = target === undefined ? '' : `${target}: `;
  const who =
    policy === undefined ? '' : ` (policy ${policy}${revision === undefined ? '' : `@${revision}`})`;
  return `[${code}] ${where}${text}${who}`;
}

/** Whatever was thrown, as a MeshError: itself if it is one, else `internal` with the original as its cause. */
export function toMeshError(thrown: unknown, fallback: ErrorCode = 'internal'): MeshError {
  if (thrown instanceof MeshError) return thrown;
  return new MeshError(fallback, messageOf(thrown), { cause: thrown });
}

/** The message of anything that can be thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
