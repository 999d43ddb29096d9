/**
 * What staged rollouts started from, out of the store's history: for a replica that loads a policy in the middle of its rollout and
 * has not seen how it began. It reads only policies that are staged and not known already, a page at a time, back to the last
 * revision that was for everybody; at most `REVISIONS_MAX`, and beyond what the store keeps there is nothing to go back to.
 */
import type { PolicyRevision, Staged } from '../../core/policy/model.js';
import { parseDocument } from '../../core/policy/parse.js';
import { mayBeStaged, staged } from '../../core/policy/rollout.js';
import type { Snapshot, Store, StoredDocument } from '../store/store.js';

const PAGE = 20;
const REVISIONS_MAX = 1000;

/** By name, of the staged ones of the snapshot. Rejects as the store does. */
export async function readStaged(
  store: Pick<Store, 'history'>,
  { documents }: Snapshot,
  known: (document: StoredDocument) => Staged | undefined,
): Promise<ReadonlyMap<string, Staged>> {
  const found = new Map<string, Staged>();
  for (const document of documents) {
    if (!mayBeStaged(document.document)) continue;
    const present = read(document);
    if (!present || present.policy.rollout.percent >= 100) continue;
    const one = known(document) ?? (await seriesOf(store, present)).staged;
    if (one) found.set(document.name, one);
  }
  return found;
}

/** The present revision with all that led to it. */
async function seriesOf(store: Pick<Store, 'history'>, present: PolicyRevision): Promise<PolicyRevision> {
  const { name } = present.policy;
  // Newest first, each of them staged but for the last.
  const before: PolicyRevision[] = [];
  let from = present.revision;
  walk: for (let seen = 0; seen < REVISIONS_MAX; seen += PAGE) {
    const page = await store.history(name, { before: from, limit: PAGE });
    for (const { document, revision } of page) {
      from = revision;
      if (document === null) break walk;
      const entry = read({ name, revision, document });
      // What can't be read was never in force.
      if (!entry) continue;
      before.push(entry);
      if (entry.policy.rollout.percent >= 100) break walk;
    }
    if (page.length < PAGE) break;
  }
  const oldestFirst = [...before.reverse(), present];
  return oldestFirst.reduce<PolicyRevision | undefined>(staged, undefined) as PolicyRevision;
}

function read({ name, revision, document }: StoredDocument): PolicyRevision | undefined {
  const result = parseDocument(document, { name });
  return result.ok ? { policy: result.policy, revision } : undefined;
}
