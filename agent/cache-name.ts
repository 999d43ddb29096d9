/**
 * Under which name the cache of fallbacks keeps the answer of a guarded call: by what the call is about, and of HTTP by the request too.
 */
import type { EngineOptions } from './guarded-function.js';

/** Among those of `Targets.responses`; undefined: it isn't kept. */
export function cacheNameOf(
  callee: string,
  { key, request }: Pick<EngineOptions<unknown>, 'key' | 'request'>,
): string | undefined {
  if (key === undefined) return undefined;
  if (request === undefined) return `guard|${callee}|${key}`;
  const asked = request();
  return asked === undefined ? undefined : `http|${callee}|${key.length}|${key}|${asked}`;
}
