/**
 * Text to policies, and back. A text is JSON or YAML, one document or several (a YAML stream, or a list of either), and what is
 * written by `formatDocuments` is read back as it was. All faults of a text come in one answer, each with its document, its
 * path and, in YAML, its line. Never throws; whoever reads from the network bounds the text to 1 MiB first.
 */
import { stringify } from 'yaml';
import { type Issue, messageOf } from '../core/errors.js';
import type { Policy } from '../core/policy/model.js';
import { inFieldOrder } from '../core/policy/order.js';
import { parsePolicy } from '../core/policy/parse.js';
import { quoted } from '../core/policy/plain.js';
import { repeatedKeys } from './json-text.js';
import { DOCUMENTS_MAX, readYaml, type TextDocument } from './yaml-text.js';

export { DOCUMENTS_MAX };

export type Form = 'json' | 'yaml';

export interface ReadOptions {
  /** Absent: JSON if it reads as JSON, else YAML. */
  readonly form?: Form | undefined;
  /** Exactly one document is wanted, under this name. */
  readonly name?: string | undefined;
}

export type ReadResult =
  | { readonly ok: true; readonly policies: readonly Policy[] }
  | { readonly ok: false; readonly issues: readonly Issue[] };

const ISSUES_MAX = 100;

interface Text {
  readonly documents: readonly TextDocument[];
  /** Paths begin with the document's index. */
  readonly many: boolean;
}

/** All policies of a text in their order, or all of its faults (100 and a count). */
export function readPolicies(text: string, { form, name }: ReadOptions = {}): ReadResult {
  const { documents, many } = readText(text, form);
  const issues = countIssues(documents.length, name);
  const policies: Policy[] = [];
  const firsts = new Map<string, number>();
  for (const [index, document] of documents.slice(0, DOCUMENTS_MAX).entries()) {
    const faults = [...document.faults];
    // What has no value at all is told by its faults.
    const result = document.value === undefined ? undefined : parsePolicy(document.value, { name });
    if (result?.ok === false)
      for (const { path, message } of result.issues)
        faults.push({ path, message, line: document.lineOf(path) });
    if (result?.ok === true) {
      const first = firsts.get(result.policy.name) ?? index;
      firsts.set(result.policy.name, first);
      policies.push(result.policy);
      if (first < index) {
        const message = `${quoted(result.policy.name)} is there twice, first in [${first}]`;
        faults.push({ path: 'policy', message, line: document.lineOf('policy') });
      }
    }
    for (const fault of faults)
      issues.push({
        path: below(many ? `[${index}]` : '', fault.path),
        message: fault.line === undefined ? fault.message : `${fault.message} (line ${fault.line})`,
      });
  }
  return issues.length === 0 ? { ok: true, policies } : { ok: false, issues: capped(issues) };
}

/** Canonical documents → one YAML stream, by name, with the fields in the order in which people write them. */
export function formatDocuments(documents: Iterable<string>): string {
  return [...documents]
    .map((document) => JSON.parse(document) as { readonly policy: string })
    .sort((a, b) => (a.policy < b.policy ? -1 : 1))
    .map(formatDocument)
    .join('---\n');
}

/** One document as YAML, with the fields in the order in which people write them. */
export function formatDocument(document: unknown): string {
  return stringify(inFieldOrder(document), { aliasDuplicateObjects: false, lineWidth: 0 });
}

function readText(text: string, form: Form | undefined): Text {
  if (form === 'json' || (form === undefined && /^\s*[[{]/.test(text))) {
    const json = readJson(text, form);
    if (json) return json;
  }
  const documents = readYaml(text);
  const [only] = documents;
  if (documents.length === 1 && only && Array.isArray(only.value)) return listOf(only.value, only);
  return { documents, many: documents.length > 1 };
}

/** Undefined: this is no JSON, and may be YAML. */
function readJson(text: string, form: Form | undefined): Text | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (form === undefined) return undefined;
    const fault = { path: '', message: `is no JSON: ${messageOf(error)}`, line: undefined };
    return { documents: [{ value: undefined, faults: [fault], lineOf: noLine }], many: false };
  }
  const faults = repeatedKeys(text).map((issue) => ({ ...issue, line: undefined }));
  const whole = { value, faults, lineOf: noLine };
  return Array.isArray(value) ? listOf(value, whole) : { documents: [whole], many: false };
}

function noLine(): undefined {
  return undefined;
}

/** The items of a list as documents, each with its part of the list's faults. */
function listOf(values: readonly unknown[], { faults, lineOf }: TextDocument): Text {
  const documents = values.map((value, i) => {
    const own = faults.filter(({ path }) => path === `[${i}]` || path.startsWith(`[${i}].`));
    return {
      value: value ?? null,
      faults: own.map((fault) => ({ ...fault, path: fault.path.slice(`[${i}].`.length) })),
      lineOf: (path: string) => lineOf(below(`[${i}]`, path)),
    };
  });
  return { documents, many: true };
}

function below(place: string, path: string): string {
  return place === '' || path === '' || path.startsWith('[') ? `${place}${path}` : `${place}.${path}`;
}

function countIssues(count: number, name: string | undefined): Issue[] {
  const example = '{ policy: name, match: { to: callee } }';
  if (count === 0) return [{ path: '', message: `holds no document; a policy looks like ${example}` }];
  if (name !== undefined && count > 1)
    return [{ path: '', message: `must hold one document, ${quoted(name)}; got ${count}` }];
  if (count > DOCUMENTS_MAX)
    return [{ path: '', message: `must hold at most ${DOCUMENTS_MAX} documents; got ${count}` }];
  return [];
}

function capped(issues: readonly Issue[]): readonly Issue[] {
  if (issues.length <= ISSUES_MAX) return issues;
  return [...issues.slice(0, ISSUES_MAX), { path: '', message: `and ${issues.length - ISSUES_MAX} more` }];
}
