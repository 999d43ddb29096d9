/**
 * A call in process: what `guard` and the interceptor cost, through the public SDK with policies from a control plane, beside the
 * libraries that a service would use otherwise, in the same run. It measures the built package, which is what users run.
 *
 * Baselines: a bare await; an async wrapper that does nothing; opossum and cockatiel; a client over a transport that answers at once,
 * with the same deadline; and a real unary call over loopback, for what a call costs at all.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  conclude,
  type Loop,
  nanoseconds,
  type Row,
  race,
  ratios,
  refusePartialCheck,
  type Spread,
  spread,
  times,
} from './harness.js';
import type { bytesPerCall, circuitBytes } from './hot-alone.js';
import { cpu, realClient } from './hot-grpc.js';
import { loadPeers, type Peer } from './peers.js';
import { type Plane, startPlane } from './plane.js';
import { policies } from './policies.js';

type Sdk = typeof import('../sdk/index.js');
type Mesh = import('../sdk/index.js').Mesh;
type CircuitModule = typeof import('../core/resilience/circuit.js');
type PermitsModule = typeof import('../core/resilience/permits.js');

const ROUNDS = 11;
const PROCESSES = 9;
const major = process.versions.node.split('.')[0];

const built = <T>(path: string): Promise<T> =>
  import(new URL(`../dist/${path}`, import.meta.url).href) as Promise<T>;

const work = async () => 1;

async function wrapper(fn: () => Promise<number>): Promise<number> {
  return await fn();
}

const loopOf =
  (call: () => Promise<unknown>): Loop =>
  async (calls) => {
    for (let i = 0; i < calls; i++) await call();
  };

const rejecting =
  (call: () => Promise<unknown>): Loop =>
  async (calls) => {
    for (let i = 0; i < calls; i++) await call().catch(ignore);
  };

function ignore(): void {}

async function connected(plane: Plane): Promise<Mesh> {
  for (const [callee, spec] of Object.entries(policies)) await plane.put(`bench-${callee}`, callee, spec);
  const { connect } = await built<Sdk>('light/sdk.js');
  const mesh = await connect({
    service: 'bench',
    controlPlane: plane.grpc,
    callees: Object.keys(policies),
    snapshot: false,
  });
  if (mesh.status().policies !== Object.keys(policies).length)
    throw new Error(`not all policies are in force: ${JSON.stringify(mesh.status().refused)}`);
  await mesh.guard('broken', () => Promise.reject(new Error('once'))).catch(ignore);
  if (mesh.circuit('broken').state !== 'open') throw new Error('the circuit that has to be open is not');
  return mesh;
}

interface Figures {
  readonly rows: Row[];
  readonly figures: { name: string; value: number }[];
}

/** `guard` against each peer: a row each, and a figure. */
async function against(
  title: string,
  ours: Loop,
  peers: readonly Peer[],
  calls: number,
  { rows, figures }: Figures,
  make = loopOf,
): Promise<void> {
  const [mine = [], ...theirs] = await race(
    [ours, ...peers.map((peer) => make(() => peer.call()))],
    ROUNDS,
    calls,
  );
  for (const [i, peer] of peers.entries()) {
    const ratio = ratios(mine, theirs[i] ?? []);
    rows.push(row(title, spread(mine), `${peer.name} ${nanoseconds(spread(theirs[i] ?? []))}`, ratio));
    figures.push({ name: `guard: ${title} ÷ ${peer.name}`, value: ratio.median });
  }
}

function row(what: string, value: Spread, baseline: string, ratio: Spread): Row {
  return { what, value: nanoseconds(value), baseline, ratio: times(ratio) };
}

async function guards(mesh: Mesh, out: Figures): Promise<string> {
  const peers = await loadPeers(work);
  try {
    const guarded = (name: string) => loopOf(() => mesh.guard(name, work));
    await against('circuit', guarded('one'), peers.circuit, 180_000, out);
    await against('circuit + bulkhead', guarded('two'), peers.circuitAndBulkhead, 180_000, out);
    const four = 'circuit + bulkhead + timeout + retry';
    await against(four, guarded('four'), peers.four, 180_000, out);
    const refused = rejecting(() => mesh.guard('broken', work));
    await against('open circuit, rejection', refused, peers.open, 60_000, out, rejecting);
  } finally {
    peers.close();
  }
  const [wrapped = [], two = []] = await race(
    [loopOf(() => wrapper(work)), loopOf(() => mesh.guard('two', work))],
    ROUNDS,
    200_000,
  );
  const ratio = ratios(two, wrapped);
  out.rows.push(
    row('circuit + bulkhead', spread(two), `async wrapper ${nanoseconds(spread(wrapped))}`, ratio),
  );
  out.figures.push({ name: 'guard: circuit + bulkhead ÷ async wrapper', value: ratio.median });
  return peers.versions;
}

/** The core's synchronous pair: one circuit, no plan, no promise. */
async function pair(out: Figures): Promise<void> {
  const { Circuit } = await built<CircuitModule>('core/resilience/circuit.js');
  const { Permits } = await built<PermitsModule>('core/resilience/permits.js');
  const policy = await built<typeof import('../core/policy/index.js')>('core/policy/index.js');
  const parsed = policy.parsePolicy({ policy: 'pair', match: { to: 'x' }, spec: { circuit: {} } });
  if (!parsed.ok || !parsed.policy.spec.circuit) throw new Error('a circuit of defaults has to parse');
  const random = { next: () => 0.5, hex: () => '' };
  const circuit = new Circuit(parsed.policy.spec.circuit, { permits: new Permits(), random, now: 0 });
  let at = 0;
  const pairs: Loop = (calls) => {
    let now = at + 0;
    for (let i = 0; i < calls; i++) {
      now += 0.001;
      circuit.end(circuit.tryAcquire(now), 'success', now);
    }
    at = now;
  };
  const [bare = [], mine = []] = await race([loopOf(work), pairs], ROUNDS, 1_000_000);
  const ratio = ratios(mine, bare);
  const title = 'core: tryAcquire + end of a circuit';
  out.rows.push(row(title, spread(mine), `bare await ${nanoseconds(spread(bare))}`, ratio));
  out.figures.push({ name: `${title} ÷ bare await`, value: ratio.median });
}

/** What an interceptor adds to a call over a transport that answers at once. */
async function interceptors(out: Figures): Promise<void> {
  const { noop, two, all } = apart();
  const addition = (title: string, adds: Spread) => {
    out.rows.push({
      what: title,
      value: `+ ${nanoseconds(adds)}`,
      baseline: `no-op InterceptingCall + ${nanoseconds(noop)}`,
      ratio: `${(adds.median / noop.median).toFixed(2)} ×`,
    });
  };
  addition('interceptor, circuit + bulkhead', two);
  addition('interceptor, every stage on', all);
  const real = await realCall();
  out.rows.push({
    what: 'interceptor, every stage on, added',
    value: nanoseconds(all),
    baseline: `CPU of a real unary call ${(real.median / 1_000).toFixed(0)} µs`,
    ratio: `${((100 * all.median) / real.median).toFixed(2)} %`,
  });
  out.figures.push(
    {
      name: 'interceptor: circuit + bulkhead ÷ no-op InterceptingCall',
      value: two.median / noop.median,
    },
    { name: 'interceptor: added CPU ÷ real unary call', value: two.median / real.median },
    { name: 'interceptor: every stage, added CPU ÷ real unary call', value: all.median / real.median },
  );
}

/**
 * Nanoseconds that each kind of interceptor adds to a call, measured in processes of its own: an application has one kind, what the
 * compiler learns from the others should not count, and what it happens to decide in one process is not what it decides in the next.
 */
function apart(): Record<'noop' | 'two' | 'all', Spread> {
  const seen: Record<'noop' | 'two' | 'all', number[]> = { noop: [], two: [], all: [] };
  for (let round = 0; round < PROCESSES; round++)
    for (const kind of ['noop', 'two', 'all'] as const)
      seen[kind].push((alone(`--call=${kind}`) as { added: number }).added);
  return { noop: spread(seen.noop), two: spread(seen.two), all: spread(seen.all) };
}

/** Nanoseconds of CPU, of client and server together. */
async function realCall(): Promise<Spread> {
  const real = await realClient();
  try {
    await real.loop(10_000);
    const seen: number[] = [];
    for (let round = 0; round < ROUNDS; round++) seen.push(await cpu(real.loop, 2_000));
    return spread(seen);
  } finally {
    real.close();
  }
}

/** What `hot-alone.ts` prints. Bytes are counted with a young generation so large that nothing is collected meanwhile. */
function alone(flag: string, ...node: string[]): unknown {
  const script = fileURLToPath(new URL('hot-alone.ts', import.meta.url));
  const flags = ['--expose-gc', ...node, '--import', 'tsx', script, flag];
  return JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
}

function bytes(out: Figures): void {
  const young = ['--min-semi-space-size=256', '--max-semi-space-size=256'];
  const seen = alone('--bytes', ...young) as Awaited<ReturnType<typeof bytesPerCall>> &
    Awaited<ReturnType<typeof circuitBytes>>;
  const whole = (value: number) => `${value.toFixed(0)} B`;
  out.rows.push(
    { what: 'core pair, bytes', value: whole(seen.pair), baseline: '', ratio: '' },
    {
      what: 'interceptor, circuit + bulkhead, bytes added',
      value: whole(seen.two),
      baseline: `no-op InterceptingCall ${whole(seen.noop)}`,
      ratio: `${(seen.two / seen.noop).toFixed(2)} ×`,
    },
    { what: 'a circuit that has traffic, of 10,000', value: whole(seen.circuit), baseline: '', ratio: '' },
    {
      what: 'a key of a guard with a circuit of its own, of 10,000, all included',
      value: whole(seen.key),
      baseline: '',
      ratio: '',
    },
  );
  out.figures.push(
    { name: 'core: bytes of tryAcquire + end', value: Math.round(seen.pair) },
    { name: 'interceptor: bytes ÷ no-op InterceptingCall', value: seen.two / seen.noop },
    { name: 'circuit: bytes each of 10,000', value: seen.circuit },
  );
}

/** `--only=guard`, `core`, `interceptor` or `bytes`: that part alone, for whoever works on it. */
function wanted(part: string): boolean {
  const only = process.argv.find((flag) => flag.startsWith('--only='));
  return only === undefined || only === `--only=${part}`;
}

async function main(): Promise<void> {
  refusePartialCheck();
  const out: Figures = { rows: [], figures: [] };
  const plane = await startPlane('memory');
  const mesh = await connected(plane);
  try {
    const versions = wanted('guard') ? await guards(mesh, out) : 'nobody';
    if (wanted('core')) await pair(out);
    if (wanted('interceptor')) await interceptors(out);
    if (wanted('bytes')) bytes(out);
    conclude({
      title: `A call in process (hot), Node ${major}`,
      command: 'npm run bench:hot',
      notes: `Medians of ${ROUNDS} interleaved rounds (least–greatest), \`guard\` through the public SDK of the built package, policies from a control plane; beside ${versions}. Interceptors and bytes: the built agent by itself, under the same policies; medians of ${PROCESSES} processes of each kind, in which short slices of calls with it and without take turns. The real call's CPU is client and server together, on loopback.`,
      rows: out.rows,
      figures: out.figures,
    });
  } finally {
    await mesh.close();
    await plane.close();
  }
}

await main();
