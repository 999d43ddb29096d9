/**
 * Thousands of agents on one replica: a control plane in a process of its own on a real Redis, and light agents that speak the real
 * protocol over a connection each (`fleet/`). Beside it, in the same run, the same bytes to as many agents from a bare grpc-js server and
 * from `node:http2`: what is judged is the ratio. `--agents=1000` for fewer, `--rounds=3`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuMs, Generators, instant, rssKb, startBare } from './fleet/parts.js';
import { conclude, type Figure, percentile, type Row, spread } from './harness.js';
import { type Plane, startPlane } from './plane.js';
import { startRedis } from './redis.js';

const { values: flags } = parseArgs({
  strict: false,
  options: { agents: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '5' } },
});
const AGENTS = Number(flags.agents);
const ROUNDS = Number(flags.rounds);
const GENERATORS = 2;
const CALLEES = ['inventory', 'payment', 'search', 'stock'];
const SETTLE_MS = 3_000;

interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

interface Storm {
  /** Until the last one knew all there is. */
  readonly lastMs: number;
  readonly p50Ms: number;
  readonly refused: number;
  readonly kbEach: number;
  readonly first: readonly Uint8Array[];
}

/** All agents come at once. */
async function storm(generators: Generators, { name, pid, port }: Server): Promise<Storm> {
  await pause(SETTLE_MS);
  const before = rssKb(pid);
  const start = instant();
  const { at, refused, first } = await generators.connect(name, port, AGENTS, CALLEES);
  const since = at.map((each) => each - start);
  await pause(SETTLE_MS);
  const kbEach = (rssKb(pid) - before) / AGENTS;
  return { lastMs: Math.max(...since), p50Ms: percentile(since, 0.5), refused, kbEach, first };
}

/** Waits until the control plane has counted so many acknowledgements more. */
async function acknowledged({ rest }: Plane, count: number): Promise<number> {
  for (;;) {
    if ((await acks(rest)) >= count) return instant();
    await pause(5);
  }
}

async function acks(rest: string): Promise<number> {
  const text = await (await fetch(`${rest}/metrics`)).text();
  return Number(/^switchgear_ack_delay_seconds_count{[^}]*} (\d+)$/m.exec(text)?.[1] ?? 0);
}

interface Fan {
  readonly lastMs: number;
  readonly ackedMs: number;
  readonly cpuUs: number;
}

/** One policy change to all. */
async function change(
  generators: Generators,
  plane: Plane,
  round: number,
): Promise<Fan & { sample: Uint8Array }> {
  const before = await acks(plane.rest);
  const cpu = cpuMs(plane.pid);
  const heard = generators.expect('control plane', 'delta');
  const start = instant();
  await plane.put('inventory-default', 'inventory', {
    timeout: `${1_000 + round}ms`,
    circuit: {},
    bulkhead: { maxConcurrent: 100 },
  });
  const acked = await acknowledged(plane, before + AGENTS);
  const { at, sample } = await heard;
  await pause(SETTLE_MS);
  const cpuUs = ((cpuMs(plane.pid) - cpu) * 1_000) / AGENTS;
  return { lastMs: Math.max(...at) - start, ackedMs: acked - start, cpuUs, sample };
}

type BareServer = Server & Awaited<ReturnType<typeof startBare>>;

async function push(generators: Generators, server: BareServer, message: Uint8Array): Promise<Fan> {
  const cpu = cpuMs(server.pid);
  const heard = generators.expect(server.name, 'delta');
  const pushed = server.process.hear('pushed');
  server.process.tell({ type: 'push', message });
  const [{ at }, { from, at: ackedAt }] = await Promise.all([heard, pushed]);
  await pause(SETTLE_MS);
  const cpuUs = ((cpuMs(server.pid) - cpu) * 1_000) / AGENTS;
  return { lastMs: Math.max(...at) - from, ackedMs: ackedAt - from, cpuUs };
}

const bareKinds = ['grpc-js', 'node:http2'] as const;

async function bareServers(first: readonly Uint8Array[]): Promise<BareServer[]> {
  const servers: BareServer[] = [];
  for (const name of bareKinds) {
    const started = await startBare(name, first);
    servers.push({ name, pid: started.process.pid, ...started });
  }
  return servers;
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  const figures: Figure[] = [];
  const redis = await startRedis();
  const generators = await Generators.start(GENERATORS);
  let plane: Plane | undefined;
  let bare: BareServer[] = [];
  try {
    plane = await startPlane(redis.url);
    for (const callee of CALLEES)
      await plane.put(`${callee}-default`, callee, {
        timeout: '1s',
        circuit: {},
        bulkhead: { maxConcurrent: 100 },
      });
    const port = Number(plane.grpc.split(':').at(-1));
    const server: Server = { name: 'control plane', pid: plane.pid, port };
    const first = await storm(generators, server);
    console.error('control plane, storm', { ...first, first: first.first.map(({ length }) => length) });
    bare = await bareServers(first.first);
    for (const each of bare) {
      const came = await storm(generators, each);
      console.error(each.name, 'storm', { ...came, first: came.first.map(({ length }) => length) });
    }
    const ours: Fan[] = [];
    const theirs: Fan[][] = bare.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      const { sample, ...fan } = await change(generators, plane, round);
      ours.push(fan);
      console.error('control plane', fan, sample.length);
      for (const [i, each] of bare.entries()) {
        const pushed = await push(generators, each, sample);
        theirs[i]?.push(pushed);
        console.error(each.name, pushed);
      }
    }
    const median = (fans: readonly Fan[], key: keyof Fan) => spread(fans.map((fan) => fan[key])).median;
    for (const [what, key, bound] of [
      ['a policy change: until the last agent has it', 'lastMs', 'change to the last agent'],
      ['until the last acknowledgement is counted', 'ackedMs', 'change to the last acknowledgement'],
    ] as const)
      for (const [i, each] of bare.entries()) {
        const ratio = spread(
          ours.map((fan, round) => fan[key] / (theirs[i]?.[round]?.lastMs ?? Number.NaN)),
        ).median;
        rows.push({
          what,
          value: `${median(ours, key).toFixed(0)} ms`,
          baseline: `${each.name}, the same bytes: ${median(theirs[i] ?? [], 'lastMs').toFixed(0)} ms`,
          ratio: `${ratio.toFixed(2)} ×`,
        });
        if (each.name === 'grpc-js') figures.push({ name: `fleet: ${bound} ÷ bare grpc-js`, value: ratio });
      }
    conclude({
      title: 'A fleet on one replica',
      command: 'npm run bench:fleet',
      notes: `${AGENTS} light agents in ${GENERATORS} processes, one TCP connection each; medians of ${ROUNDS} rounds.`,
      rows,
      figures,
    });
  } finally {
    generators.close();
    for (const each of bare) each.process.close();
    await plane?.close();
    await redis.close();
  }
}

await main();
