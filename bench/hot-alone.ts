/**
 * What has to be measured in a process of its own, which `hot.ts` starts. `--bytes`: what a call leaves to the collector and what a
 * circuit holds, with a young generation that is never full, so that the heap's growth is what was allocated. `--call=<noop, two or
 * all>`: nanoseconds of a call without an interceptor, and what that one adds.
 */

import { type Loop, spread } from './harness.js';
import { clients } from './hot-grpc.js';
import { policies } from './policies.js';

type SdkAgent = typeof import('../agent/index.js');
type Policy = typeof import('../core/policy/index.js');
type CircuitModule = typeof import('../core/resilience/circuit.js');
type PermitsModule = typeof import('../core/resilience/permits.js');
type ClockModule = typeof import('../core/clock.js');
type RandomModule = typeof import('../core/random.js');
type GuardModule = typeof import('../agent/guard.js');

const CIRCUITS = 10_000;
const CALLS = 20_000;

const built = <T>(path: string): Promise<T> =>
  import(new URL(`../dist/${path}`, import.meta.url).href) as Promise<T>;

const collect = (): void => (globalThis as { gc?: () => void }).gc?.();

async function grown(loop: Loop, calls: number): Promise<number> {
  await loop(calls);
  await loop(calls);
  collect();
  const before = process.memoryUsage().heapUsed;
  await loop(calls);
  return (process.memoryUsage().heapUsed - before) / calls;
}

async function targetsOf(spec: object) {
  const { Targets } = await built<SdkAgent>('agent/index.js');
  const { systemClock } = await built<ClockModule>('core/clock.js');
  const { systemRandom } = await built<RandomModule>('core/random.js');
  const { effective, PolicyIndex, parsePolicy } = await built<Policy>('core/policy/index.js');
  const parsed = parsePolicy({ policy: 'bytes', match: { to: '*' }, spec });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  const index = new PolicyIndex([{ policy: parsed.policy, revision: 1 }]);
  const nothing = () => undefined;
  return new Targets({
    service: 'bytes',
    clock: systemClock,
    random: systemRandom,
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    effective: (to, method) => effective(index, { to, method }),
    onNewCallee: nothing,
    onCircuit: nothing,
  });
}

async function clientsUnder(spec: object) {
  const { createInterceptor } = await built<SdkAgent>('agent/index.js');
  const targets = await targetsOf(spec);
  const interceptor = (name: string) => createInterceptor(targets, name);
  return { targets, loops: clients({ interceptor } as unknown as import('../sdk/index.js').Mesh) };
}

type Kind = 'noop' | 'two' | 'all';

const PAIRS = 80;
const CALLS_OF_A_SLICE = 4_000;

/**
 * Nanoseconds of a call, and what the interceptor adds to it: short slices of calls with it and without take turns, and each is
 * compared with its neighbour; the median of all. What is looked for is a twentieth of the call, and machines change their pace by
 * more than that from one second to the next.
 */
async function nanosecondsAdded(kind: Kind): Promise<{ call: number; added: number }> {
  const { loops } = await clientsUnder(policies[kind === 'all' ? 'all' : 'two']);
  for (let i = 0; i < 20; i++) {
    await loops.plain(CALLS_OF_A_SLICE);
    await loops[kind](CALLS_OF_A_SLICE);
  }
  const timed = async (loop: Loop) => {
    const start = performance.now();
    await loop(CALLS_OF_A_SLICE);
    return ((performance.now() - start) * 1e6) / CALLS_OF_A_SLICE;
  };
  const without: number[] = [];
  const added: number[] = [];
  for (let i = 0; i < PAIRS; i++) {
    const first = await timed(i % 2 === 0 ? loops.plain : loops[kind]);
    const second = await timed(i % 2 === 0 ? loops[kind] : loops.plain);
    const [base, with_] = i % 2 === 0 ? [first, second] : [second, first];
    without.push(base);
    added.push(with_ - base);
  }
  return { call: spread(without).median, added: spread(added).median };
}

/** Per call: the core's pair, and what interceptors add. */
export async function bytesPerCall(): Promise<{ pair: number; noop: number; two: number }> {
  const { targets, loops } = await clientsUnder(policies.two);
  const base = await grown(loops.plain, CALLS);
  const noop = (await grown(loops.noop, CALLS)) - base;
  const two = (await grown(loops.two, CALLS)) - base;
  loops.close();
  const circuit = await circuitOf();
  let now = 0;
  // In short runs and from a number that is known to be one, or the loop keeps its own clock on the heap.
  const run = (calls: number) => {
    let at = now + 0;
    for (let i = 0; i < calls; i++) {
      at += 0.001;
      circuit.end(circuit.tryAcquire(at), 'success', at);
    }
    now = at;
  };
  const pairs: Loop = (calls) => {
    for (let i = 0; i < calls; i += 1_000) run(1_000);
  };
  // The least of several: what the compiler leaves behind while it is at work is not the circuit's. A collection throws the loop's own
  // optimised code away, and its numbers are on the heap until it has that again.
  let pair = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    collect();
    await pairs(1_000_000);
    const before = process.memoryUsage().heapUsed;
    await pairs(3_000_000);
    pair = Math.min(pair, (process.memoryUsage().heapUsed - before) / 3_000_000);
  }
  targets.close();
  return { pair, noop, two };
}

async function makeCircuit() {
  const { Circuit } = await built<CircuitModule>('core/resilience/circuit.js');
  const { Permits } = await built<PermitsModule>('core/resilience/permits.js');
  const { systemRandom } = await built<RandomModule>('core/random.js');
  const { parsePolicy } = await built<Policy>('core/policy/index.js');
  const parsed = parsePolicy({ policy: 'bytes', match: { to: 'x' }, spec: { circuit: {} } });
  if (!parsed.ok || !parsed.policy.spec.circuit) throw new Error('a circuit of defaults has to parse');
  const spec = parsed.policy.spec.circuit;
  const permits = new Permits();
  return () => new Circuit(spec, { permits, random: systemRandom, now: 0 });
}

async function circuitOf() {
  return (await makeCircuit())();
}

/** Held, heap and buffers: a circuit with traffic in several buckets; and a whole key of a guard with a circuit of its own. */
export async function circuitBytes(): Promise<{ circuit: number; key: number }> {
  const make = await makeCircuit();
  make();
  const before = held();
  const circuits = Array.from({ length: CIRCUITS }, make);
  for (let second = 0; second < 5; second++)
    for (const circuit of circuits)
      circuit.end(circuit.tryAcquire(second * 1_000), 'success', second * 1_000);
  const circuit = (held() - before) / circuits.length;
  const { guard } = await built<GuardModule>('agent/guard.js');
  const targets = await targetsOf({ circuit: { per: 'method' } });
  await guard(targets, 'warm', async () => 1, { key: 'warm' });
  const names = Array.from({ length: CIRCUITS - 10 }, (_, i) => `tenant-${i}`);
  const without = held();
  for (const key of names) await guard(targets, 'db', async () => 1, { key });
  const key = (held() - without) / names.length;
  targets.close();
  return { circuit, key };
}

function held(): number {
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

const kind = process.argv.find((flag) => flag.startsWith('--call='))?.slice('--call='.length);
if (kind) {
  console.log(JSON.stringify(await nanosecondsAdded(kind as Kind)));
  process.exit(0);
}
if (process.argv.includes('--bytes')) {
  const calls = await bytesPerCall();
  console.log(JSON.stringify({ ...calls, ...(await circuitBytes()) }));
}
