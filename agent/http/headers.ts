/**
 * What a request carries besides its own headers: how long the caller will wait, how much the call matters, which attempt this
 * is, and the trace of the call that is being answered. A header that the caller has set stays as it is.
 */
import { type Criticality, criticalityOf, DEFAULT_RANK, rankOf } from '../../core/criticality.js';
import { currentContext } from '../context.js';
import type { GuardContext } from '../guarded-function.js';
import { CRITICALITY_KEY } from '../inherited.js';

const DEADLINE_HEADER = 'x-switchgear-deadline-ms';
const ATTEMPTS_HEADER = 'switchgear-previous-attempts';

/** What stays the same over all attempts of a call. */
export type Inherited = readonly (readonly [name: string, value: string])[];

/** To be read where the call is made, and not where an attempt starts. */
export function inherit(criticality?: Criticality): Inherited {
  const parent = currentContext();
  const own = rankOf(criticality);
  const headers: (readonly [string, string])[] = [];
  if (parent || own !== undefined) {
    const rank = Math.max(parent?.rank ?? 0, own ?? parent?.rank ?? DEFAULT_RANK);
    headers.push([CRITICALITY_KEY, criticalityOf(rank)]);
  }
  for (const [name, value] of parent?.trace ?? []) if (typeof value === 'string') headers.push([name, value]);
  return headers;
}

/** Those of one attempt. */
export function headersOf(context: GuardContext, wallNow: number, inherited: Inherited): Inherited {
  const { deadline, attempt } = context;
  if (deadline === undefined && attempt <= 1) return inherited;
  const headers = [...inherited];
  if (deadline !== undefined)
    headers.push([DEADLINE_HEADER, String(Math.max(1, Math.ceil(deadline - wallNow)))]);
  if (attempt > 1) headers.push([ATTEMPTS_HEADER, String(attempt - 1)]);
  return headers;
}

/** The headers of a dispatch, in whichever of undici's forms they are, with ours. */
export function addHeaders(given: unknown, ours: Inherited): unknown {
  if (ours.length === 0) return given;
  if (given === null || given === undefined) return Object.fromEntries(ours);
  if (Array.isArray(given)) return addFlat(given, ours);
  if (typeof given === 'object' && Symbol.iterator in given) {
    return addFlat([...(given as Iterable<readonly [string, unknown]>)].flat(), ours);
  }
  const own = given as { readonly [name: string]: unknown };
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  return { ...Object.fromEntries(ours.filter(([name]) => !names.has(name))), ...own };
}

/** `[name, value, name, value]`. */
function addFlat(given: readonly unknown[], ours: Inherited): unknown[] {
  const names = new Set(given.filter((_, i) => i % 2 === 0).map((name) => String(name).toLowerCase()));
  return [...given, ...ours.filter(([name]) => !names.has(name)).flat()];
}

/** The headers of a dispatch, in whichever of undici's forms they are, without these (named in small letters). */
export function withoutHeaders(given: unknown, names: ReadonlySet<string>): unknown {
  if (names.size === 0 || typeof given !== 'object' || given === null) return given;
  const stays = (name: unknown) => !names.has(String(name).toLowerCase());
  if (Array.isArray(given)) return given.filter((_, i) => stays(given[i - (i % 2)]));
  if (Symbol.iterator in given)
    return [...(given as Iterable<readonly [string, unknown]>)].filter(([name]) => stays(name)).flat();
  return Object.fromEntries(Object.entries(given).filter(([name]) => stays(name)));
}
