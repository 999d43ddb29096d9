/**
 * What the instances of one caller service need: the policies of `*` and of the callees that any of them uses. It is kept for
 * the service, not for the agent, so one encoded body serves them all. Changes become touches of a log, whether a policy was
 * written or a callee was added; what an agent lacks follows from its place in that log. At most `calleesMax` callees; a
 * further one stays under `*`.
 */
import type { Match, PolicyRevision, Staged } from '../policy/model.js';
import { targetsOf } from '../policy/rollout.js';
import type { DeltaContent, DocumentRevision, Holdings, PreviousRevision } from './delta.js';
import { TouchLog } from './touch-log.js';

/** Where policies come from: the mirror. */
export interface PolicySource {
  readonly dataset: string;
  readonly revision: number;
  policy(name: string): PolicyRevision | undefined;
  /** Those whose `match.to` is this name, or was in the revision that a staged rollout leaves with the others. */
  policiesTo(to: string): readonly PolicyRevision[];
}

/** Whom a policy is for. */
export type Target = Pick<Match, 'to' | 'from'>;

/** What a push is about: everything, or these names (sorted). */
export type Selection =
  | { readonly kind: 'complete' }
  | { readonly kind: 'names'; readonly names: readonly string[] };

/** `ahead`: the agent has seen more of this dataset than we have; say nothing until we have caught up. */
export type Resumption = Selection | { readonly kind: 'ahead' };

const CALLEES_MAX = 1000;

export class Interest {
  readonly service: string;
  readonly log = new TouchLog();
  readonly #callees = new Set<string>();
  readonly #calleesMax: number;

  constructor(service: string, calleesMax = CALLEES_MAX) {
    this.service = service;
    this.#calleesMax = calleesMax;
  }

  /** In the order in which they were added. */
  get callees(): ReadonlySet<string> {
    return this.#callees;
  }

  /** Whether a policy with this match is of any use to this service. */
  covers(match: Target): boolean {
    return concerns(match, this.service, this.#callees);
  }

  /** Adds callees and touches their policies. Answers those that are new; what is beyond the bound is left out. */
  add(callees: Iterable<string>, source: PolicySource): readonly string[] {
    const added: string[] = [];
    for (const callee of callees) {
      if (callee === '*' || this.#callees.has(callee) || this.#callees.size >= this.#calleesMax) continue;
      this.#callees.add(callee);
      added.push(callee);
      for (const entry of source.policiesTo(callee))
        if (this.#concerned(entry)) this.log.touch(entry.policy.name);
    }
    return added;
  }

  /** A policy came, changed or went. Answers whether that is of any interest here. */
  note(name: string, before: PolicyRevision | undefined, after: PolicyRevision | undefined): boolean {
    const concerned = this.#concerned(before) || this.#concerned(after);
    if (concerned) this.log.touch(name);
    return concerned;
  }

  /** All policies of interest, sorted by name. */
  policies(source: PolicySource): readonly PolicyRevision[] {
    const found = new Set<PolicyRevision>();
    for (const to of ['*', ...this.#callees])
      for (const entry of source.policiesTo(to)) if (this.#concerned(entry)) found.add(entry);
    return [...found].sort((a, b) => (a.policy.name < b.policy.name ? -1 : 1));
  }

  /** What an agent lacks that was last told of what holds at `position` of the log. */
  since(position: number): Selection {
    const names = this.log.since(position);
    return names ? { kind: 'names', names } : { kind: 'complete' };
  }

  /**
   * What an agent lacks that connects with these holdings. Numbers are never compared across datasets, and a number alone is
   * never trusted: what counts is, for each policy, the pair of hash and revision.
   */
  resume(holdings: Holdings, source: PolicySource): Resumption {
    if (holdings.dataset === '') return { kind: 'complete' };
    if (holdings.dataset === source.dataset && holdings.revision > source.revision) return { kind: 'ahead' };
    const surplus = new Map(holdings.hashes.map((seen) => [seen.name, seen]));
    const names: string[] = [];
    let same = 0;
    for (const { policy, revision } of this.policies(source)) {
      const seen = surplus.get(policy.name);
      surplus.delete(policy.name);
      if (seen?.hash === policy.hash && seen.revision === revision) same++;
      else names.push(policy.name);
    }
    if (same === 0 && names.length > 0) return { kind: 'complete' };
    return { kind: 'names', names: [...names, ...surplus.keys()].sort() };
  }

  /** The content of a push: of each name what holds now, or that it is gone. */
  content(selection: Selection, source: PolicySource): DeltaContent {
    const { dataset, revision } = source;
    if (selection.kind === 'complete') {
      const upserts = this.policies(source).map(documentOf);
      return { dataset, revision, complete: true, upserts, removals: [] };
    }
    const upserts: DocumentRevision[] = [];
    const removals: string[] = [];
    for (const name of selection.names) {
      const entry = source.policy(name);
      if (entry && this.#concerned(entry)) upserts.push(documentOf(entry));
      else removals.push(name);
    }
    return { dataset, revision, complete: false, upserts, removals };
  }

  /** Either of the two revisions of a staged rollout will do. */
  #concerned(entry: PolicyRevision | undefined): boolean {
    return entry !== undefined && targetsOf(entry).some((match) => this.covers(match));
  }
}

function documentOf({ policy, revision, staged }: PolicyRevision): DocumentRevision {
  const document = { name: policy.name, revision, document: policy.document, hash: policy.hash };
  return staged ? { ...document, previous: previousOf(staged) } : document;
}

function previousOf({ previous }: Staged): PreviousRevision {
  if (!previous) return { revision: 0, document: '', hash: '' };
  const { policy, revision } = previous;
  return { revision, document: policy.document, hash: policy.hash };
}

/** Whether a policy with this match is of any use to instances of `service`, which use these callees. */
export function concerns(
  { to, from }: Target,
  service: string,
  callees: { has(callee: string): boolean },
): boolean {
  return (from === undefined || from === service) && (to === '*' || callees.has(to));
}
