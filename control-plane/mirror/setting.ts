/**
 * A setting of the mesh as the mirror holds it: one document of the store beside the policies, with a place in the same log, so
 * that it has their revisions, their history and their audit. One that does not parse is a fault, and the last good one stays.
 * Pure state: no IO, no clock, and it tells nobody; `mirror.ts` does.
 */
import type { Issue } from '../../core/errors.js';
import type { SettingRevision } from '../ports.js';
import type { LogEntry, Snapshot, StoredDocument } from '../store/store.js';
import type { Lost } from './policies.js';

export interface SettingKind<S> {
  /** Its place in the store. */
  readonly name: string;
  /** For people: `brownout setting`. */
  readonly what: string;
  readonly parse: (
    document: string,
  ) => { readonly ok: true; readonly setting: S } | { readonly ok: false; readonly issues: readonly Issue[] };
}

export class MirroredSetting<S extends { readonly document: string }> {
  readonly #kind: SettingKind<S>;
  #present: SettingRevision<S> | undefined;
  #dataset = '';
  #fault: Issue | undefined;

  constructor(kind: SettingKind<S>) {
    this.#kind = kind;
  }

  get present(): SettingRevision<S> | undefined {
    return this.#present;
  }

  get faults(): readonly Issue[] {
    return this.#fault ? [this.#fault] : [];
  }

  /** Entries of the log, in order; answers whether the setting is another now. */
  apply(entries: readonly LogEntry[]): boolean {
    let changed = false;
    for (const { name, revision, document } of entries)
      if (name === this.#kind.name && revision > (this.#present?.revision ?? 0))
        changed = this.#take(document === null ? undefined : { name, revision, document }) || changed;
    return changed;
  }

  /** As it is in the store; answers also what this replica knows of and the store of another dataset has lost. */
  adopt({ dataset, documents }: Snapshot): { changed: boolean; lost: readonly Lost[] } {
    const before = this.#present;
    const stored = documents.find(({ name }) => name === this.#kind.name);
    const replaced = this.#dataset !== '' && this.#dataset !== dataset;
    this.#dataset = dataset;
    const missing =
      before && stored?.document !== before.setting.document && (stored?.revision ?? 0) <= before.revision;
    const lost =
      replaced && before && missing
        ? [{ name: this.#kind.name, revision: before.revision, document: before.setting.document }]
        : [];
    const same = before?.revision === stored?.revision && before?.setting.document === stored?.document;
    return { changed: same ? false : this.#take(stored), lost };
  }

  /** False: it stays as it was. */
  #take(stored: StoredDocument | undefined): boolean {
    this.#fault = undefined;
    if (!stored) {
      const changed = this.#present !== undefined;
      this.#present = undefined;
      return changed;
    }
    const { revision, document } = stored;
    const { name, what, parse } = this.#kind;
    const result = parse(document);
    if (result.ok) {
      this.#present = { revision, setting: result.setting };
      return true;
    }
    const [first] = result.issues;
    const where = first?.path ? `${first.path}: ` : '';
    const stays = this.#present ? `revision ${this.#present.revision} stays` : 'nothing of it is in force';
    this.#fault = {
      path: name,
      message: `revision ${revision} in the store is no valid ${what} (${where}${first?.message ?? ''}); ${stays}; put it anew`,
    };
    return false;
  }
}
