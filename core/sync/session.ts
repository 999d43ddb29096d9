/**
 * The agent's side of the stream, without the stream: what it holds of which dataset, what it makes of a delta, and what it
 * says of itself when it connects. Two rules are kept here and nowhere else: a lower revision of the same dataset is never
 * applied, and a policy that can't be used never displaces the last good one. A rollout that doesn't reach this agent leaves it
 * with the revision before. A session outlives its streams; it holds no more than the policies of its interest, of each the
 * two documents of a staged rollout and one refusal at most.
 */
import type { Policy, PolicyRevision } from '../policy/model.js';
import {
  type DeltaContent,
  type DocumentRevision,
  type Holdings,
  namesMax,
  type Rejection,
  rejectionsMax,
  type SeenPolicy,
} from './delta.js';
import { hashOf, type Reading, readDocument } from './read-document.js';

/** What a session needs to go on after a restart. Plain JSON. */
export interface SavedSession {
  readonly dataset: string;
  readonly revision: number;
  /** The last good ones; what was refused is not kept, so that a newer build judges it anew. */
  readonly policies: readonly DocumentRevision[];
}

export interface Applied {
  /** Names that came into force or were confirmed: for the Ack. At most `namesMax` are named. */
  readonly applied: readonly string[];
  /**
   * Everything that is refused at present, not by this delta alone, so that a replica that has just met this agent knows all:
   * for the Ack. At most `rejectionsMax`.
   */
  readonly rejected: readonly Rejection[];
  /** Those of `rejected` that this delta brought: to be logged once. */
  readonly refusedNow: readonly Rejection[];
  /** Whether `policies()` differs from before. */
  readonly changed: boolean;
}

/** `hash`: of the content judged; undefined if it came damaged and was never judged. */
interface Refusal {
  readonly hash: string | undefined;
  readonly rejection: Rejection;
}

export interface SessionOptions {
  readonly capabilities: readonly string[];
  readonly reaches?: (policy: Policy) => boolean;
}

/** While one delta is applied. */
interface Work {
  readonly applied: string[];
  readonly refusedNow: Rejection[];
  readonly sameDataset: boolean;
  changed: boolean;
}

export class AgentSession {
  readonly #capabilities: ReadonlySet<string>;
  #dataset = '';
  #revision = 0;
  #complete = false;
  readonly #held = new Map<string, PolicyRevision>();
  /** The last content of each name that arrived whole, in use or refused. */
  readonly #seen = new Map<string, SeenPolicy>();
  readonly #refused = new Map<string, Refusal>();
  /** What came with both revisions of a staged rollout and was used, for the disk. */
  readonly #staged = new Map<string, DocumentRevision>();
  readonly #reaches: (policy: Policy) => boolean;

  /**
   * `capabilities`: names of what this build can enforce, as `requirements` of core/policy gives them. `reaches`: whether a rollout
   * is for this agent; absent: each is.
   */
  constructor({ capabilities, reaches = () => true }: SessionOptions) {
    this.#capabilities = new Set(capabilities);
    this.#reaches = reaches;
  }

  /** Of the data held; empty: none. */
  get dataset(): string {
    return this.#dataset;
  }

  /** Up to which everything of this agent's interest has been seen. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether a complete state has ever been had, from the stream or restored. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The policies in use, by name: of each the last good one. */
  policies(): ReadonlyMap<string, PolicyRevision> {
    return this.#held;
  }

  /** What can't be used at present, of each name the latest. */
  refused(): readonly Rejection[] {
    return [...this.#refused.values()].map(({ rejection }) => rejection);
  }

  /** What a Hello says of the data held. */
  hello(): Holdings {
    if (this.#seen.size > namesMax) return { dataset: '', revision: 0, hashes: [] };
    return { dataset: this.#dataset, revision: this.#revision, hashes: [...this.#seen.values()] };
  }

  /** Never throws. A delta that is behind what is held changes nothing; it is acknowledged like any other. */
  apply(delta: DeltaContent): Applied {
    const sameDataset = delta.dataset === this.#dataset;
    const work: Work = { applied: [], refusedNow: [], sameDataset, changed: false };
    if (sameDataset && delta.revision < this.#revision) return this.#outcome(work);
    if (delta.complete) this.#keepOnly(new Set(delta.upserts.map(({ name }) => name)), work);
    for (const name of delta.removals) this.#remove(name, work);
    for (const upsert of delta.upserts) this.#upsert(upsert, work);
    this.#dataset = delta.dataset;
    this.#revision = delta.revision;
    this.#complete ||= delta.complete;
    return this.#outcome(work);
  }

  /** For the disk. */
  save(): SavedSession {
    const held = [...this.#held.values()].filter(({ policy }) => !this.#staged.has(policy.name));
    const policies: DocumentRevision[] = held.map(({ policy, revision }) => ({
      name: policy.name,
      revision,
      document: policy.document,
      hash: policy.hash,
    }));
    policies.push(...this.#staged.values());
    return { dataset: this.#dataset, revision: this.#revision, policies };
  }

  /** Goes on from what was saved, before the first delta. Answers what this build can't use any more; those are asked for anew. */
  restore(saved: SavedSession): readonly Rejection[] {
    const work: Work = { applied: [], refusedNow: [], sameDataset: false, changed: false };
    this.#keepOnly(new Set(), work);
    for (const document of saved.policies) this.#upsert(document, work);
    for (const { name } of work.refusedNow) this.#remove(name, work);
    this.#dataset = saved.dataset;
    this.#revision = saved.revision;
    this.#complete = true;
    return work.refusedNow;
  }

  /** One hash over all that has been seen: agents of one interest that have converged say the same. */
  digest(): string {
    const lines = [...this.#seen.values()].map(({ name, hash }) => `${name}@${hash}\n`);
    return hashOf(lines.sort().join(''));
  }

  #upsert(upsert: DocumentRevision, work: Work): void {
    const { name, revision, hash } = upsert;
    const seen = this.#seen.get(name);
    if (work.sameDataset && seen && revision < seen.revision) return;
    const held = this.#held.get(name);
    if (held?.policy.hash === hash) {
      if (held.revision !== revision) work.changed = true;
      this.#hold({ policy: held.policy, revision }, upsert, work);
      return;
    }
    const refused = this.#refused.get(name);
    const reading: Reading =
      refused?.hash === hash
        ? { kind: 'refused', reason: refused.rejection.reason }
        : readDocument(upsert, this.#capabilities, this.#reaches);
    if (reading.kind === 'usable') {
      work.changed = true;
      this.#hold({ policy: reading.policy, revision }, upsert, work);
    } else if (reading.kind === 'outside') {
      this.#see(upsert);
      this.#keepPrevious(upsert, work);
    } else {
      this.#refuse(upsert, reading, work);
      // Rather the revision before than none.
      if (!held) this.#keepPrevious(upsert, work);
    }
  }

  #hold(policy: PolicyRevision, upsert: DocumentRevision, work: Work): void {
    this.#held.set(upsert.name, policy);
    this.#see(upsert);
    if (work.applied.length < namesMax) work.applied.push(upsert.name);
  }

  /** Nothing of it is refused, whatever comes of it. */
  #see(upsert: DocumentRevision): void {
    const { name, hash, revision } = upsert;
    this.#seen.set(name, { name, hash, revision });
    this.#refused.delete(name);
    if (upsert.previous) this.#staged.set(name, upsert);
    else this.#staged.delete(name);
  }

  #refuse(
    { name, hash, revision }: DocumentRevision,
    { kind, reason }: Extract<Reading, { kind: 'refused' | 'damaged' }>,
    work: Work,
  ): void {
    const whole = kind === 'refused';
    if (whole) this.#seen.set(name, { name, hash, revision });
    // What is kept goes to the disk as it is.
    this.#staged.delete(name);
    const rejection = { name, reason, revision };
    this.#refused.set(name, { hash: whole ? hash : undefined, rejection });
    work.refusedNow.push(rejection);
  }

  /** What those hold whom a rollout does not reach. A control plane that says nothing of it leaves them with what they have. */
  #keepPrevious({ name, revision: newest, previous }: DocumentRevision, work: Work): void {
    if (!previous) return;
    const { revision, document, hash } = previous;
    const held = this.#held.get(name);
    if (revision === 0) {
      if (this.#held.delete(name)) work.changed = true;
      return;
    }
    if (held?.policy.hash === hash && held.revision === revision) return;
    const reading = readDocument({ name, document, hash }, this.#capabilities);
    if (reading.kind === 'usable') {
      this.#held.set(name, { policy: reading.policy, revision });
      work.changed = true;
      if (work.applied.length < namesMax) work.applied.push(name);
    } else if (reading.kind !== 'outside' && !this.#refused.has(name)) {
      const reason = `of a rollout that does not reach this agent, the revision before (${revision}): ${reading.reason}`;
      this.#refuse({ name, hash, document, revision: newest }, { ...reading, kind: 'damaged', reason }, work);
    }
  }

  #remove(name: string, work: Work): void {
    if (this.#held.delete(name)) work.changed = true;
    this.#staged.delete(name);
    this.#seen.delete(name);
    this.#refused.delete(name);
  }

  #keepOnly(names: ReadonlySet<string>, work: Work): void {
    for (const name of [...this.#held.keys(), ...this.#seen.keys(), ...this.#refused.keys()])
      if (!names.has(name)) this.#remove(name, work);
  }

  #outcome({ applied, refusedNow, changed }: Work): Applied {
    return { applied, rejected: this.refused().slice(0, rejectionsMax), refusedNow, changed };
  }
}
