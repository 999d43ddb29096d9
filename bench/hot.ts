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
  type Spread,
  spread,
  times,
} from './harness.js';
import type { bytesPerCall, circuitBytes } from './hot-alone.js';
import { clients, cpu, type Loops, realClient } from './hot-grpc.js';
import { loadPeers, type Peer } from './peers.js';
import { type Plane, startPlane } from './plane.js';
import { policies } from './policies.js';

type Sdk = typeof import('../sdk/index.js');
type Mesh = import('../sdk/index.js').Mesh;
type CircuitModule = typeof import('../core/resilience/circuit.js');
type PermitsModule = typeof import('../core/resilience/permits.js');

const ROUNDS = 11;
const ROUNDS_APART = 5;
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
  const { connect } = await built<Sdk>('sdk/index.js');
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
async function interceptors(mesh: Mesh, out: Figures): Promise<void> {
  const { plain, two, all, close } = clients(mesh);
  const real = await realClient();
  try {
    const [base = [], nothing = [], both = [], every = []] = apart();
    const added = (of: readonly number[]) => of.map((ns, round) => ns - (base[round] ?? 0));
    // Of the medians: the difference of one round is small beside its noise.
    const noopAdds = spread(added(nothing)).median;
    const addition = (title: string, of: readonly number[]) => {
      const adds = spread(added(of));
      const ratio = adds.median / noopAdds;
      out.rows.push({
        what: title,
        value: `+ ${nanoseconds(adds)}`,
        baseline: `no-op InterceptingCall + ${noopAdds.toFixed(0)} ns`,
        ratio: `${ratio.toFixed(2)} ×`,
      });
      return ratio;
    };
    const ratio = addition('interceptor, circuit + bulkhead', both);
    addition('interceptor, every stage on', every);
    out.figures.push({ name: 'interceptor: circuit + bulkhead ÷ no-op InterceptingCall', value: ratio });
    const shares = await sharesOfRealCall({ plain, two, all }, real.loop);
    out.figures.push({ name: 'interceptor: added CPU ÷ real unary call', value: shares.two });
    out.figures.push({ name: 'interceptor: every stage, added CPU ÷ real unary call', value: shares.all });
    out.rows.push({
      what: 'interceptor, every stage on, added CPU',
      value: `${shares.addedNs.toFixed(0)} ns`,
      baseline: `real unary call ${(shares.realNs / 1_000).toFixed(0)} µs`,
      ratio: `${(100 * shares.all).toFixed(2)} %`,
    });
  } finally {
    close();
    real.close();
  }
}

/**
 * Nanoseconds a call of each kind of client, by round, each measured in a process of its own: an application has one kind of client,
 * and what the compiler learns from the others should not count.
 */
function apart(): number[][] {
  const kinds = ['plain', 'noop', 'two', 'all'];
  const seen: number[][] = kinds.map(() => []);
  for (let round = 0; round < ROUNDS_APART; round++)
    for (let i = 0; i < kinds.length; i++) {
      const at = (i + round) % kinds.length;
      seen[at]?.push(alone(`--call=${kinds[at]}`) as number);
    }
  return seen;
}

/** What `hot-alone.ts` prints. Bytes are counted with a young generation so large that nothing is collected meanwhile. */
function alone(flag: string, ...node: string[]): unknown {
  const script = fileURLToPath(new URL('hot-alone.ts', import.meta.url));
  const flags = ['--expose-gc', ...node, '--import', 'tsx', script, flag];
  return JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
}

async function sharesOfRealCall(
  { plain, two, all }: Pick<Loops, 'plain' | 'two' | 'all'>,
  real: Loop,
): Promise<{ two: number; all: number; addedNs: number; realNs: number }> {
  const loops = [plain, two, all];
  const seen: number[][] = [[], [], [], []];
  await real(1_000);
  for (const loop of loops) await loop(120_000);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < loops.length; i++) {
      const at = (i + round) % loops.length;
      seen[at]?.push(await cpu(loops[at] as Loop, 40_000));
    }
    seen[3]?.push(await cpu(real, 2_000));
  }
  const [base, both, every, whole] = seen.map((values) => spread(values).median) as [
    number,
    number,
    number,
    number,
  ];
  const share = (with_: number) => Math.max(0, with_ - base) / whole;
  return { two: share(both), all: share(every), addedNs: every - base, realNs: whole };
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
  const out: Figures = { rows: [], figures: [] };
  const plane = await startPlane('memory');
  const mesh = await connected(plane);
  try {
    const versions = wanted('guard') ? await guards(mesh, out) : 'nobody';
    if (wanted('core')) await pair(out);
    if (wanted('interceptor')) await interceptors(mesh, out);
    if (wanted('bytes')) bytes(out);
    conclude({
      title: `A call in process (hot), Node ${major}`,
      command: 'npm run bench:hot',
      notes: `Medians of ${ROUNDS} interleaved rounds (least–greatest), through the public SDK of the built package, policies from a control plane; beside ${versions}. Interceptors: medians of ${ROUNDS_APART} rounds, each kind of client in a process of its own. The real call's CPU is client and server together, on loopback.`,
      rows: out.rows,
      figures: out.figures,
    });
  } finally {
    await mesh.close();
    await plane.close();
  }
}

await main();
