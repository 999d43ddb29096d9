/**
 * A call in process: what `guard` and the interceptor add. Baselines: an async wrapper that does nothing; a client over a
 * transport that answers at once, with the same deadline; and a real unary call over loopback, for what a call costs at all.
 */
import * as grpc from '@grpc/grpc-js';
import { guard } from '../agent/guard.js';
import { createInterceptor } from '../agent/interceptor.js';
import { Targets } from '../agent/targets.js';
import { systemClock } from '../core/clock.js';
import { effective, PolicyIndex, parsePolicy } from '../core/policy/index.js';
import { systemRandom } from '../core/random.js';
import { conclude, type Loop, nanoseconds, race, ratios, spread, times } from './harness.js';
import { nullChannel } from './null-channel.js';

const ROUNDS = 9;
/** A circuit with all its defaults, and a bulkhead. */
const policy = parsePolicy({
  policy: 'bench',
  match: { to: 'inventory' },
  spec: { circuit: {}, bulkhead: { maxConcurrent: 50, maxQueue: 20 } },
});
if (!policy.ok) throw new Error(JSON.stringify(policy.issues));
const index = new PolicyIndex([{ policy: policy.policy, revision: 1 }]);

function targets(): Targets {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  return new Targets({
    service: 'bench',
    clock: systemClock,
    random: systemRandom,
    logger,
    effective: (to, method) => effective(index, { to, method }),
    onNewCallee() {},
    onCircuit() {},
  });
}

const work = async () => 1;

const bare: Loop = async (calls) => {
  for (let i = 0; i < calls; i++) await work();
};

async function wrapper(fn: () => Promise<number>): Promise<number> {
  return await fn();
}

const wrapped: Loop = async (calls) => {
  for (let i = 0; i < calls; i++) await wrapper(work);
};

const guarded = targets();

const guardLoop: Loop = async (calls) => {
  for (let i = 0; i < calls; i++) await guard(guarded, 'inventory', work);
};

const pair: Loop = (calls) => {
  const { plan } = guarded.get('inventory');
  for (let i = 0; i < calls; i++) plan.finish(plan.admit(i, Number.POSITIVE_INFINITY), 'success', i);
};

const identity = (value: Buffer) => value;
const definition: grpc.ServiceDefinition = {
  Get: {
    path: '/bench.Echo/Get',
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};
const body = Buffer.from([0x0a, 0x01, 0x31]);

function call(client: grpc.Client, deadline: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, value?: Buffer) =>
      error ? reject(error) : resolve(value ?? body);
    client.makeUnaryRequest(
      '/bench.Echo/Get',
      identity,
      identity,
      body,
      new grpc.Metadata(),
      { deadline },
      done,
    );
  });
}

function clientLoop(client: grpc.Client): Loop {
  return async (calls) => {
    for (let i = 0; i < calls; i++) await call(client, systemClock.wallNow() + 10_000);
  };
}

/** CPU of this process for a loop, nanoseconds a call. */
async function cpu(loop: Loop, calls: number): Promise<number> {
  const before = process.cpuUsage();
  await loop(calls);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / calls;
}

async function main(): Promise<void> {
  const [bareTimes = [], wrapperTimes = [], guardTimes = [], pairTimes = []] = await race(
    [bare, wrapped, guardLoop, pair],
    ROUNDS,
    300_000,
  );

  const credentials = grpc.credentials.createInsecure();
  const plain = new grpc.Client('null:///', credentials, { channelOverride: nullChannel() });
  const interceptors = [createInterceptor(guarded, 'inventory')];
  const intercepted = new grpc.Client('null:///', credentials, {
    channelOverride: nullChannel(),
    interceptors,
  });
  const server = new grpc.Server();
  server.addService(definition, {
    Get: (_call: unknown, callback: (error: null, value: Buffer) => void) => callback(null, body),
  });
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, value: number) => (error ? reject(error) : resolve(value));
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), bound);
  });
  const real = new grpc.Client(`127.0.0.1:${port}`, credentials);

  const loops = [clientLoop(plain), clientLoop(intercepted)];
  const added: number[] = [];
  const realCpu: number[] = [];
  const share: number[] = [];
  for (const loop of loops) await loop(20_000);
  await clientLoop(real)(1_000);
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    const cost = [0, 0];
    for (const index of order) cost[index] = await cpu(loops[index] as Loop, 40_000);
    const more = (cost[1] ?? 0) - (cost[0] ?? 0);
    const whole = await cpu(clientLoop(real), 2_000);
    added.push(more);
    realCpu.push(whole);
    share.push(more / whole);
  }
  for (const client of [plain, intercepted, real]) client.close();
  server.forceShutdown();
  guarded.close();

  const guardRatio = ratios(guardTimes, wrapperTimes);
  const pairRatio = ratios(pairTimes, bareTimes);
  conclude({
    title: 'A call in process (hot)',
    command: 'npm run bench:hot',
    notes: `Medians of ${ROUNDS} interleaved rounds (least–greatest). The real call's CPU is client and server together, on loopback.`,
    rows: [
      {
        what: '`guard`, circuit + bulkhead',
        value: nanoseconds(spread(guardTimes)),
        baseline: `async wrapper ${nanoseconds(spread(wrapperTimes))}`,
        ratio: times(guardRatio),
      },
      {
        what: 'core, admit + finish through circuit and bulkhead',
        value: nanoseconds(spread(pairTimes)),
        baseline: `bare await ${nanoseconds(spread(bareTimes))}`,
        ratio: times(pairRatio),
      },
      {
        what: 'interceptor, added CPU a call',
        value: nanoseconds(spread(added)),
        baseline: `real unary call ${nanoseconds(spread(realCpu))}`,
        ratio: times(spread(share)),
      },
    ],
    figures: [
      { name: 'guard: circuit + bulkhead ÷ async wrapper', value: guardRatio.median },
      { name: 'interceptor: added CPU ÷ real unary call', value: spread(share).median },
    ],
  });
}

await main();
