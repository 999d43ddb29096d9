/**
 * What a fleet puts a replica through on a bad day: a hundred edits in a row, readers that read nothing, more reports than it can take
 * in, another replica that dies.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { percentile, spread } from '../harness.js';
import type { Plane } from '../plane.js';
import { Profiler } from '../profile/inspector.js';
import { CALLEES, change, lagIn, metric, push, quiet, type Server, scrape } from './measures.js';
import { type BareServer, cpuMs, type Generators, instant } from './parts.js';

const EDITS = 100;
const LEVEL_WITHIN_MS = 60_000;
const POLL_MS = 50;
const HELD_AFTER_MS = 20_000;

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
  agents: number,
): Promise<Edits> {
  const heard = generators.expect(name, 'delta');
  const pushes = await metric(plane, 'switchgear_pushes_total');
  const cpu = cpuMs(pid);
  const start = instant();
  const puts: number[] = [];
  for (let i = 0; i < EDITS; i++) {
    const before = instant();
    const spec = {
      timeout: `${2_000 + i}ms`,
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
  /** What the control plane held when they had read nothing for twenty seconds: after thirty they are cut. */
  readonly heldKb: number;
}

/** Changes for so long, while `stalled` agents in each process read nothing. */
export async function readers(
  parts: { generators: Generators; plane: Plane; server: Server; agents: number; inspector: string },
  { stalled, forMs, round }: { stalled: number; forMs: number; round: number },
): Promise<Readers> {
  const { generators, plane, server, agents, inspector } = parts;
  generators.tell({ type: 'stall', fleet: server.name, count: stalled });
  const start = instant();
  let heldKb = Number.NaN;
  const p99s: number[] = [];
  const end = instant() + forMs;
  for (let i = 0; instant() < end; i++) {
    const { p99Ms } = await change(generators, plane, server, 0, 1_000 * round + i);
    p99s.push(p99Ms);
    if (Number.isNaN(heldKb) && instant() - start > HELD_AFTER_MS) heldKb = await held(plane, inspector);
  }
  generators.tell({ type: 'stall', fleet: server.name, count: 0 });
  await back(plane, agents);
  return { p99Ms: spread(p99s).median, heldKb };
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
  await pause(10_000);
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
  const start = instant();
  process.kill(other.pid, 'SIGKILL');
  let restFailed = 0;
  let over = false;
  const visits = (async () => {
    while (!over && server.rest !== undefined) {
      const ok = await fetch(`${server.rest}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (!ok) restFailed++;
      await pause(POLL_MS);
    }
  })();
  const { at } = await heard;
  over = true;
  await visits;
  await generators.leave('another replica');
  const since = at.map((each) => each - start);
  const [p50Ms, p99Ms] = [percentile(since, 0.5), percentile(since, 0.99)];
  return { agents, p50Ms, p99Ms, lastMs: Math.max(...since), restFailed };
}
