/**
 * Every answer that is not a success, as an RFC 9457 problem document. The one table from codes to HTTP statuses stands here,
 * and so does the only place where an error becomes text for a client: what we said on purpose (a MeshError) is told whole,
 * anything else is `internal` and told only to the log. Headers, tokens and query strings are never repeated.
 */
import { STATUS_CODES } from 'node:http';
import { type ControlCode, controlCodes, type Issue, MeshError } from '../../core/errors.js';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ControlCode;
  /** Path of the request. */
  readonly instance: string;
  readonly issues?: readonly Issue[];
  /** Of a conflict: the policy, and its present revision (`null`: it does not exist). */
  readonly policy?: string;
  readonly revision?: number | null;
}

export const problemType = 'application/problem+json; charset=utf-8';

const statuses: Record<ControlCode, { readonly status: number; readonly title: string }> = {
  invalid_policy: { status: 422, title: 'The document is not valid' },
  invalid_request: { status: 400, title: 'The request is not valid' },
  invalid_configuration: { status: 500, title: 'The control plane is not configured right' },
  not_found: { status: 404, title: 'There is no such thing' },
  method_not_allowed: { status: 405, title: 'The method is not for this resource' },
  revision_conflict: { status: 412, title: 'The policy has another revision' },
  rollout_halted: { status: 409, title: 'The rollout is halted' },
  unsupported_media_type: { status: 415, title: 'The content type is not understood' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  not_acceptable: { status: 406, title: 'None of the types asked for can be given' },
  unauthenticated: { status: 401, title: 'A token is needed' },
  permission_denied: { status: 403, title: 'This is not allowed' },
  rate_limited_request: { status: 429, title: 'Too many requests' },
  store_unavailable: { status: 503, title: 'The store does not answer' },
  store_corrupt: { status: 500, title: 'The store holds something that can not be read' },
  store_locked: { status: 503, title: 'The store belongs to another process' },
  address_in_use: { status: 500, title: 'The address is in use' },
  unavailable: { status: 503, title: 'Not available at present' },
  internal: { status: 500, title: 'Something is wrong in the control plane' },
};

export function statusOf(code: ControlCode): number {
  return statuses[code].status;
}

const INSTANCE_LENGTH_MAX = 512;
const RETRY_AFTER_MS = 1000;

/**
 * A MeshError of the control plane as its document. Codes of calls have no business here and count as `internal`. `reference`
 * is what the log calls this failure, for the person who goes and looks.
 */
export function problemOf(error: MeshError, url: string, reference: string): Problem {
  const code = isControlCode(error.code) ? error.code : 'internal';
  const { status, title } = statuses[code];
  return {
    type: `urn:switchgear:error:${code}`,
    title,
    status,
    detail: code === 'internal' ? `see the log of the control plane, reference ${reference}` : textOf(error),
    code,
    instance: (url.split('?')[0] ?? '').slice(0, INSTANCE_LENGTH_MAX),
    ...(error.issues === undefined ? {} : { issues: error.issues }),
    ...(error.policy === undefined ? {} : { policy: error.policy }),
    ...(error.revision === undefined && code !== 'revision_conflict'
      ? {}
      : { revision: error.revision ?? null }),
  };
}

/** Headers that belong to a problem: how to authenticate, when to come back. */
export function problemHeaders(error: MeshError, status: number): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': problemType, 'cache-control': 'no-store' };
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="switchgear"';
  if (status === 503 || status === 429)
    headers['retry-after'] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? RETRY_AFTER_MS) / 1000)));
  return headers;
}

/** What fastify itself found wrong, in the codes of the house; anything unknown is `internal`, with its cause for the log. */
export function normalise(thrown: unknown): MeshError {
  if (thrown instanceof MeshError) return thrown;
  const { code, statusCode } = fieldsOf(thrown);
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new MeshError('payload_too_large', 'the body may have up to 1 MiB');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
      return new MeshError('unsupported_media_type', acceptedTypes);
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new MeshError('invalid_request', 'the body is not as long as its content-length says');
    case 'FST_ERR_BAD_URL':
      return new MeshError(
        'invalid_request',
        'the path is not a valid URL path; encode names by percent signs',
      );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new MeshError('invalid_request', 'the request can not be read');
  return new MeshError('internal', 'unexpected', { cause: thrown });
}

export const acceptedTypes = 'send application/json or application/yaml, in UTF-8 and not compressed';

function isControlCode(code: string): code is ControlCode {
  return (controlCodes as readonly string[]).includes(code);
}

/** The message without its `[code]`, which the document has in a field of its own. */
function textOf(error: MeshError): string {
  return error.message.replace(/^\[\w+\] /, '');
}

function fieldsOf(thrown: unknown): { code?: string; statusCode?: number } {
  if (typeof thrown !== 'object' || thrown === null) return {};
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  return {
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof statusCode === 'number' ? { statusCode } : {}),
  };
}

/** The reason phrase of a raw answer, where fastify is not there to write it. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? 'Error';
}
