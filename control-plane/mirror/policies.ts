/**
 * The policies of the mirror: parsed, indexed, and with a memory of what changed. A stored document that does not parse is a
 * fault with its name and place; the last good revision of that policy stays in force. Pure state: no IO, no clock, and it
 * tells nobody; `mirror.ts` does.
 */
import type { Issue } from '../../core/errors.js';
import type { PolicyRevision, Staged } from '../../core/policy/model.js';
import { NamedPolicies } from '../../core/policy/named.js';
import { isReserved } from '../../core/policy/names.js';
import { parseDocument } from '../../core/policy/parse.js';
import { staged, targetsOf } from '../../core/policy/rollout.js';
import type { PolicyChange } from '../ports.js';
import type { LogEntry, Snapshot, StoredDocument } from '../store/store.js';

/** Changes that can still be told; a reader further behind compares hashes. */
const CHANGES_MAX = 10_000;
/** Lost revisions that are named one by one. */
const LOST_MAX = 100;

/** Something that was acknowledged and that the store no longer has. */
export interface Lost {
  readonly name: string;
  readonly revision: number;
  /** `null`: a deletion. */
  readonly document: string | null;
}

export class MirroredPolicies {
  dataset = '';
  revision = 0;
  readonly #byName = new NamedPolicies();
  readonly #byTo = new Map<string, NamedPolicies>();
  /** Oldest first. Everything after `#floor` is in it. */
  #changes: PolicyChange[] = [];
  #floor = 0;
  readonly #unreadable = new Map<string, Issue>();
  readonly #lost = new Map<string, Issue>();

  get faults(): readonly Issue[] {
    return [...this.#unreadable.values(), ...this.#lost.values()];
  }

  get(name: string): PolicyRevision | undefined {
    return this.#byName.get(name);
  }

  all(): readonly PolicyRevision[] {
    return this.#byName.list();
  }

  to(callee: string): readonly PolicyRevision[] {
    return this.#byTo.get(callee)?.list() ?? none;
  }

  changesSince(revision: number): readonly PolicyChange[] | undefined {
    if (revision < this.#floor || revision > this.revision) return undefined;
    let from = this.#changes.length;
    while (from > 0 && (this.#changes[from - 1]?.revision ?? 0) > revision) from -= 1;
    return this.#changes.slice(from);
  }

  /** Entries of the log, in order. */
  apply(entries: readonly LogEntry[]): PolicyChange[] {
    const changes: PolicyChange[] = [];
    for (const { name, revision, document } of entries) {
      if (revision <= this.revision) continue;
      this.revision = revision;
      this.#lost.delete(name);
      if (isReserved(name)) continue;
      const before = this.#byName.get(name);
      const read = document === null ? undefined : this.#read({ name, revision, document });
      if (document === null) this.#unreadable.delete(name);
      else if (!read) continue;
      const after = read && staged(before, read);
      if (!before && !after) continue;
      this.#set(name, after);
      changes.push({ revision, name, before, after });
    }
    this.#remember(changes);
    return changes;
  }

  /**
   * Takes everything as it is in the store. Answers whether that is anything new, and what this replica knows of and the store
   * has lost (only where the dataset is another: within one, the store is right). `stages`: of the staged ones among them.
   */
  adopt(
    snapshot: Snapshot,
    stages: ReadonlyMap<string, Staged> = new Map(),
  ): { changed: boolean; lost: readonly Lost[] } {
    const lost = this.dataset === '' || this.dataset === snapshot.dataset ? [] : this.#missing(snapshot);
    let changed = this.dataset !== snapshot.dataset || this.revision !== snapshot.head;
    const gone = new Set(this.#byName.names());
    for (const stored of snapshot.documents) {
      if (isReserved(stored.name)) continue;
      const before = this.#byName.get(stored.name);
      gone.delete(stored.name);
      if (before?.revision === stored.revision && before.policy.document === stored.document) continue;
      const known = this.#unreadable.has(stored.name);
      const read = this.#read(stored);
      if (!read) {
        changed ||= !known;
        continue;
      }
      const stage = stages.get(stored.name);
      const after = stage ? { ...read, staged: stage } : staged(undefined, read);
      if (before?.revision === after.revision && before.policy.document === after.policy.document) continue;
      this.#set(stored.name, after);
      changed = true;
    }
    for (const name of gone) {
      this.#set(name, undefined);
      changed = true;
    }
    const stored = new Set(snapshot.documents.map(({ name }) => name));
    for (const name of this.#unreadable.keys()) if (!stored.has(name)) this.#unreadable.delete(name);
    if (changed) {
      this.#changes = [];
      this.#floor = snapshot.head;
    }
    this.dataset = snapshot.dataset;
    this.revision = snapshot.head;
    return { changed, lost };
  }

  /** Shows what was lost until the name gets a new revision. */
  raise(lost: readonly Lost[], replica: string): void {
    for (const { name, revision, document } of lost.slice(0, LOST_MAX)) {
      const what = document === null ? 'its deletion' : 'it';
      this.#lost.set(name, {
        path: name,
        message: `revision ${revision}, which replica ${replica} has seen, is lost in the store; apply ${what} again if it is still wanted`,
      });
    }
    if (lost.length > LOST_MAX)
      this.#lost.set('', {
        path: '',
        message: `${lost.length - LOST_MAX} more revisions are lost in the store; the log of replica ${replica} names them`,
      });
  }

  #missing({ head, documents }: Snapshot): Lost[] {
    const stored = new Map(documents.map((document) => [document.name, document]));
    const lost: Lost[] = [];
    for (const { revision, policy } of this.#byName) {
      const { name } = policy;
      const found = stored.get(name);
      if (found && (found.document === policy.document || found.revision > revision)) continue;
      lost.push({ name, revision, document: policy.document });
    }
    for (const { name, revision, after } of this.#changes)
      if (!after && revision > head && stored.has(name) && !this.#byName.has(name))
        lost.push({ name, revision, document: null });
    return lost;
  }

  #read({ name, revision, document }: StoredDocument): PolicyRevision | undefined {
    const result = parseDocument(document, { name });
    if (result.ok) {
      this.#unreadable.delete(name);
      return { policy: result.policy, revision };
    }
    const [first] = result.issues;
    const where = first?.path ? `${first.path}: ` : '';
    const last = this.#byName.get(name);
    const stays = last ? `revision ${last.revision} stays in force` : 'nothing of it is in force';
    this.#unreadable.set(name, {
      path: name,
      message: `revision ${revision} in the store is no valid policy (${where}${first?.message ?? ''}); ${stays}; put it anew or delete it`,
    });
    return undefined;
  }

  #set(name: string, after: PolicyRevision | undefined): void {
    const before = this.#byName.get(name);
    const kept = new Set(after && targetsOf(after).map(({ to }) => to));
    if (before) for (const { to } of targetsOf(before)) if (!kept.has(to)) this.#drop(to, name);
    if (!after) {
      this.#byName.delete(name);
      return;
    }
    this.#byName.set(after);
    for (const to of kept) {
      const those = this.#byTo.get(to) ?? new NamedPolicies();
      those.set(after);
      this.#byTo.set(to, those);
    }
  }

  #drop(to: string, name: string): void {
    const those = this.#byTo.get(to);
    those?.delete(name);
    if (those?.size === 0) this.#byTo.delete(to);
  }

  #remember(changes: readonly PolicyChange[]): void {
    this.#changes.push(...changes);
    // Cut in larger pieces, so that most changes cost nothing.
    const excess = this.#changes.length - CHANGES_MAX;
    if (excess <= CHANGES_MAX / 10) return;
    this.#floor = this.#changes[excess - 1]?.revision ?? this.#floor;
    this.#changes = this.#changes.slice(excess);
  }
}

const none: readonly PolicyRevision[] = [];
