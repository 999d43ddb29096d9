/**
 * What the fleet benchmark does to a server and its agents, one function each; what comes of it are plain figures.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { percentile } from '../harness.js';
import type { Plane } from '../plane.js';
import type { BenchRedis } from '../redis.js';
import { kindOf, kinds } from './messages.js';
import { type Bare, cpuMs, type Generators, instant, rssKb } from './parts.js';

export const CALLEES = ['inventory', 'payment', 'search', 'stock'];
/** As real agents do, and as the control plane expects. */
const HEARTBEAT_MS = 15_000;
const SETTLE_MS = 3_000;
const POLL_MS = 5;
const VISIT_MS = 25;
/** An answer that takes longer is none. */
const VISITED_WITHIN_MS = 2_000;
const ACKED_WITHIN_MS = 120_000;

export interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  /** The 99th percentile of its loop's lag since the last time, milliseconds. */
  lagMs(): Promise<number>;
  /** For one with a REST face. */
  readonly rest?: string;
}

export interface Storm {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Until the last one knew all there is. */
  readonly lastMs: number;
  /** How often one was turned away before. */
  readonly refused: number;
  readonly kbEach: number;
  /** Of the server, for each agent. */
  readonly cpuUs: number;
  readonly lagMs: number;
  /** Of the REST face meanwhile: the longest answer, and answers that were none. */
  readonly restMs: number;
  readonly restFailed: number;
  /** What one of the agents heard. */
  readonly first: readonly Uint8Array[];
}

/** All agents come at once; they stay. */
export async function storm(generators: Generators, server: Server, agents: number): Promise<Storm> {
  const { name, pid, port } = server;
  await pause(SETTLE_MS);
  await server.lagMs();
  const before = rssKb(pid);
  const cpu = cpuMs(pid);
  const visits = visitor(server.rest);
  const start = instant();
  const { at, refused, first } = await generators.connect(name, [port], agents, CALLEES);
  const { longestMs, failed } = await visits.end();
  const cpuUs = ((cpuMs(pid) - cpu) * 1_000) / agents;
  const lagMs = await server.lagMs();
  quiet(generators, name);
  await pause(SETTLE_MS);
  const since = at.map((each) => each - start);
  return {
    ...{ p50Ms: percentile(since, 0.5), p99Ms: percentile(since, 0.99), lastMs: Math.max(...since) },
    ...{ refused, cpuUs, first, kbEach: (rssKb(pid) - before) / agents },
    ...{ lagMs, restMs: longestMs, restFailed: failed },
  };
}

/** Asks a REST face over and over whether it is ready, and something that it has to look up. */
export function visitor(rest: string | undefined): { end(): Promise<{ longestMs: number; failed: number }> } {
  let over = false;
  let longestMs = 0;
  let failed = 0;
  const visit = async () => {
    while (!over && rest !== undefined) {
      for (const path of ['/readyz', '/v1/policies/inventory-default']) {
        const start = instant();
        const ok = await fetch(`${rest}${path}`, { signal: AbortSignal.timeout(VISITED_WITHIN_MS) }).then(
          (response) => response.ok,
          () => false,
        );
        if (!ok) failed++;
        longestMs = Math.max(longestMs, instant() - start);
      }
      await pause(VISIT_MS);
    }
  };
  const visits = visit();
  return {
    async end() {
      over = true;
      await visits;
      return { longestMs, failed };
    },
  };
}

/** Heartbeats and nothing else. */
export function quiet(generators: Generators, fleet: string): void {
  generators.tell({ type: 'talk', fleet, heartbeatMs: HEARTBEAT_MS, reportMs: 0, reporters: 0, cells: [] });
}

/** Heartbeats of all, and each second a report of four cells from so many in each process. */
export function busy(generators: Generators, fleet: string, reporters: number): void {
  const talk = { heartbeatMs: HEARTBEAT_MS, reportMs: 1_000, reporters, cells: CALLEES };
  generators.tell({ type: 'talk', fleet, ...talk });
}

/** Percent of a core, over so long. */
export async function share(pid: number, forMs: number): Promise<number> {
  const before = cpuMs(pid);
  const start = instant();
  await pause(forMs);
  return ((cpuMs(pid) - before) / (instant() - start)) * 100;
}

/** Redis commands a second, of all clients, while something is done. */
export async function commands<T>(
  redis: BenchRedis,
  act: () => Promise<T>,
): Promise<{ result: T; seconds: number; perSecond: number }> {
  const before = await redis.commands();
  const start = instant();
  const result = await act();
  const seconds = (instant() - start) / 1_000;
  return { result, seconds, perSecond: ((await redis.commands()) - before) / seconds };
}

export interface Fan {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastMs: number;
  /** Until the server has counted the last answer; NaN where none is asked for. */
  readonly ackedMs: number;
  /** Of the server, for each agent. */
  readonly cpuUs: number;
  /** Of the server's loop, until the last agent had heard it. */
  readonly lagMs: number;
  readonly sample: Uint8Array;
}

interface Acked {
  readonly at: number;
  readonly lagMs: number;
}

async function fan(
  generators: Generators,
  { name, pid }: Pick<Server, 'name' | 'pid'>,
  kind: 'delta' | 'directives',
  act: () => Promise<{ readonly from: number; readonly acked: () => Promise<Acked> }>,
): Promise<Fan> {
  const cpu = cpuMs(pid);
  const heard = generators.expect(name, kind);
  const { from, acked } = await act();
  const { at, sample } = await heard;
  // Asked for only now: answering costs the server as well.
  const { at: ackedAt, lagMs } = await acked();
  await pause(SETTLE_MS);
  const since = at.map((each) => each - from);
  return {
    ...{ p50Ms: percentile(since, 0.5), p99Ms: percentile(since, 0.99), lastMs: Math.max(...since) },
    ...{ ackedMs: ackedAt - from, cpuUs: ((cpuMs(pid) - cpu) * 1_000) / at.length },
    ...{ lagMs, sample },
  };
}

/** One policy change to all. `agents`: from how many an answer is to be counted. */
export function change(
  generators: Generators,
  plane: Plane,
  server: Server,
  agents: number,
  round: number,
): Promise<Fan> {
  return fan(generators, server, 'delta', async () => {
    const before = await acks(plane);
    const from = instant();
    const spec = {
      timeout: `${1_000 + round}ms`,
      circuit: { scope: 'cluster' },
      bulkhead: { maxConcurrent: 100 },
    };
    await plane.put('inventory-default', 'inventory', spec);
    return { from, acked: () => acknowledged(plane, before + agents) };
  });
}

/** An operator forces a circuit, or takes that back. */
export async function direct(
  generators: Generators,
  plane: Plane,
  server: Server,
  state: 'open' | 'auto',
): Promise<Fan> {
  await server.lagMs();
  return fan(generators, server, 'directives', async () => {
    const from = instant();
    const response = await fetch(`${plane.rest}/v1/circuits/inventory%7Cinventory-default/override`, {
      method: state === 'auto' ? 'DELETE' : 'PUT',
      ...(state === 'open' && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ state, ttl: '1h', reason: 'benchmark' }),
      }),
    });
    if (!response.ok) throw new Error(`override: ${response.status} ${await response.text()}`);
    return { from, acked: async () => ({ at: Number.NaN, lagMs: await server.lagMs() }) };
  });
}

/** The same bytes from a bare server. */
export function push(
  generators: Generators,
  server: Server,
  bare: Bare,
  message: Uint8Array,
  answered: boolean,
): Promise<Fan> {
  const kind = kindOf(Buffer.from(message)) === kinds.delta ? 'delta' : 'directives';
  return fan(generators, server, kind, async () => {
    await server.lagMs();
    const pushed = answered ? bare.hear('pushed').then(({ at }) => at) : Promise.resolve(Number.NaN);
    const pushing = bare.hear('pushing');
    bare.tell({ type: 'push', message, answered });
    const { from } = await pushing;
    const acked = async () => {
      const lagMs = await server.lagMs();
      return { at: await pushed, lagMs };
    };
    return { from, acked };
  });
}

/** Waits until the control plane has counted so many acknowledgements. */
async function acknowledged(plane: Plane, count: number): Promise<Acked> {
  const end = instant() + ACKED_WITHIN_MS;
  let lagMs = Number.NaN;
  for (;;) {
    const of = await scrape(plane);
    // The first answer tells of the time before: each of them begins anew.
    if (Number.isNaN(lagMs)) lagMs = lagIn(of);
    if (sum(of(ACKS)) >= count) return { at: instant(), lagMs };
    if (instant() > end)
      throw new Error(`fewer than ${count} acknowledgements were counted within ${ACKED_WITHIN_MS} ms`);
    await pause(POLL_MS);
  }
}

const ACKS = 'switchgear_ack_delay_seconds_count';
const acks = (plane: Pick<Plane, 'rest'>) => metric(plane, ACKS);
const sum = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** Of a control plane, the sum over a series' labels. */
export async function metric(plane: Pick<Plane, 'rest'>, name: string): Promise<number> {
  return sum(await metrics(plane, name));
}

/** Each series of it. */
export async function metrics(plane: Pick<Plane, 'rest'>, name: string): Promise<number[]> {
  return (await scrape(plane))(name);
}

/** All that a control plane says at one moment: by name, and a label if one is given, each series. */
export async function scrape({
  rest,
}: Pick<Plane, 'rest'>): Promise<(name: string, label?: string) => number[]> {
  const text = await (await fetch(`${rest}/metrics`)).text();
  return (name, label = '') =>
    [...text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)$`, 'gm'))]
      .filter(([, labels = '']) => labels.includes(label))
      .map(([, , value]) => Number(value));
}

/** Since it was last asked for anything. */
export const lagIn = (of: (name: string) => number[]) => sum(of('nodejs_eventloop_lag_p99_seconds')) * 1_000;

/** Of the control plane: since it was last asked. */
export async function planeLagMs({ rest }: Plane): Promise<number> {
  return lagIn(await scrape({ rest }));
}
