/**
 * A circuit of the mesh, live: 200 agents in four processes, two replicas in processes of their own, a real Redis. How long from
 * the calls that cross the threshold until the last agent refuses calls; and the headline with real agents: what a callee's death
 * costs a fleet that shares its circuit, and one in which each agent learns for itself, at the same time on the same machine; how many
 * probes of a half-open period reach the callee; and what services that start during the outage make of it.
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
/** Longer than the window of the outage's policy. */
const OUTAGE_HEALTHY_MS = 12_000;
const OUTAGE_LIMIT_MS = 60_000;
const PROBES = 3;
const PERIODS = 3;
const NEWCOMERS = 10;
/** Each as new agents, where a half-open period came in between. */
const NEWCOMERS_TRIES = 5;
const NEWCOMERS_CALLS = 20;

const halfOpen = { calls: PROBES, maxWait: '5s' };
const quick = { openFor: '500ms', halfOpen };
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
  outage: { window: '10s', minimumCalls: 20, openFor: '1s', halfOpen, scope: 'cluster' },
} as const;
const callees = Object.keys(circuits);

class Agents {
  readonly #children: ChildProcess[] = [];

  async start(
    controlPlanes: readonly string[],
    service = 'checkout',
    agents = AGENTS,
    processes = PROCESSES,
  ): Promise<void> {
    const script = fileURLToPath(new URL('cluster-agents.ts', import.meta.url));
    const count = agents / processes;
    for (let i = 0; i < processes; i++)
      this.#children.push(fork(script, [], { execArgv: ['--import', 'tsx'], stdio: 'inherit' }));
    const ready = this.#hear('ready');
    this.#children.forEach((child, i) => {
      const from = i * count;
      child.send({ type: 'start', service, from, count, controlPlanes, callees } satisfies ToAgents);
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

/** Where the mesh's circuit of the outage is. */
async function record({ rest }: Plane): Promise<{ state: string; epoch: number }> {
  const response = await fetch(`${rest}/v1/circuits/${encodeURIComponent('outage|outage')}`);
  return ((await response.json()) as { cluster: { state: string; epoch: number } }).cluster;
}

/** The epoch of the first open period that comes after so many half-open ones, with all agents open in it. */
async function openSince(plane: Plane, epoch: number, periods: number): Promise<number> {
  const end = performance.now() + OUTAGE_LIMIT_MS;
  while (performance.now() < end) {
    const now = await record(plane);
    if (now.state === 'open' && now.epoch >= epoch + 2 * periods) return now.epoch;
    await pause(20);
  }
  throw new Error(`the circuit of the outage was not open within ${OUTAGE_LIMIT_MS} ms`);
}

/** Agents that come while it is open; the calls that failed them, of one period in which nobody was given a probe. */
async function latecomers(plane: Plane): Promise<number> {
  for (let i = 0; i < NEWCOMERS_TRIES; i++) {
    const epoch = await openSince(plane, 0, 0);
    const agents = new Agents();
    try {
      await agents.start([plane.grpc], `late-${i}`, NEWCOMERS, 1);
      agents.tell({ type: 'fate', callee: 'outage', dead: true });
      for (let call = 0; call < NEWCOMERS_CALLS; call++) agents.tell({ type: 'burst', callee: 'outage' });
      const failed = await agents.failed('outage');
      if ((await record(plane)).epoch === epoch) return failed;
    } finally {
      agents.close();
    }
  }
  throw new Error(`no open period was long enough for ${NEWCOMERS} agents to come`);
}

async function outage(agents: Agents, plane: Plane): Promise<{ probes: number; late: number }> {
  agents.tell({ type: 'pace', callees: ['outage'] });
  await pause(OUTAGE_HEALTHY_MS);
  agents.tell({ type: 'fate', callee: 'outage', dead: true });
  await agents.seen('outage', ['open']);
  const first = await openSince(plane, 0, 0);
  await agents.failed('outage');
  const last = await openSince(plane, first, PERIODS);
  const probes = (await agents.failed('outage')) / ((last - first) / 2);
  const late = await latecomers(plane);
  agents.tell({ type: 'fate', callee: 'outage', dead: false });
  await agents.seen('outage', ['closed']);
  agents.tell({ type: 'pace', callees: [] });
  return { probes, late };
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
    const { probes, late } = await outage(agents, planes[0] as Plane);
    const { shared, alone } = await wasted(agents);
    const { median, max } = spread(times);
    console.error(`milliseconds of the runs: ${times.map(Math.round).join(' ')}`);
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
      {
        what: `probes that reach the callee in a half-open period, of ${PERIODS}`,
        value: `${probes.toFixed(1)} on average`,
        baseline: `halfOpen.calls: ${PROBES}`,
        ratio: '',
      },
      {
        what: `failing calls of ${NEWCOMERS} agents that start during the outage, ${NEWCOMERS_CALLS} calls each`,
        value: `${late}`,
        baseline: '',
        ratio: '',
      },
    ];
    conclude({
      title: 'A circuit of the mesh, live',
      command: 'npm run bench:cluster',
      notes: `${AGENTS} agents in ${PROCESSES} processes, two replicas, a real Redis on the same machine; ${RUNS} runs. Each run: every agent calls once a second for a while, then the callee dies and every agent calls once. In the first, everybody's code is cold: it took ${times[0]?.toFixed(0)} ms. Wasted calls: once a second for ${HEADLINE_HEALTHY_MS / 1000} s, window 60 s, minimumCalls 20, then the callee dies; both kinds of circuit at the same time.`,
      rows,
      figures: [
        { name: 'cluster: failing calls to the last of 200 agents open, p99 ms', value: p99 },
        { name: 'cluster: wasted calls ÷ local circuits alone, 200 agents', value: shared / alone },
        {
          name: 'cluster: probes of a half-open period ÷ halfOpen.calls, 200 agents',
          value: probes / PROBES,
        },
        { name: 'cluster: failing calls of agents that start during the outage', value: late },
      ],
    });
  } finally {
    agents.close();
    for (const plane of planes) await plane.close();
    await redis.close();
  }
}

await main();
