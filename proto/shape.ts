/**
 * Bounds of decoded messages, as tables: how long a text, how many items, how large a number. The decoder knows types only; a
 * peer that means harm knows that too. A check costs nothing when all is well: no copy, and the path to the culprit is put
 * together only once there is one.
 */
import type { Issue } from '../core/errors.js';

/** The first fault found, or undefined. */
export type Check = (value: unknown) => Issue | undefined;

const fault = (message: string): Issue => ({ path: '', message });

function within(step: string, { path, message }: Issue): Issue {
  const joint = path === '' || path.startsWith('[') ? '' : '.';
  return { path: `${step}${joint}${path}`, message };
}

/** Any text of at most `lengthMax` UTF-16 units. */
export function text(lengthMax: number): Check {
  return (value) =>
    typeof value === 'string' && value.length <= lengthMax
      ? undefined
      : fault(`has to be a text of at most ${lengthMax} characters`);
}

/** A text that names something: not empty, nothing invisible in it. */
export function name(lengthMax: number): Check {
  return (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= lengthMax && isVisible(value)
      ? undefined
      : fault(`has to be a name of 1 to ${lengthMax} visible characters`);
}

/** ASCII is looked at directly: a name a message, ten thousand of them in a storm. */
function isVisible(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 126) return !/\p{C}/u.test(text);
    if (code < 32) return false;
  }
  return true;
}

export function bytes(lengthMax: number): Check {
  return (value) =>
    value instanceof Uint8Array && value.length <= lengthMax
      ? undefined
      : fault(`has to be at most ${lengthMax} bytes`);
}

/** A whole number that JavaScript can tell from its neighbours. */
export const integer: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : fault('has to be a whole number from 0 to 2^53-1');

export const flag: Check = (value) =>
  typeof value === 'boolean' ? undefined : fault('has to be true or false');

export function list(itemsMax: number, item: Check): Check {
  return (value) => {
    if (!Array.isArray(value)) return fault('has to be a list');
    if (value.length > itemsMax) return fault(`has ${value.length} items; at most ${itemsMax} are allowed`);
    for (let index = 0; index < value.length; index++) {
      const found = item(value[index]);
      if (found) return within(`[${index}]`, found);
    }
    return undefined;
  };
}

export function message(fields: Readonly<Record<string, Check>>): Check {
  const entries = Object.entries(fields);
  return (value) => {
    if (typeof value !== 'object' || value === null) return fault('is missing');
    const record = value as Record<string, unknown>;
    for (const [field, check] of entries) {
      const found = check(record[field]);
      if (found) return within(field, found);
    }
    return undefined;
  };
}

/** Absent, or this. */
export function optional(check: Check): Check {
  return (value) => (value === null || value === undefined ? undefined : check(value));
}

/** Exactly one member is set, and it is one of these. */
export function oneOf(members: Readonly<Record<string, Check>>): Check {
  const names = Object.keys(members).join(', ');
  return (value) => {
    const record = value as Record<string, unknown>;
    const member = record.message;
    const check = typeof member === 'string' && Object.hasOwn(members, member) ? members[member] : undefined;
    if (!check || typeof member !== 'string')
      return fault(`no known message is set; one of ${names} is needed`);
    const found = check(record[member]);
    return found && within(member, found);
  };
}
