/**
 * What is so at this moment, as far as it is measured: the states of circuits, the slots of bulkheads, the revisions in force.
 * Read afresh each time; circuits and bulkheads of the same callee, method and policy (one for each key) count together.
 */
import type { Attributes } from '@opentelemetry/api';
import type { Targets } from '../targets.js';
import { placeOf } from './ledger.js';
import { attributeNames } from './metrics.js';
import type { Series } from './series.js';

const { policy, state } = attributeNames;

export function readLevels(targets: Targets, series: Series): void {
  series.zero();
  const place = (callee: string, method: string) =>
    placeOf(callee, targets.isRpc(callee, method) ? method : '');
  for (const { callee, method, policy: name, to } of targets.circuits())
    series.add('circuitState', { ...place(callee, method), [policy]: name, [state]: to }, 1);
  for (const { callee, method, policy: name, inUse, limit, queued } of targets.bulkheads()) {
    const where: Attributes = { ...place(callee, method), [policy]: name };
    series.add('bulkheadUsage', where, inUse);
    series.add('bulkheadLimit', where, limit);
    series.add('queueLength', where, queued);
  }
  for (const { effective } of targets.bound())
    for (const { source } of Object.values(effective))
      series.set('policyRevision', { [policy]: source.policy }, source.revision);
  series.set('overflowCalls', {}, targets.overflowed);
}
