/**
 * A half-open period: K permits, each for one agent and one call, drawn in the record itself. They alone decide; what was lost on
 * the way counts for nothing. Which agent gets one goes by how much it turns away: whoever has demand will use it.
 *
 * A permit is good for 5 s at first, since an agent that has died or has nothing to call must not hold the circuit up. If a period
 * comes to nothing, the permits of the next one are good for twice as long, up to `halfOpen.maxWait`: a callee that takes 8 s to
 * answer is heard in the end. K is at most 255, by at most 16 agents.
 */
import type { ClusterRecord, Demand, ProbePermit } from './model.js';
import { AGENTS_MAX, isAgentName } from './record-text.js';
import { atLeast } from './thresholds.js';
import {
  demandOf,
  entered,
  nextEpoch,
  type Occasion,
  reopened,
  rewritten,
  seconds,
  silenced,
} from './transition.js';
import type { Trial } from './trial.js';

const PERMIT_MS = 5_000;
const PERMITS_MAX = 255;

/** The half-open period that begins now; undefined: nobody is being turned away, so nobody could probe. */
export function probing(record: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const { spec } = occasion.situation;
  const epoch = nextEpoch(record, occasion);
  const probes = Math.min(spec.halfOpen.calls, PERMITS_MAX);
  const agents = drawn(demandOf(occasion), probes, occasion.random);
  if (agents.length === 0) return undefined;
  const lifeMs = record.state === 'half-open' ? 2 * (record.permitMs ?? PERMIT_MS) : PERMIT_MS;
  const permits = agents.map((agent, index) => ({ permit: epoch * 256 + index, agent }));
  const again = record.state === 'half-open' ? `${record.permits.length} probes were lost` : '';
  const since = again || `open for ${seconds(occasion.ageMs)}`;
  const count = new Set(agents).size;
  const reason = `${since}: ${permits.length} probes by ${count} ${count === 1 ? 'agent' : 'agents'}`;
  const permitMs = Math.min(lifeMs, spec.halfOpen.maxWaitMs);
  return entered(record, occasion, { state: 'half-open', reason, permits, permitMs });
}

/** In shadow nobody holds calls back, and nobody probes: the calls themselves say how it goes. */
export function watching(record: ClusterRecord, occasion: Occasion): ClusterRecord {
  const reason = `open for ${seconds(occasion.ageMs)}: in shadow, calls as they come take the place of probes`;
  return entered(record, occasion, { state: 'half-open', reason });
}

/** Undefined: nothing has changed. */
export function probed(record: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const { spec } = occasion.situation;
  const permits = told(record, occasion);
  const failed = permits.filter(({ outcome }) => outcome === 'failed').length;
  const ok = permits.filter(({ outcome }) => outcome === 'ok').length;
  const out = permits.filter(({ outcome }) => outcome === undefined).length;
  // As soon as failures make closing impossible, whatever those that are still out would say; at the end, of those that said anything.
  const of = out > 0 ? permits.length : ok + failed;
  if (failed > 0 && atLeast(failed, spec.failureRate * of))
    return reopened(record, occasion, `${failed} of ${of} probes failed`);
  if (out === 0 && ok > 0) return ramped(record, occasion, `${ok} of ${of} probes succeeded`);
  const changed = permits.some((each, i) => each !== record.permits[i]);
  const next = silenced(record, occasion) ?? (out === 0 ? probing(record, occasion) : undefined);
  if (next) return next;
  return changed ? rewritten(record, occasion, { permits }) : undefined;
}

/** What the calls said in place of probes, of a circuit in shadow. */
export function watched(record: ClusterRecord, occasion: Occasion, found: Trial): ClusterRecord | undefined {
  if (found.fault !== '') return reopened(record, occasion, found.fault);
  if (occasion.ageMs < occasion.situation.spec.cluster.rampStepMs) return undefined;
  return found.calls > 0 ? ramped(record, occasion, `${found.calls} calls, too few failed`) : undefined;
}

function ramped(record: ClusterRecord, occasion: Occasion, reason: string): ClusterRecord {
  return entered(record, occasion, { state: 'ramping', reason });
}

/** With what has been heard since, and without hope for those whose time is over. The same objects where nothing is new. */
function told(record: ClusterRecord, { outcomes, ageMs }: Occasion): readonly ProbePermit[] {
  const over = ageMs >= (record.permitMs ?? PERMIT_MS);
  return record.permits.map((each) => {
    if (each.outcome !== undefined) return each;
    const outcome = outcomes.get(each.permit);
    if (outcome !== undefined) return { ...each, outcome };
    return over ? { ...each, outcome: 'lost' as const } : each;
  });
}

/** Agents, one for each permit: as many as there are, the busiest likeliest to be among them, and then in turns. */
function drawn(demand: readonly Demand[], count: number, random: { next(): number }): readonly string[] {
  const blocked = new Map<string, number>();
  for (const each of demand)
    if (isAgentName(each.agent)) blocked.set(each.agent, (blocked.get(each.agent) ?? 0) + each.blocked);
  // The greatest of u^(1/weight) is a draw without replacement in proportion to the weights (Efraimidis and Spirakis, 2006).
  const order = [...blocked]
    .map(([agent, weight]) => ({ agent, key: Math.log(1 - random.next()) / weight }))
    .sort((a, b) => b.key - a.key)
    .slice(0, AGENTS_MAX);
  const agents: string[] = [];
  for (let i = 0; order.length > 0 && i < count; i++) agents.push(order[i % order.length]?.agent ?? '');
  return agents;
}
