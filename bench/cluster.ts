/**
 * A circuit of the mesh, live: 200 agents in four processes, two replicas in processes of their own, a real Redis. How long from
 * the calls that cross the threshold until the last agent refuses calls; and the headline with real agents: what a callee's death
 * costs a fleet that shares its circuit, and one in which each agent learns for itself, at the same time on the same machine.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { FromAgents, ToAgents } from './cluster-agents.js';
import { conclude, percentile, type Row, spread } from './harness.js';
import { type Plane, startPlane } from './plane.js';
import { startRedis } from './redis.js';

const AGENTS = 200;
const PROCESSES = 4;
const RUNS = 50;
/** Calls of a healthy callee before each run: as long as the window of the mesh's circuit. */
const HEALTHY_MS = 2_500;
/** Longer than the window of the headline's policy. */
const HEADLINE_HEALTHY_MS = 65_000;
const HEADLINE_LIMIT_MS = 90_000;

const quick = { openFor: '500ms', halfOpen: { calls: 3, maxWait: '5s' } };
const circuits = {
  sudden: {
    ...quick,
    window: '60s',
    minimumCalls: 20,
    scope: 'cluster',
    cluster: { ramp: ['100%'], rampStep: '500ms' },
  },
  shared: { window: '60s', minimumCalls: 20, openFor: '1m', scope: 'cluster' },
  alone: { window: '60s', minimumCalls: 20, openFor: '1m' },
} as const;
const callees = Object.keys(circuits);

class Agents {
  readonly #children: ChildProcess[] = [];

  async start(controlPlanes: readonly string[]): Promise<void> {
    const script = fileURLToPath(new URL('cluster-agents.ts', import.meta.url));
    const each = AGENTS / PROCESSES;
    for (let i = 0; i < PROCESSES; i++)
      this.#children.push(fork(script, [], { execArgv: ['--import', 'tsx'], stdio: 'inherit' }));
    const ready = this.#hear('ready');
    this.#children.forEach((child, i) => {
      child.send({ type: 'start', from: i * each, count: each, controlPlanes, callees } satisfies ToAgents);
    });
    await ready;
  }

  tell(message: ToAgents): void {
    for (const child of this.#children) child.send(message);
  }

  /** When the last of all agents was in one of these states. */
  async seen(callee: string, states: readonly string[]): Promise<number> {
    const answers = this.#hear('seen');
    this.tell({ type: 'await', callee, states });
    return Math.max(...(await answers).map((answer) => (answer.type === 'seen' ? answer.at : 0)));
  }

  /** Failed calls since the last time. */
  async failed(callee: string): Promise<number> {
    const answers = this.#hear('counted');
    this.tell({ type: 'count', callee });
    return (await answers).reduce((sum, answer) => sum + (answer.type === 'counted' ? answer.failed : 0), 0);
  }

  close(): void {
    for (const child of this.#children) child.disconnect();
  }

  #hear(type: FromAgents['type']): Promise<FromAgents[]> {
    return Promise.all(
      this.#children.map(
        (child) =>
          new Promise<FromAgents>((resolve) => {
            const hear = (message: FromAgents) => {
              if (message.type !== type) return;
              child.off('message', hear);
              resolve(message);
            };
            child.on('message', hear);
          }),
      ),
    );
  }
}

async function toLast(agents: Agents): Promise<number[]> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    agents.tell({ type: 'pace', callees: ['sudden'] });
    await pause(HEALTHY_MS);
    agents.tell({ type: 'pace', callees: [] });
    agents.tell({ type: 'fate', callee: 'sudden', dead: true });
    const open = agents.seen('sudden', ['open', 'half-open']);
    const start = performance.timeOrigin + performance.now();
    agents.tell({ type: 'burst', callee: 'sudden' });
    times.push((await open) - start);
    agents.tell({ type: 'fate', callee: 'sudden', dead: false });
    agents.tell({ type: 'pace', callees: ['sudden'] });
    await agents.seen('sudden', ['closed']);
  }
  agents.tell({ type: 'pace', callees: [] });
  return times;
}

async function wasted(agents: Agents): Promise<{ shared: number; alone: number }> {
  agents.tell({ type: 'pace', callees: ['shared', 'alone'] });
  await pause(HEADLINE_HEALTHY_MS);
  for (const callee of ['shared', 'alone']) agents.tell({ type: 'fate', callee, dead: true });
  const late = pause(HEADLINE_LIMIT_MS).then(() => {
    throw new Error(`the circuits of ${AGENTS} agents were not open after ${HEADLINE_LIMIT_MS} ms`);
  });
  await Promise.race([agents.seen('shared', ['open']), late]);
  await Promise.race([agents.seen('alone', ['open']), late]);
  late.catch(() => {});
  return { shared: await agents.failed('shared'), alone: await agents.failed('alone') };
}

async function main(): Promise<void> {
  const redis = await startRedis();
  const planes: Plane[] = [];
  const agents = new Agents();
  try {
    for (let i = 0; i < 2; i++) planes.push(await startPlane(redis.url));
    for (const [callee, circuit] of Object.entries(circuits))
      await planes[0]?.put(callee, callee, { circuit });
    await agents.start(planes.map(({ grpc }) => grpc));
    const times = await toLast(agents);
    const { shared, alone } = await wasted(agents);
    const { median, max } = spread(times);
    const p99 = percentile(times, 0.99);
    const rows: Row[] = [
      {
        what: 'from the calls that fail to the last agent that refuses',
        value: `p50 ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, most ${max.toFixed(0)} ms`,
        baseline: '',
        ratio: '',
      },
      {
        what: 'calls wasted until all circuits are open',
        value: `${shared}`,
        baseline: `local circuits alone: ${alone}`,
        ratio: `1/${(alone / shared).toFixed(0)}`,
      },
    ];
    conclude({
      title: 'A circuit of the mesh, live',
      command: 'npm run bench:cluster',
      notes: `${AGENTS} agents in ${PROCESSES} processes, two replicas, a real Redis on the same machine; ${RUNS} runs. Each run: every agent calls once a second for a while, then the callee dies and every agent calls once. Wasted calls: once a second for ${HEADLINE_HEALTHY_MS / 1000} s, window 60 s, minimumCalls 20, then the callee dies; both kinds of circuit at the same time.`,
      rows,
      figures: [
        { name: 'cluster: failing calls to the last of 200 agents open, p99 ms', value: p99 },
        { name: 'cluster: wasted calls ÷ local circuits alone, 200 agents', value: shared / alone },
      ],
    });
  } finally {
    agents.close();
    for (const plane of planes) await plane.close();
    await redis.close();
  }
}

await main();
