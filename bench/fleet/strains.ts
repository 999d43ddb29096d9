/**
 * What a fleet puts a replica through on a bad day: a hundred edits in a row, readers that read nothing, more reports than it can take
 * in, another replica that dies.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { percentile, spread } from '../harness.js';
import type { Plane } from '../plane.js';
import { Profiler } from '../profile/inspector.js';
import { CALLEES, change, lagIn, metric, push, quiet, type Server, scrape, visitor } from './measures.js';
import { type BareServer, cpuMs, type Generators, instant } from './parts.js';

const EDITS = 100;
const LEVEL_WITHIN_MS = 60_000;
const POLL_MS = 50;
/** After thirty seconds those that read nothing are cut, and come again. */
const HELD_AFTER_MS = 20_000;
/** Kilobytes of each edit that only they hear of, how many there are until then, and how far apart: no closer than pushes are. */
const EDIT_KB = 16;
const BULK_EDITS = 60;
const BULK_EVERY_MS = 300;
export const BULK_KB = EDIT_KB * BULK_EDITS;
/** The fleet of those that are to read nothing, and the service that they are instances of. */
export const LAGGARDS = 'laggards';

export interface Edits {
  /** From the first put to the last agent that has the last edit. */
  readonly lastMs: number;
  /** From the first put to what each agent heard last. */
  readonly heardP50Ms: number;
  readonly heardP99Ms: number;
  readonly putP99Ms: number;
  /** Deltas for each agent: a hundred edits are no hundred messages. */
  readonly messages: number;
  readonly cpuUsEach: number;
  readonly lagMs: number;
  /** The first of the messages. */
  readonly sample: Uint8Array;
}

/** A hundred puts to all, one after the other. */
export async function edits(
  generators: Generators,
  plane: Plane,
  { name, pid }: Pick<Server, 'name' | 'pid'>,
  { agents, round }: { agents: number; round: number },
): Promise<Edits> {
  const heard = generators.expect(name, 'delta');
  const pushes = await metric(plane, 'switchgear_pushes_total');
  const cpu = cpuMs(pid);
  const start = instant();
  const puts: number[] = [];
  for (let i = 0; i < EDITS; i++) {
    const before = instant();
    const spec = {
      timeout: `${2_000 + EDITS * round + i}ms`,
      circuit: { scope: 'cluster' },
      bulkhead: { maxConcurrent: 100 },
    };
    await plane.put('inventory-default', 'inventory', spec);
    puts.push(instant() - before);
  }
  while ((await pending(plane)) > 0) {
    if (instant() - start > LEVEL_WITHIN_MS) throw new Error('not all agents had the last edit in time');
    await pause(POLL_MS);
  }
  const lastMs = instant() - start;
  const of = await scrape(plane);
  const messages = of('switchgear_pushes_total').reduce((sum, value) => sum + value, 0) - pushes;
  const cpuUsEach = ((cpuMs(pid) - cpu) * 1_000) / messages;
  const { sample } = await heard;
  const since = (await generators.latest(name)).map((each) => each - start);
  return {
    ...{ lastMs, putP99Ms: percentile(puts, 0.99), messages: messages / agents, cpuUsEach },
    ...{ heardP50Ms: percentile(since, 0.5), heardP99Ms: percentile(since, 0.99), lagMs: lagIn(of), sample },
  };
}

async function pending({ rest }: Plane): Promise<number> {
  const response = await fetch(`${rest}/v1/policies/inventory-default/status`);
  const { agents } = (await response.json()) as { agents: { pending: number } };
  return agents.pending;
}

export interface Readers {
  /** 99th percentile of changes among those that read, as a median. */
  readonly p99Ms: number;
  /** What the control plane held after twenty seconds. */
  readonly heldKb: number;
  readonly lagMs: number;
}

/** Agents that are able to read nothing: with HTTP/2's own windows. */
export async function laggardsCome(generators: Generators, server: Server, agents: number): Promise<void> {
  const who = { service: LAGGARDS, narrow: true };
  await generators.connect(LAGGARDS, [server.port], agents, CALLEES, who);
  quiet(generators, LAGGARDS);
}

/** Changes for so long, while `stalled` of the laggards in each process read nothing. */
export async function readers(
  parts: { generators: Generators; plane: Plane; server: Server; inspector: string },
  { agents, stalled, forMs, round }: { agents: number; stalled: number; forMs: number; round: number },
): Promise<Readers> {
  const { generators, plane, server, inspector } = parts;
  generators.tell({ type: 'stall', fleet: LAGGARDS, count: stalled });
  const start = instant();
  const bulk = edit(plane, round);
  let heldKb = Number.NaN;
  const seen: { p99Ms: number; lagMs: number }[] = [];
  const end = instant() + forMs;
  for (let i = 0; instant() < end; i++) {
    seen.push(await change(generators, plane, server, 0, 5_000 + 100 * round + i));
    if (Number.isNaN(heldKb) && instant() - start > HELD_AFTER_MS) {
      await bulk;
      heldKb = await held(plane, inspector);
    }
  }
  generators.tell({ type: 'stall', fleet: LAGGARDS, count: 0 });
  await back(plane, agents);
  const median = (key: 'p99Ms' | 'lagMs') => spread(seen.map((each) => each[key])).median;
  return { p99Ms: median('p99Ms'), lagMs: median('lagMs'), heldKb };
}

/** Edits of many kilobytes that concern none but the laggards. */
async function edit({ rest }: Plane, round: number): Promise<void> {
  for (let i = 0; i < BULK_EDITS; i++) {
    const text = `${round}-${i} ${'-'.repeat(EDIT_KB * 1024)}`;
    const spec = { fallback: [{ static: { text } }] };
    const response = await fetch(`${rest}/v1/policies/laggards-bulk`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ match: { to: CALLEES[0], from: LAGGARDS }, spec }),
    });
    if (!response.ok) throw new Error(`PUT laggards-bulk: ${response.status} ${await response.text()}`);
    await pause(BULK_EVERY_MS);
  }
}

/** The 99th percentile, as a median, of the same bytes from a bare server while `stalled` agents in each process read nothing. */
export async function bareReaders(
  generators: Generators,
  bare: BareServer,
  { stalled, pushes, message }: { stalled: number; pushes: number; message: Uint8Array },
): Promise<number> {
  generators.tell({ type: 'stall', fleet: bare.name, count: stalled });
  const p99s: number[] = [];
  for (let i = 0; i < pushes; i++)
    p99s.push((await push(generators, bare, bare.process, message, false)).p99Ms);
  generators.tell({ type: 'stall', fleet: bare.name, count: 0 });
  return spread(p99s).median;
}

/** Those that were cut have come again. */
async function back(plane: Plane, agents: number): Promise<void> {
  const end = instant() + LEVEL_WITHIN_MS;
  while ((await metric(plane, 'switchgear_agents_connected')) < agents) {
    if (instant() > end) throw new Error(`fewer than ${agents} agents are connected`);
    await pause(POLL_MS);
  }
}

/** Of the control plane's process, kilobytes, without what nobody holds any more. */
async function held(plane: Plane, inspector: string): Promise<number> {
  const profiler = await Profiler.connect(inspector, 1_000);
  await profiler.collectGarbage();
  profiler.close();
  const used = await metric(plane, 'nodejs_heap_size_used_bytes');
  const outside = await metric(plane, 'nodejs_external_memory_bytes');
  return (used + outside) / 1024;
}

const INGEST_MS = 6_000;

export interface Ingest {
  readonly offered: number;
  /** Reports taken in, each second. */
  readonly taken: number;
  /** Of the control plane's process. */
  readonly corePercent: number;
}

/** Reports of four cells as fast as so many agents in each process say them. */
export async function ingest(
  { generators, plane, server }: { generators: Generators; plane: Plane; server: Server },
  { reporters, periodMs, processes }: { reporters: number; periodMs: number; processes: number },
): Promise<Ingest> {
  const talk = { heartbeatMs: 15_000, reportMs: periodMs, reporters, cells: CALLEES };
  generators.tell({ type: 'talk', fleet: server.name, ...talk });
  await pause(3_000);
  const before = await metric(plane, 'switchgear_reports_total');
  const cpu = cpuMs(server.pid);
  const start = instant();
  await pause(INGEST_MS);
  const taken = (await metric(plane, 'switchgear_reports_total')) - before;
  const seconds = (instant() - start) / 1_000;
  const corePercent = (cpuMs(server.pid) - cpu) / seconds / 10;
  quiet(generators, server.name);
  return {
    ...{ offered: (reporters * processes * 1_000) / periodMs, taken: taken / seconds, corePercent },
  };
}

export interface Killed {
  readonly agents: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From the kill to the last of its agents that has a complete state from the other replica. */
  readonly lastMs: number;
  /** Meanwhile, of the other replica. */
  readonly restFailed: number;
  readonly lagMs: number;
}

/** A second replica of the same store dies with all its agents; or a second bare server, which has no REST face. */
export async function killed(
  {
    generators,
    server,
    other,
  }: { generators: Generators; server: Server; other: Pick<Server, 'pid' | 'port'> },
  agents: number,
): Promise<Killed> {
  const ports = [other.port, server.port];
  await generators.connect('another replica', ports, agents, CALLEES);
  const heard = generators.expect('another replica', 'back');
  await server.lagMs();
  const start = instant();
  process.kill(other.pid, 'SIGKILL');
  const visits = visitor(server.rest);
  const { at } = await heard;
  const { failed: restFailed } = await visits.end();
  const lagMs = await server.lagMs();
  await generators.leave('another replica');
  const since = at.map((each) => each - start);
  const [p50Ms, p99Ms] = [percentile(since, 0.5), percentile(since, 0.99)];
  return { agents, p50Ms, p99Ms, lastMs: Math.max(...since), restFailed, lagMs };
}
