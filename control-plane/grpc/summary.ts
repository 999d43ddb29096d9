/**
 * What a replica tells the others of itself each second, as compact as JSON gets: how its callees fare, which circuits aren't closed,
 * and which version each page of its agents has (`pages.ts`). What it costs doesn't grow with its agents. It is read back with
 * suspicion, since it has been in a store that others can write to: what doesn't fit is dropped, never thrown.
 */
import { LatencyHistogram } from '../../core/resilience/latency.js';
import type { CircuitRow, ServiceHealth } from '../ports.js';
import { list, number, parsed, text } from './json.js';
import { PAGES } from './pages.js';

export interface Summary {
  readonly replica: string;
  /** Of this life of this replica: versions count from its beginning. */
  readonly life: string;
  /** When it was made, on the replica's own monotonic clock, as are the instants in the pages; milliseconds. */
  readonly nowMs: number;
  /** How many are connected. */
  readonly agents: number;
  /** Version of each page; 0: nobody was ever in it. */
  readonly pages: readonly number[];
  /** Those that are not closed, at most `CIRCUITS_MAX`. */
  readonly circuits: readonly CircuitRow[];
  readonly health: ReadonlyMap<string, ServiceHealth>;
  /** Of the callees that brownout rules ask for, at most `LATENCIES_MAX`; each takes up to 700 characters. */
  readonly latencies: ReadonlyMap<string, LatencyHistogram>;
}

const FORMAT = 2;
const CIRCUITS_MAX = 5000;
const LATENCIES_MAX = 100;

export function encodeSummary(summary: Summary): string {
  const { replica, life, nowMs, agents, pages, circuits, health, latencies } = summary;
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
    life,
    nowMs: Math.round(nowMs),
    agents,
    pages,
    circuits: open,
    health: calls,
    latencies: [...latencies]
      .slice(0, LATENCIES_MAX)
      .map(([service, histogram]) => [service, Buffer.from(histogram.encode()).toString('base64')]),
  });
}

/** Undefined if it is of another format, or none at all. */
export function decodeSummary(body: string): Summary | undefined {
  const summary = parsed(body);
  if (summary?.format !== FORMAT || typeof summary.replica !== 'string') return undefined;
  return {
    replica: summary.replica,
    life: text(summary.life),
    nowMs: number(summary.nowMs),
    agents: number(summary.agents),
    pages: list(summary.pages).slice(0, PAGES).map(number),
    circuits: list(summary.circuits).map((row) => circuitOf(list(row))),
    health: new Map(list(summary.health).map((row) => healthOf(list(row)))),
    latencies: new Map(
      list(summary.latencies)
        .slice(0, LATENCIES_MAX)
        .flatMap((row) => latencyOf(list(row))),
    ),
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
