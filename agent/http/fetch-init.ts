/**
 * What `mesh.fetch` is given, taken apart: what is guard's, and what is fetch's. Fields are read by name, as fetch reads them, and
 * not copied: those of a Request, or of an instance of whatever class, are no properties of its own.
 */
import { MeshError } from '../../core/errors.js';
import type { GuardOptions } from '../guarded-function.js';

/** As for fetch, and as for guard. A failed status is an answer, for which `fallback` is not asked; the policy's own chain is. */
export interface FetchInit
  extends Omit<RequestInit, 'dispatcher' | 'signal'>,
    Pick<GuardOptions<Response>, 'key' | 'criticality' | 'fallback'> {
  /** The caller's: ends the call, or its body, with `signal.reason`, and counts neither way. */
  readonly signal?: AbortSignal | null | undefined;
}

/** All that fetch looks at but `signal`, which is the call's, and `dispatcher`, which is ours. */
const fields = [
  'method',
  'headers',
  'body',
  'duplex',
  'redirect',
  'referrer',
  'referrerPolicy',
  'mode',
  'credentials',
  'cache',
  'integrity',
  'keepalive',
  'window',
] as const;

/** Fetch's part of it. */
export function requestOf(init: FetchInit): RequestInit {
  const given = init as { readonly [name: string]: unknown };
  const request: { [name: string]: unknown } = {};
  for (const name of fields) if (given[name] !== undefined) request[name] = given[name];
  return request as RequestInit;
}

/** Throws `invalid_configuration` unless it is a path of the service. */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path === 'string' && path.startsWith('/')) return;
  const given = typeof path === 'string' ? `"${path.slice(0, 200)}"` : `of type ${typeof path}`;
  throw new MeshError(
    'invalid_configuration',
    `fetch: the path is ${given}: give a path of the service that begins with /, for example /charge; the mesh finds the host`,
  );
}
