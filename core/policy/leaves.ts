/**
 * The kinds of values that fields of a policy hold, as forms whose faults read as what would be right. The text of an issue is made
 * here; `parse.ts` adds the place.
 */
import {
  type Check,
  type Fields as FieldForms,
  type Form,
  fieldsOf,
  formOf,
  type Lengths,
  type Right,
} from './form.js';
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
export function must(be: string): Right {
  return (value) => (value === undefined ? `is required: ${be}` : `must be ${be}; got ${described(value)}`);
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
  right: Right,
  pattern: RegExp,
  range: string,
  read: (text: string) => number | undefined,
): Form<number> {
  const schema = () => ({ type: 'string', pattern: pattern.source, 'x-range': range });
  return formOf(isText, right, schema, (value, wrong) => {
    const number = read(value);
    if (number === undefined) wrong.push({ path: [], message: right(value) });
    return number ?? value;
  });
}

export function whole(min: number, max: number): Form<number> {
  const right = must(`a whole number from ${min} to ${max}`);
  const schema = () => ({ type: 'integer', minimum: min, maximum: max });
  return formOf(isWhole, right, schema, (value, wrong) => {
    if (value < min || value > max) wrong.push({ path: [], message: right(value) });
    return value;
  });
}

/** Any number from this one on. */
export function number(min = -Number.MAX_VALUE): Form<number> {
  const right = must(min === 0 ? 'a number, 0 or above' : 'a number');
  const is = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= min;
  return formOf(is, right, () => ({ type: 'number' }));
}

/** A whole number, 0 or above. */
export function count(): Form<number> {
  return whole(0, Number.MAX_SAFE_INTEGER);
}

export function flag(): Form<boolean> {
  const is = (value: unknown): value is boolean => typeof value === 'boolean';
  return formOf(is, must('true or false'), () => ({ type: 'boolean' }));
}

/** One of these words. `right`: instead of naming them all. `hint`: beside it, after what is nearly a word. */
export function choice<const T extends readonly [string, ...string[]]>(
  values: T,
  right: Right = must(`one of ${values.join(', ')}`),
  hint: (value: unknown) => string = (value) => suggestion(value, values),
): Form<T[number]> {
  const known: ReadonlySet<unknown> = new Set(values);
  const is = (value: unknown): value is T[number] => known.has(value);
  const schema = values.length === 1 ? { const: values[0] } : { enum: values };
  return formOf(
    is,
    (value) => right(value) + hint(value),
    () => ({ type: 'string', ...schema }),
  );
}

/** Any text, or one of at most so many characters, with what is said beyond them; `right`: where it is none. */
export function text(right: Right = must('text'), most?: Lengths['most']): Form<string> {
  const schema = () => ({ type: 'string', ...(most && { maxLength: most[0] }) });
  return formOf(isText, right, schema, (value, wrong) => {
    if (most && value.length > most[0]) wrong.push({ path: [], message: most[1] });
    return value;
  });
}

export function name(pattern: RegExp, right: string): Form<string> {
  return matching(pattern, must(right));
}

/** Text of this pattern. */
export function matching(pattern: RegExp, right: Right): Form<string> {
  const schema = () => ({ type: 'string', pattern: pattern.source });
  return formOf(isText, right, schema, (value, wrong) => {
    if (!pattern.test(value)) wrong.push({ path: [], message: right(value) });
    return value;
  });
}

const linePattern = /^\P{Cc}*$/u;

/** Why somebody did something: a line of visible characters, without the blanks around it. */
export function reason(max: number, right: Right): Form<string> {
  const schema = () => ({ type: 'string', minLength: 1, maxLength: max, pattern: linePattern.source });
  return formOf(isText, right, schema, (value, wrong) => {
    const why = value.trim();
    if (why === '') wrong.push({ path: [], message: 'must say why, in a few words' });
    else if (why.length > max) wrong.push({ path: [], message: `must have at most ${max} characters` });
    else if (!linePattern.test(why))
      wrong.push({ path: [], message: 'must be one line of visible characters' });
    return why;
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

/** Hints are dear (edit distances); nobody reads more. */
const HINTS_MAX = 100;

/** An object of these fields and no others; `refused` are fields that have an answer of their own. */
export function record<const S extends FieldForms>(shape: S, refused: Readonly<Record<string, string>> = {}) {
  const known = Object.keys(shape);
  const right = must(`an object with any of ${known.join(', ')}`);
  return fieldsOf(shape, right, (key, before) => {
    if (before >= HINTS_MAX) return 'unknown field';
    if (Object.hasOwn(refused, key)) return refused[key] ?? '';
    const meant = nearest(key, known);
    return meant === undefined
      ? `unknown field; known here: ${known.join(', ')}`
      : `unknown field; did you mean ${meant}?`;
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
export function sense(check: (fields: Fields, fault: Fault, strange: boolean) => void): Check {
  return (value, fault, strange) => {
    if (isRecord(value)) check(value, fault, strange);
  };
}

/** The same of a list: of its items, those that are wrong hold whatever was written. */
export function senseOfList(check: (items: readonly unknown[], fault: Fault) => void): Check {
  return (value, fault) => {
    if (Array.isArray(value)) check(value, fault);
  };
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
