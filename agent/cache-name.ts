/**
 * Where the last good answer of a guarded call stands, for the fallback `cache`: by its key, and where the call is a request by that
 * request, too. Neither is given the other's.
 */
import type { EngineOptions } from './guarded-function.js';

/** Under which name a good answer is kept among those of `Targets.responses`; undefined: it isn't. */
export function cacheNameOf(
  callee: string,
  { key, request }: Pick<EngineOptions<unknown>, 'key' | 'request'>,
): string | undefined {
  if (key === undefined) return undefined;
  if (request === undefined) return `guard|${callee}|${key}`;
  const asked = request();
  return asked === undefined ? undefined : `http|${callee}|${key.length}|${key}|${asked}`;
}
