/**
 * Why a call is treated as it is: which policies match, which of them each field comes from, where merging made them
 * contradict each other, and what agents don't do with it. Plain data for REST and the CLI; it looks, and decides nothing.
 */
import { type Conflict, conflicts } from './conflicts.js';
import { defaults } from './defaults.js';
import { merge, type PolicyIndex, type Query } from './match.js';
import {
  type Effective,
  type Match,
  type Mode,
  type PolicyRevision,
  type SectionName,
  type Source,
  sectionNames,
} from './model.js';
import { SELF } from './names.js';
import { type Able, inboundOf, type Note, notesOf, type Reached } from './notes.js';
import { byFieldOrder } from './order.js';
import { isList, isRecord, type Path, type Plain, type PlainObject, pathOf } from './plain.js';
import { writtenOf } from './sources.js';

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

/**
 * What holds for agents that all rollouts reach. `able`: the agents concerned, by what they can do; absent: nothing is said of what
 * they can't do. `reached`: how many of them a staged rollout is for.
 */
export function explain(
  index: PolicyIndex,
  query: Query,
  able?: readonly Able[],
  reached?: Reached,
): Explanation {
  const { to, from, method } = query;
  const matching = index.matching(query);
  const held = merge(matching);
  const enforced = to === SELF ? inboundOf(held) : held;
  return {
    to,
    ...(from === undefined ? {} : { from }),
    ...(method === undefined || method === '' ? {} : { method }),
    matches: matching.map(describe),
    fields: fieldsOf(held, matching),
    conflicts: conflicts(enforced),
    notes: [...notesOf({ matching, held, enforced, able, reached })],
  };
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

const none: ReadonlySet<string> = new Set();

function* leaves(
  written: Plain | undefined,
  fallback: Plain | undefined,
  path: Path,
): IterableIterator<Leaf> {
  const value = written ?? fallback;
  if (value === undefined) return;
  const standing = isObject(fallback) ? fallback : undefined;
  // An answer of the user's own is told whole.
  const own = path.at(-1) === 'static';
  const keys =
    isObject(value) && !own ? new Set([...Object.keys(value), ...Object.keys(standing ?? {})]) : none;
  if (keys.size > 0) {
    for (const key of [...keys].sort(byFieldOrder))
      yield* leaves(isObject(written) ? written[key] : undefined, standing?.[key], [...path, key]);
  } else if (isList(value) && !own && value.some(isObject)) {
    for (const [i, item] of value.entries()) yield* leaves(item, undefined, [...path, i]);
  } else {
    yield { path: pathOf(path), value, default: written === undefined };
  }
}

function isObject(value: Plain | undefined): value is PlainObject {
  return isRecord(value);
}
