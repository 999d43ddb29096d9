/**
 * Who is connected, told from two sources: this replica's streams as they are, and the others' summaries as they were a moment
 * ago. An agent that two replicas name (it has just moved) is told as the younger connection.
 */
import type { Clock } from '../../core/clock.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import { reaches, targetsOf } from '../../core/policy/rollout.js';
import { concerns, type Target } from '../../core/sync/interest.js';
import type { AgentRow, CircuitRow, PolicyStatus, Roster, ServiceHealth } from '../ports.js';
import type { HealthWindow } from './health-window.js';
import type { LatencyWindow } from './latency-window.js';
import { type Others, rowsOf } from './others.js';
import type { AgentListener, CircuitListener, RosterEvents } from './roster-events.js';
import type { Streams } from './streams.js';

export interface RosterParts {
  readonly streams: Streams;
  readonly others: Others;
  readonly health: HealthWindow;
  readonly latencies: LatencyWindow;
  readonly events: RosterEvents;
  readonly clock: Clock;
}

export function createRoster({ streams, others, health, latencies, events, clock }: RosterParts): Roster {
  const rows = (): AgentRow[] => {
    const now = clock.now();
    const found = new Map<string, AgentRow>();
    for (const agent of streams.agents()) found.set(agent.hello.agent, agent.row(now));
    for (const view of others.views())
      for (const row of rowsOf(view)) {
        const known = found.get(row.agent);
        if (!known || row.connectedMs < known.connectedMs) found.set(row.agent, row);
      }
    return [...found.values()].sort((a, b) => (a.agent < b.agent ? -1 : 1));
  };
  const on = (event: 'circuit' | 'agent', listener: CircuitListener | AgentListener) =>
    event === 'circuit'
      ? events.onCircuit(listener as CircuitListener)
      : events.onAgent(listener as AgentListener);
  return {
    get connected() {
      return streams.size;
    },
    agents: async () => rows(),
    agent: async (id) => rows().find(({ agent }) => agent === id),
    status: async (policy) => statusOf(policy, rows()),
    concerned: async (match) =>
      rows()
        .filter((row) => isConcerned(row, match))
        .map(({ agent }) => agent),
    async circuits() {
      const now = clock.now();
      const here = [...streams.agents()].flatMap(({ reports }) => reports.circuits.rows(now));
      const there = others
        .views()
        .flatMap(({ summary, ageMs }) => summary.circuits.map((row) => aged(row, ageMs)));
      return latest([...here, ...there]);
    },
    circuitStates() {
      const byState = new Map<string, number>();
      for (const { reports } of streams.agents()) reports.circuits.count(byState);
      for (const { summary } of others.views())
        for (const { agent, state } of summary.circuits)
          if (!streams.has(agent)) byState.set(state, (byState.get(state) ?? 0) + 1);
      return byState;
    },
    health(service) {
      const sum = { ...health.of(service, clock.now()) };
      for (const { summary } of others.views()) add(sum, summary.health.get(service));
      return sum;
    },
    latency(service) {
      const sum = latencies.of(service, clock.now());
      for (const { summary } of others.views()) {
        const there = summary.latencies.get(service);
        if (there) sum.merge(there);
      }
      return sum;
    },
    on,
  };
}

/** What another replica said of a circuit `ageMs` ago, as of now. */
function aged(row: CircuitRow, ageMs: number): CircuitRow {
  const retryAfterMs = Math.max(0, Math.round(row.retryAfterMs - ageMs));
  return { ...row, ageMs: row.ageMs + ageMs, retryAfterMs };
}

function isConcerned({ service, callees }: AgentRow, match: Target): boolean {
  return concerns(match, service, { has: (callee) => callees.includes(callee) });
}

function statusOf(entry: PolicyRevision, rows: readonly AgentRow[]): PolicyStatus {
  const { policy, revision } = entry;
  let total = 0;
  let applied = 0;
  let pending = 0;
  const refused: { agent: string; reason: string }[] = [];
  for (const row of rows) {
    if (!targetsOf(entry).some((match) => isConcerned(row, match))) continue;
    total++;
    const refusal = row.refused.find((one) => one.policy === policy.name && one.revision === revision);
    if (refusal) refused.push({ agent: row.agent, reason: refusal.reason });
    else if (row.acked < revision) pending++;
    else if (reaches(policy, row.instance)) applied++;
  }
  return {
    policy: policy.name,
    revision,
    agents: { total, applied, pending, refused },
  };
}

/** Of what is said twice of one agent's circuit, the younger. */
function latest(rows: readonly CircuitRow[]): readonly CircuitRow[] {
  const found = new Map<string, CircuitRow>();
  for (const row of rows) {
    const key = `${row.agent} ${row.id}`;
    const known = found.get(key);
    if (!known || row.ageMs < known.ageMs) found.set(key, row);
  }
  return [...found.values()].sort((a, b) => (a.id < b.id || (a.id === b.id && a.agent < b.agent) ? -1 : 1));
}

function add(
  sum: { calls: number; failed: number; slow: number; rejected: number },
  other: ServiceHealth | undefined,
): void {
  sum.calls += other?.calls ?? 0;
  sum.failed += other?.failed ?? 0;
  sum.slow += other?.slow ?? 0;
  sum.rejected += other?.rejected ?? 0;
}
