/**
 * The first thing that happens to a document from outside: it is copied into plain values (objects without a prototype), and
 * what is no JSON, reaches into a prototype, or is too deep or too large is named. Behind this no getter runs, no key is
 * hostile, and no recursion is deeper than the cap, whatever was handed in.
 */
import type { Issue } from '../errors.js';
import { hostileKeys } from './names.js';

export type Plain = null | boolean | number | string | readonly Plain[] | PlainObject;
export interface PlainObject {
  readonly [key: string]: Plain;
}
export type Path = readonly PropertyKey[];

/** Of the canonical document, in UTF-8. */
export const DOCUMENT_BYTES_MAX = 65_536;
export const DEPTH_MAX = 16;
/** More cannot fit into a document; ends shared references that unfold into more. */
const NODES_MAX = DOCUMENT_BYTES_MAX / 2;

/** Undefined if the document can't be looked at any further; `issues` says why. */
export function plainCopy(input: unknown, issues: Issue[]): Plain | undefined {
  let nodes = 0;

  /** Of what is looked at; one list for all, since a path is asked for only where something is refused. */
  const path: PropertyKey[] = [];

  const copy = (value: unknown): Plain | undefined => {
    if (++nodes > NODES_MAX) return undefined;
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number') {
      if (Number.isFinite(value)) return value;
      return refuse(`must be a finite number; got ${value}`);
    }
    if (typeof value !== 'object') return refuse(`must be JSON; got ${described(value)}`);
    if (path.length >= DEPTH_MAX) return refuse(`nested too deeply; at most ${DEPTH_MAX} levels`);
    if (Array.isArray(value)) return copyList(value);
    if (!isRecord(value)) return refuse(`must be JSON; got ${described(value)}`);
    return copyRecord(value);
  };

  const below = (key: PropertyKey, value: unknown): Plain => {
    path.push(key);
    // What is refused keeps its place, so that nobody calls it missing.
    const copied = copy(value) ?? null;
    path.pop();
    return copied;
  };

  const copyList = (list: readonly unknown[]): Plain => {
    const copied: Plain[] = [];
    for (let i = 0; i < list.length && nodes <= NODES_MAX; i++) copied.push(below(i, list[i]));
    return copied;
  };

  const copyRecord = (record: Readonly<Record<string, unknown>>): Plain => {
    const copied: Record<string, Plain> = Object.create(null);
    for (const key of Object.keys(record)) {
      if (nodes > NODES_MAX) break;
      if (hostileKeys.has(key)) {
        issues.push({ path: pathOf([...path, key]), message: 'is not allowed as a name' });
        continue;
      }
      const value = record[key];
      if (value !== undefined) copied[key] = below(key, value);
    }
    return copied;
  };

  const refuse = (message: string): undefined => {
    issues.push({ path: pathOf(path), message });
    return undefined;
  };

  try {
    const plain = copy(input);
    if (nodes <= NODES_MAX) return plain;
    return refuse(`is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB`);
  } catch {
    // A getter or a proxy of the caller's own.
    path.length = 0;
    return refuse("can't be read: it must be plain JSON");
  }
}

/** Canonical JSON: keys sorted by code unit, no blanks. Two documents that say the same in the same words are one text. */
export function canonical(value: Plain): string {
  // What was stored is in order already, and many times sooner looked at than made anew.
  return isOrdered(value) ? JSON.stringify(value) : ordered(value);
}

function isOrdered(value: Plain): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (isList(value)) return value.every(isOrdered);
  let last = '';
  for (const key of Object.keys(value)) {
    if (key < last || !isOrdered(value[key] as Plain)) return false;
    last = key;
  }
  return true;
}

function ordered(value: Plain): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isList(value)) return `[${value.map(ordered).join(',')}]`;
  const entries = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${ordered(value[key] as Plain)}`);
  return `{${entries.join(',')}}`;
}

/** `spec.fallback[0].static["a b"]`; empty for the whole. */
export function pathOf(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(String(part)))
      text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${quoted(String(part))}]`;
  }
  return text;
}

/** In quotes, and never longer than a line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 61)}...` : text);
}

/** What is there instead of what would be right: `the number 5`, `a list`. */
export function described(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      return `the number ${value}`;
    case 'boolean':
      return String(value);
    case 'object':
      return isRecord(value) ? 'an object' : 'something that is no JSON';
    case 'undefined':
      return 'nothing';
    default:
      return `a ${typeof value}`;
  }
}

export function isList(value: unknown): value is readonly Plain[] {
  return Array.isArray(value);
}

/** An object as JSON has them: of no class but Object, of whichever realm. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
