/**
 * All cores of one machine: two workers behind one address with twice as many agents, and one of them that dies and is started again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { spread } from '../harness.js';
import { type Plane, startPlane } from '../plane.js';
import { CALLEES, change, type Fan, metric, metrics, quiet, scrape } from './measures.js';
import { childrenOf, type Generators, instant } from './parts.js';

const POLL_MS = 500;
const BACK_WITHIN_MS = 60_000;
const LEVEL_WITHIN_MS = 600_000;
/** Of two, a tenth below an even half. */
const SHARE = 0.45;

export interface Cores {
  /** Until the last of all agents had a change, median. */
  readonly lastMs: number;
  /** Of all processes of the control plane, for each agent, median. */
  readonly cpuUs: number;
  /** From the end of a worker until all agents are connected again, and until the new one has its share. */
  readonly backMs: number;
  readonly levelMs: number;
  /** Agents of each worker before, and after that. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Streams that were told to go elsewhere since then, so that the shares become even. */
  readonly moved: number;
}

export async function cores(
  generators: Generators,
  store: string,
  { agents, rounds }: { agents: number; rounds: number },
): Promise<Cores> {
  const plane = await startPlane(store, { flags: ['--workers', '2'] });
  try {
    const port = Number(plane.grpc.split(':').at(-1));
    const server = { name: 'two workers', pid: plane.pid, port, lagMs: async () => Number.NaN };
    await generators.connect(server.name, [port], agents, CALLEES);
    quiet(generators, server.name);
    await connected(plane, agents);
    const changes: Fan[] = [];
    for (let round = 0; round < rounds; round++)
      changes.push(await change(generators, plane, server, agents, 50_000 + round));
    const before = await shares(plane);
    const [worker] = childrenOf(plane.pid);
    if (worker === undefined) throw new Error('the control plane has no workers');
    const start = instant();
    process.kill(worker, 'SIGKILL');
    // What the others say of it for a moment is of before.
    await pause(POLL_MS);
    // Some are always on their way while shares are made even.
    await connected(plane, 0.99 * agents);
    const backMs = instant() - start;
    const after = await level(plane, agents);
    const levelMs = instant() - start;
    const moved = await metric(plane, 'switchgear_streams_sent_elsewhere_total');
    const silent = await silentEnds(plane);
    // Whoever was given up for silent comes again to whichever worker, which would make shares even as well.
    if (silent > 0) throw new Error(`${silent} agents were given up that had said nothing`);
    const median = (key: 'lastMs' | 'cpuUs') => spread(changes.map((each) => each[key])).median;
    return { lastMs: median('lastMs'), cpuUs: median('cpuUs'), backMs, levelMs, before, after, moved };
  } finally {
    await generators.leave('two workers');
    await plane.close();
  }
}

async function connected(plane: Plane, agents: number): Promise<void> {
  const end = instant() + BACK_WITHIN_MS;
  while ((await metric(plane, 'switchgear_agents_connected')) < agents) {
    if (instant() > end) throw new Error(`fewer than ${agents} agents are connected`);
    await pause(POLL_MS);
  }
}

async function silentEnds(plane: Plane): Promise<number> {
  const ends = (await scrape(plane))('switchgear_stream_ends_total', 'reason="silent"');
  return ends.reduce((sum, value) => sum + value, 0);
}

/** By replica. */
async function shares(plane: Plane): Promise<readonly number[]> {
  return (await metrics(plane, 'switchgear_agents_connected')).sort((a, b) => a - b);
}

async function level(plane: Plane, agents: number): Promise<readonly number[]> {
  const end = instant() + LEVEL_WITHIN_MS;
  for (;;) {
    const now = await shares(plane);
    if (now.length === 2 && (now[0] as number) >= SHARE * agents) return now;
    if (instant() > end) throw new Error(`the workers have ${now.join(' and ')} agents, of ${agents}`);
    await pause(POLL_MS);
  }
}
