/**
 * Circuits of the mesh as the coordinator shows them, for tests of what people see: an open one with evidence of every kind, of which
 * a test changes what it is about.
 */
import type { ClusterView } from '../../core/coordination/contract.js';
import type { ClusterRecord, View } from '../../core/coordination/model.js';

const view: View = {
  spans: [
    {
      ...{ ms: 2000, calls: 20, failed: 12, slow: 0, agents: 5, over: 3 },
      heavy: [{ agent: 'checkout/c1', zone: 'eu', calls: 9, failed: 9, slow: 0 }],
      zones: [{ name: 'eu', calls: 20, failed: 12, slow: 0, agents: 5, over: 3 }],
      endpoints: [{ name: '10.0.0.1:1', calls: 10, failed: 10, slow: 0, agents: 5, over: 5 }],
    },
  ],
  demand: [{ agent: 'checkout/c1', zone: 'eu', blocked: 8 }],
  blocked: 8,
  suspects: ['checkout/c1'],
};

/** It came into its state 500 ms before its record was written, and that is a second ago. */
export function clusterView(
  record: Partial<ClusterRecord> = {},
  fields: Partial<ClusterView> = {},
): ClusterView {
  return {
    record: {
      ...{ id: 'inventory|inventory-default', state: 'open', epoch: 4, seq: 9, ageMs: 500, openMs: 5000 },
      ...{ openings: 1, step: 0, reason: '12 of 20 calls failed', policy: { policy: 'guard', revision: 7 } },
      permits: [
        { permit: 1024, agent: 'checkout/c1' },
        { permit: 1025, agent: 'web/w1', outcome: 'ok' },
      ],
      ejections: [{ endpoint: '10.0.0.1:1', leftMs: 10_000, times: 1 }],
      ...record,
    },
    ...{ ageMs: 1500, nextStepMs: 3500, view, override: undefined, shadow: false },
    ...fields,
  };
}
