/**
 * Under which name the last good answer of a call stands, for the fallback `cache`: made of all that the answer depends on, so that
 * neither another request nor another kind of call is given it.
 */
import { createHash } from 'node:crypto';
import type { EngineOptions } from './guarded-function.js';

/** Longer names are hashed. */
const CHARACTERS_MAX = 256;

/** Lengths first, so that no part can pass for two. */
export function nameOf(parts: readonly string[]): string {
  const whole = `${parts.map(({ length }) => length).join()}|${parts.join('|')}`;
  return whole.length <= CHARACTERS_MAX ? whole : createHash('sha256').update(whole).digest('base64');
}

/** Of a guarded call: its key, and where the call is a request that request, too. Undefined: no answer is kept. */
export function cacheNameOf(
  callee: string,
  { key, request }: Pick<EngineOptions<unknown>, 'key' | 'request'>,
): string | undefined {
  if (key === undefined) return undefined;
  if (request === undefined) return nameOf(['guard', callee, key]);
  const asked = request();
  return asked && nameOf(['http', callee, key, ...asked]);
}
