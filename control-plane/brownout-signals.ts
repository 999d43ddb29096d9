/**
 * What the rules of the brownout see of the mesh. Agents report a circuit when it changes, and the step from open to half-open is
 * taken by the first call after its time: where nobody calls, no report says so. So an open circuit whose time is over by now
 * counts as one that probes, unless the mesh keeps it open: of that only the record knows the end.
 */

import type { Signals } from '../core/brownout/rules.js';
import type { ClusterView } from '../core/coordination/contract.js';
import { partsOf } from '../core/coordination/evaluation.js';
import type { CircuitRow, Circuits, Roster } from './ports.js';

/** Where it is looked up. */
export interface Observed {
  readonly roster: Pick<Roster, 'circuits' | 'health' | 'latency'>;
  readonly circuits: Pick<Circuits, 'views'>;
}

export async function signalsOf({ roster, circuits }: Observed): Promise<Signals> {
  const shut = (await roster.circuits()).filter(({ state }) => shutStates.has(state));
  const keptOpen = shut.some(isOver) ? idsKeptOpen(circuits.views()) : noIds;
  const keepsAway = (row: CircuitRow) => row.state !== 'half-open' && (!isOver(row) || keptOpen.has(row.id));
  return {
    openCircuits: shut.filter(keepsAway),
    probingCircuits: shut.filter((row) => !keepsAway(row)),
    calls: (service) => roster.health(service),
    latency: (service) => roster.latency(service),
  };
}

const shutStates: ReadonlySet<string> = new Set(['open', 'half-open', 'forced-open']);
const noIds: ReadonlySet<string> = new Set();

/** Rules look each second, at what other replicas told up to 2 s ago: who was open for less than that would be seen by none. */
const SEEN_WITHIN_MS = 3000;

/** Its own time open, as the agent told of it, is over, and every replica has had a look at it. */
function isOver({ state, retryAfterMs, ageMs }: CircuitRow): boolean {
  return state === 'open' && retryAfterMs === 0 && ageMs >= SEEN_WITHIN_MS;
}

/** As agents name them, without a zone. One that is open past its time waits for somebody who calls. */
function idsKeptOpen(views: readonly ClusterView[]): ReadonlySet<string> {
  return new Set(
    views
      .filter(({ record, nextStepMs, shadow }) => record.state === 'open' && nextStepMs > 0 && !shadow)
      .map(({ record }) => partsOf(record.id).circuit),
  );
}
