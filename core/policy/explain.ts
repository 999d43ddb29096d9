/**
 * Why a call is treated as it is: which policies match, which of them each field comes from, where merging made them
 * contradict each other, and what agents don't do with it. Plain data for REST and the CLI; it looks, and decides nothing.
 */
import { defaults } from './defaults.js';
import { merge, type PolicyIndex, type Query } from './match.js';
import {
  type Effective,
  type Match,
  type Mode,
  type Policy,
  type PolicyRevision,
  type SectionName,
  type Source,
  sectionNames,
} from './model.js';
import { byFieldOrder } from './order.js';
import { isList, isRecord, type Path, type Plain, type PlainObject, pathOf } from './plain.js';
import { unmet } from './requirements.js';
import { breaches, factsOf } from './rules.js';

export interface MatchedPolicy extends Source {
  readonly match: Match;
  readonly mode: Mode;
  readonly priority: number;
  /** Sections that it gives, and that it removes (`null`). */
  readonly gives: readonly SectionName[];
  readonly removes: readonly SectionName[];
}

/** One field that holds, with the policy it comes from. */
export interface Field extends Source {
  /** Below `spec`: `circuit.failureRate`. */
  readonly path: string;
  /** As a document says it: `50%`. */
  readonly value: Plain;
  /** The policy gives the section and leaves the field to its default. */
  readonly default: boolean;
}

export interface Conflict {
  readonly path: string;
  /** What would be right. */
  readonly message: string;
  /** Between which policies: `inventory-default@7`. */
  readonly policies: readonly string[];
}

/** Something true of the answer that its fields don't show. */
export interface Note {
  readonly kind: 'unprotected' | 'refused' | 'approximated' | 'idle' | 'shadow' | 'rollout';
  readonly message: string;
}

export interface Explanation {
  readonly to: string;
  readonly from?: string;
  readonly method?: string;
  /** From general to specific: a later one replaces the sections of those before it. */
  readonly matches: readonly MatchedPolicy[];
  readonly fields: readonly Field[];
  readonly conflicts: readonly Conflict[];
  readonly notes: readonly Note[];
}

/** `capabilities`: of the agents concerned; absent: nothing is said of what they can't do. */
export function explain(index: PolicyIndex, query: Query, capabilities?: Iterable<string>): Explanation {
  const { to, from, method } = query;
  const matching = index.matching(query);
  const held = merge(matching);
  const able = capabilities && new Set(capabilities);
  return {
    to,
    ...(from === undefined ? {} : { from }),
    ...(method === undefined || method === '' ? {} : { method }),
    matches: matching.map(describe),
    fields: fieldsOf(held, matching),
    conflicts: conflicts(held),
    notes: [...notesOf(matching, held, able)],
  };
}

/** Contradictions that no document has by itself. */
export function conflicts(held: Effective): Conflict[] {
  return breaches(factsOf(held))
    .map(({ path, message, sections, refused }) => ({
      refused,
      path: pathOf(path),
      message,
      policies: givers(held, sections),
    }))
    .filter(({ refused, policies }) => refused || policies.length > 1)
    .map(({ path, message, policies }) => ({ path, message, policies }));
}

function givers(held: Effective, sections: readonly SectionName[]): string[] {
  const names = sections.flatMap((section) => held[section]?.source ?? []).map(nameOf);
  return [...new Set(names)];
}

function nameOf({ policy, revision }: Source): string {
  return `${policy}@${revision}`;
}

function describe({ policy, revision }: PolicyRevision): MatchedPolicy {
  const { name, match, mode, priority, spec } = policy;
  const given = sectionNames.filter((section) => spec[section] !== undefined);
  return {
    policy: name,
    revision,
    match,
    mode,
    priority,
    gives: given.filter((section) => spec[section] !== null),
    removes: given.filter((section) => spec[section] === null),
  };
}

function fieldsOf(held: Effective, matching: readonly PolicyRevision[]): Field[] {
  const fields: Field[] = [];
  for (const section of sectionNames) {
    const source = held[section]?.source;
    const written = writtenOf(section, held, matching);
    if (!source || written === undefined) continue;
    for (const leaf of leaves(written, defaultsOf(section, written), [section]))
      fields.push({ ...leaf, ...source });
  }
  return fields;
}

/** The section that holds, in the words of its document. */
function writtenOf(
  section: SectionName,
  held: Effective,
  matching: readonly PolicyRevision[],
): Plain | undefined {
  const name = held[section]?.source.policy;
  const winner = matching.find(({ policy }) => policy.name === name);
  if (!winner) return undefined;
  const { spec } = JSON.parse(winner.policy.document) as { spec?: PlainObject };
  return spec?.[section];
}

/** What the absent fields of a section as written stand for; without those that have no effect in it. */
function defaultsOf(section: SectionName, written: Plain): Plain | undefined {
  if (!isObject(written)) return undefined;
  if (section === 'rateLimit')
    return { ...defaults.rateLimit, ...(written.rate === undefined ? {} : { burst: written.rate }) };
  if (section !== 'circuit') return (defaults as { [name: string]: unknown })[section] as Plain | undefined;
  const { slowRate, cluster, ...always } = defaults.circuit;
  return {
    ...always,
    ...(written.slowCall === undefined ? {} : { slowRate }),
    ...(written.scope === 'cluster' ? { cluster } : {}),
  };
}

interface Leaf {
  readonly path: string;
  readonly value: Plain;
  readonly default: boolean;
}

function* leaves(
  written: Plain | undefined,
  fallback: Plain | undefined,
  path: Path,
): IterableIterator<Leaf> {
  const value = written ?? fallback;
  if (value === undefined) return;
  const standing = isObject(fallback) ? fallback : undefined;
  if (isObject(value) && path.at(-1) !== 'static') {
    const keys = new Set([...Object.keys(value), ...Object.keys(standing ?? {})]);
    for (const key of [...keys].sort(byFieldOrder))
      yield* leaves(isObject(written) ? written[key] : undefined, standing?.[key], [...path, key]);
  } else if (isList(value) && value.some(isObject)) {
    for (const [i, item] of value.entries()) yield* leaves(item, undefined, [...path, i]);
  } else {
    yield { path: pathOf(path), value, default: written === undefined };
  }
}

function isObject(value: Plain | undefined): value is PlainObject {
  return isRecord(value);
}

function* notesOf(
  matching: readonly PolicyRevision[],
  held: Effective,
  able: ReadonlySet<string> | undefined,
): IterableIterator<Note> {
  if (Object.keys(held).length === 0)
    yield {
      kind: 'unprotected',
      message: 'no policy in force says anything about these calls: they run unprotected',
    };
  for (const { policy, revision } of matching) {
    const name = nameOf({ policy: policy.name, revision });
    if (policy.mode === 'shadow')
      yield { kind: 'shadow', message: shadowMessage(name, policy, matching, held) };
    if (policy.mode !== 'off' && policy.rollout.percent < 100)
      yield { kind: 'rollout', message: `${name} reaches ${policy.rollout.percent} % of the instances` };
    const lacking = able === undefined ? [] : unmet(policy, able);
    if (lacking.length > 0)
      yield {
        kind: 'refused',
        message: `${name} is refused whole by agents that can't enforce ${lacking.join(', ')}; they keep the revision they had`,
      };
  }
  yield* approximations(held, able ?? new Set());
  yield* idleFields(held, matching);
}

function shadowMessage(
  name: string,
  policy: Policy,
  matching: readonly PolicyRevision[],
  held: Effective,
): string {
  const beside = merge(matching, { shadow: true });
  const changed = sectionNames.filter(
    (section) => policy.spec[section] !== undefined && beside[section]?.value !== held[section]?.value,
  );
  const would = changed.length === 0 ? 'nothing' : changed.join(', ');
  return `${name} is in shadow: enforced, it would change ${would}`;
}

function* approximations(held: Effective, able: ReadonlySet<string>): IterableIterator<Note> {
  for (const section of ['circuit', 'rateLimit'] as const) {
    const found = held[section];
    if (found?.value.scope !== 'cluster' || able.has(`${section}.cluster`)) continue;
    yield {
      kind: 'approximated',
      message: `${section}.scope: cluster of ${nameOf(found.source)} is enforced by each agent for itself`,
    };
  }
}

function* idleFields(held: Effective, matching: readonly PolicyRevision[]): IterableIterator<Note> {
  const merged = new Set(conflicts(held).map(({ message }) => message));
  for (const { path, message, sections } of breaches(factsOf(held)))
    if (!merged.has(message))
      yield { kind: 'idle', message: `${pathOf(path)} of ${givers(held, sections).join(', ')} ${message}` };
  const { retry, idempotent, circuit } = held;
  if (retry && idempotent?.value !== true)
    yield {
      kind: 'idle',
      message: `retry of ${nameOf(retry.source)} repeats only what was provably never sent, since idempotent is not true`,
    };
  const written = writtenOf('circuit', held, matching);
  if (circuit?.value.scope === 'local' && isObject(written) && written.cluster !== undefined)
    yield {
      kind: 'idle',
      message: `circuit.cluster of ${nameOf(circuit.source)} has no effect while scope is local`,
    };
}
