/**
 * A roster that holds what a test puts into it and tells what the test tells: for what REST makes of agents and circuits, without
 * a stream. Its shape is the port's; the real one is tested with real agents.
 */

import type {
  AgentRow,
  CircuitChange,
  CircuitRow,
  PolicyStatus,
  Roster,
  ServiceHealth,
} from '../../control-plane/ports.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import { LatencyHistogram } from '../../core/resilience/latency.js';

type AgentListener = (row: AgentRow, kind: 'connected' | 'disconnected' | 'refused') => void;
type CircuitListener = (change: CircuitChange) => void;

export class FakeRoster implements Roster {
  rows: AgentRow[] = [];
  circuitRows: CircuitRow[] = [];
  readonly healths = new Map<string, ServiceHealth>();
  readonly latencies = new Map<string, LatencyHistogram>();
  readonly #agents = new Set<AgentListener>();
  readonly #circuits = new Set<CircuitListener>();

  get connected(): number {
    return this.rows.length;
  }

  async agents(): Promise<readonly AgentRow[]> {
    return this.rows;
  }

  async agent(id: string): Promise<AgentRow | undefined> {
    return this.rows.find((row) => row.agent === id);
  }

  async status({ policy, revision }: PolicyRevision): Promise<PolicyStatus> {
    const refused = this.rows.flatMap((row) =>
      row.refused
        .filter((entry) => entry.policy === policy.name)
        .map(({ reason }) => ({ agent: row.agent, reason })),
    );
    const applied = this.rows.filter((row) => row.applied >= revision).length;
    const total = this.rows.length;
    return {
      policy: policy.name,
      revision,
      agents: { total, applied, pending: total - applied - refused.length, refused },
    };
  }

  async concerned({ to, from }: { to: string; from?: string }): Promise<readonly string[]> {
    return this.rows
      .filter(
        (row) => (to === '*' || row.callees.includes(to)) && (from === undefined || row.service === from),
      )
      .map(({ agent }) => agent);
  }

  circuitStates(): ReadonlyMap<string, number> {
    const byState = new Map<string, number>();
    for (const { state } of this.circuitRows) byState.set(state, (byState.get(state) ?? 0) + 1);
    return byState;
  }

  async circuits(): Promise<readonly CircuitRow[]> {
    return this.circuitRows;
  }

  health(service: string): ServiceHealth {
    return this.healths.get(service) ?? { calls: 0, failed: 0, slow: 0, rejected: 0 };
  }

  latency(service: string): LatencyHistogram {
    return this.latencies.get(service) ?? new LatencyHistogram();
  }

  on(event: 'circuit', listener: CircuitListener): () => void;
  on(event: 'agent', listener: AgentListener): () => void;
  on(event: 'circuit' | 'agent', listener: CircuitListener | AgentListener): () => void {
    const listeners = (event === 'circuit' ? this.#circuits : this.#agents) as Set<unknown>;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  tellAgent(row: AgentRow, kind: Parameters<AgentListener>[1]): void {
    for (const listener of this.#agents) listener(row, kind);
  }

  tellCircuit(change: CircuitChange): void {
    for (const listener of this.#circuits) listener(change);
  }

  get listeners(): number {
    return this.#agents.size + this.#circuits.size;
  }
}

/** A connected agent of `service` that calls `callees` and has applied everything up to `applied`. */
export function agentRow(service: string, instance: string, fields: Partial<AgentRow> = {}): AgentRow {
  return {
    agent: `${service}/${instance}`,
    service,
    instance,
    zone: '',
    version: '1.0.0',
    replica: 'r1',
    protocol: '1.0',
    capabilities: ['timeout', 'circuit'],
    callees: [],
    dataset: 'd1',
    sent: 0,
    acked: 0,
    applied: 0,
    staleMs: 0,
    connectedMs: 1000,
    refused: [],
    ...fields,
  };
}

export function circuitRow(agent: string, state: string, fields: Partial<CircuitRow> = {}): CircuitRow {
  return {
    id: 'inventory|inventory-default',
    callee: 'inventory',
    method: '',
    policy: 'inventory-default',
    revision: 7,
    agent,
    state,
    epoch: 1,
    retryAfterMs: 0,
    reason: '',
    ageMs: 5,
    ...fields,
  };
}
