/**
 * What a replica tells the others of its agents, as compact as JSON gets: callees and capabilities once for each group, rows as
 * tuples. It is read back with suspicion, since it has been in a store that others can write to: what doesn't fit is dropped,
 * never thrown.
 */
import { LatencyHistogram } from '../../core/resilience/latency.js';
import type { AgentRow, CircuitRow, ServiceHealth } from '../ports.js';

/** An agent and the boot of its process. */
export interface BootedRow {
  readonly row: AgentRow;
  readonly boot: number;
}

export interface ReplicaView {
  readonly replica: string;
  readonly agents: readonly BootedRow[];
  /** Those that are not closed, at most `CIRCUITS_MAX`. */
  readonly circuits: readonly CircuitRow[];
  readonly health: ReadonlyMap<string, ServiceHealth>;
  /** Of the callees that brownout rules ask for, at most `LATENCIES_MAX`; each takes up to 700 characters. */
  readonly latencies: ReadonlyMap<string, LatencyHistogram>;
}

const FORMAT = 1;
const CIRCUITS_MAX = 5000;
const LATENCIES_MAX = 100;

export function encodeSummary({ replica, agents, circuits, health, latencies }: ReplicaView): string {
  const lists = new Interner();
  const rows = agents.map(({ row, boot }) => [
    row.service,
    row.instance,
    boot,
    row.zone,
    row.version,
    row.protocol,
    lists.index(row.capabilities),
    lists.index(row.callees),
    row.dataset,
    row.sent,
    row.acked,
    row.applied,
    row.staleMs,
    row.connectedMs,
    row.refused.map(({ policy, revision, reason }) => [policy, revision, reason]),
    row.notice ?? '',
  ]);
  const open = circuits
    .filter(({ state }) => state !== 'closed')
    .slice(0, CIRCUITS_MAX)
    .map((row) => [
      row.callee,
      row.method,
      row.policy,
      row.revision,
      row.agent,
      row.state,
      row.epoch,
      row.retryAfterMs,
      row.reason,
      Math.round(row.ageMs),
      row.id,
    ]);
  const calls = [...health].map(([service, { calls, failed, slow, rejected }]) => [
    service,
    calls,
    failed,
    rejected,
    slow,
  ]);
  return JSON.stringify({
    format: FORMAT,
    replica,
    lists: lists.lists,
    agents: rows,
    circuits: open,
    health: calls,
    latencies: [...latencies]
      .slice(0, LATENCIES_MAX)
      .map(([service, histogram]) => [service, Buffer.from(histogram.encode()).toString('base64')]),
  });
}

/** Undefined if it is of another format, or none at all. */
export function decodeSummary(body: string): ReplicaView | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  const summary = (value ?? {}) as Record<string, unknown>;
  if (summary.format !== FORMAT || typeof summary.replica !== 'string') return undefined;
  const { replica } = summary;
  const lists = list(summary.lists).map((one) => list(one).map(text));
  return {
    replica,
    agents: list(summary.agents).map((row) => agentOf(list(row), lists, replica)),
    circuits: list(summary.circuits).map((row) => circuitOf(list(row))),
    health: new Map(list(summary.health).map((row) => healthOf(list(row)))),
    // A replica of an earlier release says nothing of them.
    latencies: new Map(
      list(summary.latencies)
        .slice(0, LATENCIES_MAX)
        .flatMap((row) => latencyOf(list(row))),
    ),
  };
}

/** Equal lists once, in the order in which they came. Rows of one group share theirs, so most are found by identity. */
class Interner {
  readonly lists: (readonly string[])[] = [];
  readonly #byText = new Map<string, number>();
  readonly #byIdentity = new Map<readonly string[], number>();

  index(items: readonly string[]): number {
    const index = this.#byIdentity.get(items) ?? this.#indexOf(items);
    this.#byIdentity.set(items, index);
    return index;
  }

  #indexOf(items: readonly string[]): number {
    const key = items.join('\n');
    const known = this.#byText.get(key);
    if (known !== undefined) return known;
    this.lists.push(items);
    this.#byText.set(key, this.lists.length - 1);
    return this.lists.length - 1;
  }
}

function agentOf(row: readonly unknown[], lists: readonly (readonly string[])[], replica: string): BootedRow {
  const [service, instance, boot, zone, version, protocol, capabilities, callees, dataset] = row;
  const [sent, acked, applied, staleMs, connectedMs, refused, notice] = row.slice(9);
  return {
    boot: number(boot),
    row: {
      agent: `${text(service)}/${text(instance)}`,
      service: text(service),
      instance: text(instance),
      zone: text(zone),
      version: text(version),
      replica,
      protocol: text(protocol),
      capabilities: lists[number(capabilities)] ?? [],
      callees: lists[number(callees)] ?? [],
      dataset: text(dataset),
      sent: number(sent),
      acked: number(acked),
      applied: number(applied),
      staleMs: number(staleMs),
      connectedMs: number(connectedMs),
      refused: list(refused).map((entry) => {
        const [policy, revision, reason] = list(entry);
        return { policy: text(policy), revision: number(revision), reason: text(reason) };
      }),
      ...(text(notice) === '' ? {} : { notice: text(notice) }),
    },
  };
}

function circuitOf(row: readonly unknown[]): CircuitRow {
  const [callee, method, policy, revision, agent, state, epoch, retryAfterMs, reason, ageMs, id] = row;
  return {
    id: text(id),
    callee: text(callee),
    method: text(method),
    policy: text(policy),
    revision: number(revision),
    agent: text(agent),
    state: text(state),
    epoch: number(epoch),
    retryAfterMs: number(retryAfterMs),
    reason: text(reason),
    ageMs: number(ageMs),
  };
}

function healthOf([service, calls, failed, rejected, slow]: readonly unknown[]): [string, ServiceHealth] {
  const counts = { calls: number(calls), failed: number(failed), slow: number(slow) };
  return [text(service), { ...counts, rejected: number(rejected) }];
}

function latencyOf([service, encoded]: readonly unknown[]): [string, LatencyHistogram][] {
  const histogram = LatencyHistogram.decode(Buffer.from(text(encoded), 'base64'));
  return histogram ? [[text(service), histogram]] : [];
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
