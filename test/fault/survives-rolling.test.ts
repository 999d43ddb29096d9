/**
 * Invariant: a rolling restart of the replicas under load brings no flap and no error. Three replicas on one Redis, restarted one
 * after the other at the same addresses, once here and ten times by `npm run test:long`.
 */
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, startEcho, unary } from '../support/echo.js';
import { plainClient, RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

const ROUNDS = process.env.SWITCHGEAR_TEST_LONG ? 10 : 1;
const CALLERS = 6;
/** Calls between a replica's return and the next one's end. */
const CALLS_BETWEEN = 200;

describe('a rolling restart of three replicas under load', function () {
  this.timeout(60_000 + ROUNDS * 60_000);
  let redis: RedisServer;
  const meshes: Mesh[] = [];
  let replicas: Up[] = [];

  before(async () => {
    redis = await RedisServer.start();
    replicas = await Promise.all(
      ['a', 'b', 'c'].map((replica) => up([...anyPort, '--store', redis.url, '--replica', replica])),
    );
  });

  after(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await Promise.all(replicas.map((replica) => replica.kill()));
    await redis.close();
  });

  async function instances(replica: Up): Promise<number> {
    const response = await fetch(`${replica.rest}/v1/services/inventory`);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return ((await response.json()) as { instances: unknown[] }).instances.length;
  }

  /** All that the registry has ever told, from the store itself: an instance that lapsed and came back at once is there too. */
  async function registryEvents(): Promise<string[]> {
    const client = plainClient(redis.url);
    try {
      const entries = await client.xrange('{sg:default}:registry', '-', '+');
      return entries.map(([, [, event = '']]) => event);
    } finally {
      client.disconnect();
    }
  }

  it(`no circuit changes state, no call fails, no lease lapses (${ROUNDS} ${ROUNDS > 1 ? 'times' : 'time'})`, async () => {
    const callee = await startEcho();
    const addresses = replicas.map(({ grpc }) => grpc).join(',');
    const agent = async (service: string, instance: string) => {
      const options = { service, instance, controlPlane: addresses, callees: ['inventory'], snapshot: false };
      const mesh = await connect({ ...options, snapshot: false });
      meshes.push(mesh);
      return mesh;
    };
    await putPolicy((replicas[0] as Up).rest, 'inventory-default', {
      match: { to: 'inventory' },
      spec: { timeout: '5s', circuit: { scope: 'cluster' } },
    });
    await (await agent('inventory', 'callee')).register({ port: callee.port });
    const callers = await Promise.all(Array.from({ length: CALLERS }, (_, i) => agent('checkout', `c${i}`)));
    const changes: string[] = [];
    for (const mesh of callers)
      mesh.on('circuit', ({ from, to, reason }) => changes.push(`${from} → ${to}: ${reason}`));
    const clients = callers.map((mesh) => mesh.client(EchoClient, 'inventory'));
    const failures: string[] = [];
    let calls = 0;
    let stop = false;
    const load = clients.map(async (client) => {
      while (!stop)
        await unary(client, 'x').then(
          () => calls++,
          (error: Error) => failures.push(error.message),
        );
    });
    const counts = new Set<number>();
    let told: string[] = [];
    try {
      await until(() => calls > CALLS_BETWEEN, { what: 'a steady load' });
      for (let round = 0; round < ROUNDS; round++)
        for (const [i, old] of replicas.entries()) {
          const name = ['a', 'b', 'c'][i] as string;
          expect(await old.stop()).to.equal(0);
          const flags = ['--rest', old.rest.replace('http://', ''), '--grpc', old.grpc];
          const fresh = await up([...flags, '--store', redis.url, '--replica', name]);
          replicas[i] = fresh;
          await until(async () => (await fetch(`${fresh.rest}/readyz`)).ok, { what: `${name} to be ready` });
          await until(() => meshes.every((mesh) => mesh.status().connected), {
            timeoutMs: 30_000,
            what: 'all agents on some replica',
          });
          for (const replica of replicas) counts.add(await instances(replica));
          const reached = calls;
          await until(() => calls > reached + CALLS_BETWEEN, { what: 'calls after the restart' });
        }
      told = await registryEvents();
    } finally {
      stop = true;
      await Promise.all(load);
      for (const client of clients) client.close();
      callee.stop();
    }
    expect(failures).to.deep.equal([]);
    expect(changes).to.deep.equal([]);
    expect([...counts]).to.deep.equal([1]);
    expect(told.filter((event) => event.includes('"kind":"up"'))).to.have.length.above(0);
    expect(told.filter((event) => event.includes('"kind":"down"'))).to.deep.equal([]);
  });
});
