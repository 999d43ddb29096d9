/**
 * The halted rollouts as the mirror holds them: one document of the store beside the policies. One that does not parse is a fault,
 * and the last good one stays. Pure state: no IO, no clock, and it tells nobody; `mirror.ts` does.
 */
import type { Issue } from '../../core/errors.js';
import { type Halts, haltsName, parseHalts } from '../../core/policy/halts.js';
import type { LogEntry, Snapshot, StoredDocument } from '../store/store.js';

const none: Halts = new Map();

export class MirroredHalts {
  #halts: Halts = none;
  #revision = 0;
  #document: string | undefined;
  #fault: Issue | undefined;

  get present(): Halts {
    return this.#halts;
  }

  /** Of the document; 0: there is none. */
  get revision(): number {
    return this.#revision;
  }

  get faults(): readonly Issue[] {
    return this.#fault ? [this.#fault] : [];
  }

  /** Entries of the log, in order; answers whether anything is another now. */
  apply(entries: readonly LogEntry[]): boolean {
    let changed = false;
    for (const { name, revision, document } of entries)
      if (name === haltsName && revision > this.#revision)
        changed = this.#take(document === null ? undefined : { name, revision, document }) || changed;
    return changed;
  }

  /** As it is in the store. */
  adopt({ documents }: Snapshot): boolean {
    return this.#take(documents.find(({ name }) => name === haltsName));
  }

  #take(stored: StoredDocument | undefined): boolean {
    this.#fault = undefined;
    this.#revision = stored?.revision ?? 0;
    if (stored?.document === this.#document) return false;
    this.#document = stored?.document;
    const result = stored ? parseHalts(stored.document) : { ok: true as const, halts: none };
    if (result.ok) {
      this.#halts = result.halts;
      return true;
    }
    const [first] = result.issues;
    const where = first?.path ? `${first.path}: ` : '';
    this.#fault = {
      path: haltsName,
      message: `revision ${this.#revision} in the store says nothing readable of halted rollouts (${where}${first?.message ?? ''}); those that this replica knew stay halted; the next halt writes it anew`,
    };
    return false;
  }
}
