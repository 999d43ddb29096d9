/**
 * What the agent costs the service it is in, beside the same service with a bare grpc-js client: memory, CPU while nothing is called,
 * the time from `connect` to the first policies, and the time to import it. Each figure is of a process of its own, of the built
 * package as users have it; processes of both kinds take turns.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { conclude, refusePartialCheck, spread } from './harness.js';
import { startPlane } from './plane.js';

const { values: flags } = parseArgs({ strict: false, options: { rounds: { type: 'string', default: '5' } } });
const ROUNDS = Math.max(1, Math.floor(Number(flags.rounds)));
refusePartialCheck(ROUNDS);
/** As many as it takes for V8's young generation to be as large as it gets in both: before that, the difference is how far it has grown. */
const CALLS = 5_000;
/** As long as heartbeats are apart, so that each round has one; the kernel tells CPU in microseconds. */
const IDLE_MS = 15_000;
/** A round; they take a tenth of a second, so one of a neighbour's breaths would show. */
const IMPORTS = 5;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

/** What the text of a module prints, as JSON. */
async function measured(text: string): Promise<Record<string, number>> {
  const args = ['--expose-gc', '--input-type=module', '-e', text];
  const { stdout } = await run(process.execPath, args, { cwd: ROOT, timeout: 60_000 });
  return JSON.parse(stdout);
}

const importing = (name: string) => `
const start = performance.now();
await import('${name}');
console.log(JSON.stringify({ ms: performance.now() - start }));
process.exit(0);`;

/** A service that makes some calls, and then none. `prepare` declares `interceptors`, and what `connect` took in `figures`. */
const service = (server: string, prepare: string) => `
import * as grpc from '@grpc/grpc-js';
const figures = {};
${prepare}
const client = new grpc.Client('${server}', grpc.credentials.createInsecure(), { interceptors });
const same = (bytes) => bytes;
const body = Buffer.from('hello');
const call = () => new Promise((done, fail) =>
  client.makeUnaryRequest('/bench.Echo/Get', same, same, body, (error, value) => error ? fail(error) : done(value)));
for (let i = 0; i < ${CALLS}; i++) await call();
const settle = async () => {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((done) => setTimeout(done, 50));
  }
};
await settle();
figures.rssMb = process.memoryUsage.rss() / 2 ** 20;
const before = process.cpuUsage();
await new Promise((done) => setTimeout(done, ${IDLE_MS}));
const { user, system } = process.cpuUsage(before);
figures.idlePercent = (user + system) / 10 / ${IDLE_MS};
console.log(JSON.stringify(figures));
process.exit(0);`;

const bare = 'const interceptors = [];';
const protectedBy = (plane: string) => `
import { connect } from 'switchgear';
const start = performance.now();
const mesh = await connect({ service: 'checkout', controlPlane: '${plane}', callees: ['echo'], snapshot: false });
figures.startMs = performance.now() - start;
if (mesh.circuit('echo').state === 'disabled') throw new Error('no policy has arrived');
const interceptors = [mesh.interceptor('echo')];`;

async function echo(): Promise<{ address: string; close(): void }> {
  const same = (bytes: Buffer) => bytes;
  const server = new grpc.Server();
  const method = {
    ...{ path: '/bench.Echo/Get', requestStream: false, responseStream: false },
    ...{
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
  server.addService(
    { Get: method },
    {
      Get: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
        done(null, call.request),
    },
  );
  const port = await new Promise<number>((done, fail) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? fail(error) : done(bound),
    ),
  );
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

async function main(): Promise<void> {
  const server = await echo();
  const plane = await startPlane('memory');
  try {
    await plane.put('echo-default', 'echo', {
      timeout: '1s',
      circuit: {},
      bulkhead: { maxConcurrent: 100 },
    });
    const all: Record<'with' | 'without' | 'ours' | 'grpc', Record<string, number>[]> = {
      ...{ with: [], without: [], ours: [], grpc: [] },
    };
    for (let round = 0; round < ROUNDS; round++) {
      all.without.push(await measured(service(server.address, bare)));
      all.with.push(await measured(service(server.address, protectedBy(plane.grpc))));
      for (let i = 0; i < IMPORTS; i++) {
        all.grpc.push(await measured(importing('@grpc/grpc-js')));
        all.ours.push(await measured(importing('switchgear')));
      }
    }
    const median = (list: readonly Record<string, number>[], key: string) =>
      spread(list.flatMap((each) => each[key] ?? [])).median;
    const rss = [median(all.with, 'rssMb'), median(all.without, 'rssMb')] as const;
    const idle = [median(all.with, 'idlePercent'), median(all.without, 'idlePercent')] as const;
    const imports = [median(all.ours, 'ms'), median(all.grpc, 'ms')] as const;
    const startMs = median(all.with, 'startMs');
    const more = (values: readonly [number, number]) => values[0] - values[1];
    conclude({
      title: 'An agent in its service',
      command: 'npm run bench:agent',
      notes: `Medians of ${ROUNDS} rounds, a process each; after ${CALLS} calls and a collection of garbage. Imports: ${IMPORTS} of each a round. Idle: ${IDLE_MS / 1_000} s without a call in each round, one heartbeat long; CPU as getrusage counts it, in microseconds.`,
      rows: [
        row('memory (RSS)', rss, 'MB', `+ ${more(rss).toFixed(1)} MB`),
        row('CPU while idle', idle, '% of a core', `+ ${more(idle).toFixed(2)} %`),
        row('import', imports, 'ms', `${(imports[0] / imports[1]).toFixed(2)} ×`),
        {
          what: 'from connect to the first policies',
          value: `${startMs.toFixed(0)} ms`,
          baseline: '',
          ratio: '',
        },
      ],
      figures: [
        { name: 'agent: RSS over a bare grpc-js client, MB', value: more(rss) },
        { name: 'agent: idle, % of a core', value: more(idle) },
        { name: 'agent: start to protected, ms', value: startMs },
        { name: 'agent: import ÷ import of grpc-js', value: imports[0] / imports[1] },
      ],
    });
  } finally {
    await plane.close();
    server.close();
  }
}

function row(what: string, [ours, theirs]: readonly [number, number], unit: string, ratio: string) {
  const text = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
  return { what, value: text(ours), baseline: `bare grpc-js: ${text(theirs)}`, ratio };
}

await main();
