/**
 * The one parser of policy documents: for REST, files, the store and the wire. All faults come at once, those of form and
 * those of sense, each with its place and what would be right; a document without any becomes a `Policy`. Never throws,
 * whatever it is given, and costs no more than the caps allow (64 KiB, 16 levels, 100 issues).
 */
import { hash } from 'node:crypto';
import type { Issue } from '../errors.js';
import { messageOf } from '../errors.js';
import { buildMatch, buildSections } from './build.js';
import { addIssues } from './issues.js';
import type { Policy } from './model.js';
import {
  canonical,
  DOCUMENT_BYTES_MAX,
  isRecord,
  type Plain,
  type PlainObject,
  plainCopy,
  quoted,
} from './plain.js';
import { documentSchema, type Written } from './schema.js';

export type ParseResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly issues: readonly Issue[] };

export interface ParseOptions {
  /** The name under which the document was given: one without a name takes it, one with another is refused. */
  readonly name?: string | undefined;
}

const ISSUES_MAX = 100;
const CONTENTS_MAX = 1_000;
const CONTENT_LENGTH_MAX = 4_096;

/** What documents said that were taken, by its text. */
type Contents = Map<string, Pick<Policy, 'priority' | 'mode' | 'spec' | 'rollout'>>;

/** A policy from plain values (of JSON, YAML or a program). */
export function parsePolicy(input: unknown, options: ParseOptions = {}): ParseResult {
  return read(input, options);
}

/** `json`: the text that it was read from; one that is canonical already is kept in place of a second one like it. */
function read(input: unknown, options: ParseOptions, json?: string, contents?: Contents): ParseResult {
  const issues: Issue[] = [];
  const plain = plainCopy(input, issues);
  if (plain === undefined) return refused(issues);
  const document = named(plain, options.name, issues);
  const made = canonical(document);
  const text = made === json ? json : made;
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX)
    return refused([{ path: '', message: `is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB` }]);
  const key = contents && issues.length === 0 && isRecord(document) ? keyOf(document) : undefined;
  const known = key === undefined ? undefined : contents?.get(key);
  const { data: head } = known ? documentSchema().safeParse(headOf(document)) : {};
  if (known && head) return { ok: true, policy: { ...policyOf(head, text), ...known } };
  const { data, error } = documentSchema().safeParse(document);
  if (error) addIssues(error.issues, issues);
  if (!data || issues.length > 0) return refused(issues);
  const policy = policyOf(data, text);
  if (contents && key !== undefined) {
    const { priority, mode, spec, rollout } = policy;
    if (contents.size >= CONTENTS_MAX) contents.clear();
    contents.set(key, { priority, mode, spec, rollout });
  }
  return { ok: true, policy };
}

/**
 * Reads as `parseDocument` does, and many documents in less time and memory: those that differ in name and match alone share what
 * else they say, as most of a large mesh do. It remembers at most 1,000 such contents, of 4 KiB each.
 */
export class DocumentReader {
  readonly #contents: Contents = new Map();

  parse(json: string, options: ParseOptions = {}): ParseResult {
    return readText(json, options, this.#contents);
  }
}

/** A policy from JSON text, as the store and the wire hold it. */
export function parseDocument(json: string, options: ParseOptions = {}): ParseResult {
  return readText(json, options);
}

function readText(json: string, options: ParseOptions, contents?: Contents): ParseResult {
  if (json.length > DOCUMENT_BYTES_MAX)
    return refused([{ path: '', message: `is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB` }]);
  let input: unknown;
  try {
    input = JSON.parse(json);
  } catch (error) {
    return refused([{ path: '', message: `is no JSON: ${messageOf(error)}` }]);
  }
  return read(input, options, json, contents);
}

/** All of a document but its name and match; undefined: it is judged together with these, or too long to be kept. */
function keyOf({ policy: _, match: __, ...content }: PlainObject): string | undefined {
  const { spec } = content;
  if (isRecord(spec) && (spec.fallback !== undefined || spec.rateLimit !== undefined)) return undefined;
  const key = canonical(content);
  return key.length <= CONTENT_LENGTH_MAX ? key : undefined;
}

function headOf(document: Plain): Plain {
  const { policy = null, match = null } = document as PlainObject;
  return { policy, match };
}

function policyOf(written: Written, document: string): Policy {
  return {
    name: written.policy,
    match: buildMatch(written.match),
    priority: written.priority,
    mode: written.mode,
    spec: buildSections(written.spec),
    rollout: written.rollout,
    document,
    hash: hash('sha256', document, 'hex').slice(0, 16),
  };
}

function named(plain: Plain, name: string | undefined, issues: Issue[]): Plain {
  if (name === undefined || !isRecord(plain)) return plain;
  if (plain.policy === undefined) return Object.assign(Object.create(null), plain, { policy: name });
  if (plain.policy !== name && typeof plain.policy === 'string')
    issues.push({
      path: 'policy',
      message: `must be ${quoted(name)}, the name it is put under; got ${quoted(plain.policy)}`,
    });
  return plain;
}

function refused(issues: readonly Issue[]): ParseResult {
  if (issues.length <= ISSUES_MAX) return { ok: false, issues };
  const more = { path: '', message: `and ${issues.length - ISSUES_MAX} more` };
  return { ok: false, issues: [...issues.slice(0, ISSUES_MAX), more] };
}
