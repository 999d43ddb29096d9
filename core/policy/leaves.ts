/**
 * The kinds of values that fields of a policy hold, as zod schemas whose faults read as what would be right. The text of an
 * issue is made here; `parse.ts` adds the place.
 */
import * as z from 'zod';
import { nearest } from './names.js';
import { described, isRecord } from './plain.js';
import {
  durationPattern,
  formatDuration,
  formatRate,
  parseDuration,
  parseRate,
  ratePattern,
} from './units.js';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** In words, what `serviceNamePattern` takes. */
export const serviceRight = 'a name of letters, digits and . _ : - (at most 128)';

/** `must be …; got …`, or that the field is required. */
export function must(be: string): (issue: { readonly input?: unknown }) => string {
  return ({ input }) =>
    input === undefined ? `is required: ${be}` : `must be ${be}; got ${described(input)}`;
}

/** Text → milliseconds. */
export function duration(minMs: number, maxMs: number) {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  const right = must(`a duration with its unit (ms, s, m, h), for example 250ms or 5s, ${range}`);
  return measure(right, durationPattern, range, (text) => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
  });
}

/** Text → fraction, from `min` to `max` (fractions); `aboveMin`: the least itself is refused. */
export function rate(min: number, max: number, { aboveMin = false } = {}) {
  const range = `${aboveMin ? 'above' : 'from'} ${formatRate(min)} to ${formatRate(max)}`;
  return measure(must(`a percentage, for example 50%, ${range}`), ratePattern, range, (text) => {
    const fraction = parseRate(text);
    const right = fraction !== undefined && fraction <= max && (aboveMin ? fraction > min : fraction >= min);
    return right ? fraction : undefined;
  });
}

/** A number that is written with its unit. Pattern and range go into the JSON Schema, which knows no units. */
function measure(
  error: ReturnType<typeof must>,
  pattern: RegExp,
  range: string,
  read: (text: string) => number | undefined,
) {
  const text = z.string({ error }).meta({ pattern: pattern.source, 'x-range': range });
  return text.transform((input, ctx): number => {
    const number = read(input);
    if (number !== undefined) return number;
    ctx.issues.push({ code: 'custom', input, message: error({ input }) });
    return z.NEVER;
  });
}

export function whole(min: number, max: number) {
  const error = must(`a whole number from ${min} to ${max}`);
  return z.int({ error }).gte(min, { error }).lte(max, { error });
}

export function choice<const T extends readonly [string, ...string[]]>(...values: T) {
  const right = must(`one of ${values.join(', ')}`);
  return z.enum(values, { error: (issue) => right(issue) + suggestion(issue.input, values) });
}

export function name(pattern: RegExp, right: string) {
  const error = must(right);
  return z.string({ error }).regex(pattern, { error });
}

/** Hints are dear (edit distances); nobody reads more. */
const HINTS_MAX = 100;

/** An object of these fields and no others; `refused` are fields that have an answer of their own. */
export function record<const S extends z.core.$ZodLooseShape>(
  shape: S,
  refused: Readonly<Record<string, string>> = {},
) {
  const known = Object.keys(shape);
  const right = must(`an object with any of ${known.join(', ')}`);
  const unknown = (key: string) => {
    const meant = nearest(key, known);
    if (Object.hasOwn(refused, key)) return refused[key] ?? '';
    return meant === undefined
      ? `unknown field; known here: ${known.join(', ')}`
      : `unknown field; did you mean ${meant}?`;
  };
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.slice(0, HINTS_MAX).map(unknown).join('\n')
        : right(issue),
  });
}

/** A hint for a word that is nearly one of these, else nothing. */
export function suggestion(input: unknown, known: readonly string[]): string {
  const meant = typeof input === 'string' ? nearest(input, known) : undefined;
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

/** The fields of an object that may be wrong in parts: a wrong one holds whatever was written. */
export type Fields = Readonly<Record<string, unknown>>;

/** Tells a fault at this path below the object, and what would be right. */
export type Fault = (path: readonly PropertyKey[], message: string) => void;

/**
 * Fields that are right in themselves and impossible together. Runs also when others are wrong, so that one answer names all.
 * `strange`: there are fields that nobody knows, which was told; they aren't among these.
 */
export function sense(check: (fields: Fields, fault: Fault, strange: boolean) => void) {
  return z.superRefine(
    (value: unknown, ctx) => {
      const fault: Fault = (path, message) => ctx.addIssue({ code: 'custom', path: [...path], message });
      const strange = ctx.issues.some(
        ({ code, path = [] }) => code === 'unrecognized_keys' && path.length === 0,
      );
      check(value as Fields, fault, strange);
    },
    { when: ({ value }) => isRecord(value) },
  );
}

/** The same of a list: of its items, those that are wrong hold whatever was written. */
export function senseOfList(check: (items: readonly unknown[], fault: Fault) => void) {
  return z.superRefine(
    (value: unknown, ctx) => {
      check(value as readonly unknown[], (path, message) =>
        ctx.addIssue({ code: 'custom', path: [...path], message }),
      );
    },
    { when: ({ value }) => Array.isArray(value) },
  );
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
