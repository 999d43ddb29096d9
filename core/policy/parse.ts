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
import { canonical, DOCUMENT_BYTES_MAX, isRecord, type Plain, plainCopy, quoted } from './plain.js';
import { documentSchema, type Written } from './schema.js';

export type ParseResult =
  | { readonly ok: true; readonly policy: Policy }
  | { readonly ok: false; readonly issues: readonly Issue[] };

export interface ParseOptions {
  /** The name under which the document was given: one without a name takes it, one with another is refused. */
  readonly name?: string | undefined;
}

const ISSUES_MAX = 100;

/** A policy from plain values (of JSON, YAML or a program). */
export function parsePolicy(input: unknown, options: ParseOptions = {}): ParseResult {
  return read(input, options);
}

/** `json`: the text that it was read from; one that is canonical already is kept in place of a second one like it. */
function read(input: unknown, options: ParseOptions, json?: string): ParseResult {
  const issues: Issue[] = [];
  const plain = plainCopy(input, issues);
  if (plain === undefined) return refused(issues);
  const document = named(plain, options.name, issues);
  const made = canonical(document);
  const text = made === json ? json : made;
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX)
    return refused([{ path: '', message: `is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB` }]);
  const { value, wrong } = documentSchema().read(document);
  addIssues(wrong, issues);
  if (value && issues.length === 0) return { ok: true, policy: policyOf(value, text) };
  return refused(issues);
}

/** A policy from JSON text, as the store and the wire hold it. */
export function parseDocument(json: string, options: ParseOptions = {}): ParseResult {
  if (json.length > DOCUMENT_BYTES_MAX)
    return refused([{ path: '', message: `is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB` }]);
  let input: unknown;
  try {
    input = JSON.parse(json);
  } catch (error) {
    return refused([{ path: '', message: `is no JSON: ${messageOf(error)}` }]);
  }
  return read(input, options, json);
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
