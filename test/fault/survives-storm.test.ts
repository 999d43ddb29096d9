/**
 * Invariant: a reconnect storm of every agent crashes nothing, is paced, and costs Redis reads by the number of replicas; nobody is
 * refused for more than its back-off. 1,000 real agents in this process behind a wire that is cut under all of them at once.
 */
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { connect, type Mesh } from '../../sdk/index.js';
import { type KeptLogger, keptLogger } from '../support/logs.js';
import { RedisServer } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

const AGENTS = 1_000;
const AT_ONCE = 100;
/** What an agent waits at most before it comes back to a control plane that was healthy. */
const JITTER_MS = 2_000;
/** In any tenth of that time, of all agents: twelve times as many as an even spread has would be a herd. */
const HERD = 0.5;

describe('a reconnect storm', function () {
  this.timeout(120_000);
  let redis: RedisServer;
  let plane: Up;
  let wire: TcpProxy;
  let admin: Redis;
  const meshes: Mesh[] = [];
  const loggers: KeptLogger[] = [];

  before(async () => {
    redis = await RedisServer.start({ fsync: 'no' });
    plane = await up([...anyPort, '--store', redis.url]);
    wire = await TcpProxy.start(Number(plane.grpc.split(':')[1]));
    admin = new Redis(redis.url);
    await putPolicy(plane.rest, 'inventory-default', { match: { to: 'inventory' }, spec: { circuit: {} } });
  });

  after(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    admin.disconnect();
    await wire.close();
    await plane.kill();
    await redis.close();
  });

  const commands = async () => {
    const stats = await admin.info('stats');
    return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
  };

  it(`of ${AGENTS} agents: nobody is lost, they come back paced, Redis hardly notices`, async () => {
    for (let from = 0; from < AGENTS; from += AT_ONCE)
      meshes.push(
        ...(await Promise.all(
          Array.from({ length: AT_ONCE }, (_, i) => {
            const logger = keptLogger();
            loggers.push(logger);
            return connect({
              service: 'checkout',
              instance: `agent-${from + i}`,
              callees: ['inventory'],
              controlPlane: `127.0.0.1:${wire.port}`,
              ...{ snapshot: false, logger },
            });
          }),
        )),
      );
    await until(() => meshes.every((mesh) => mesh.status().connected), {
      what: 'all agents',
      timeoutMs: 30_000,
    });
    const back: number[] = [];
    const lost = new Set<Mesh>();
    for (const mesh of meshes)
      mesh.on('connection', ({ connected }) => {
        if (!connected) lost.add(mesh);
        else back.push(performance.now());
      });
    for (const { lines } of loggers) lines.length = 0;
    const before = await commands();
    const begun = performance.now();
    wire.breakAll();
    await until(() => lost.size === AGENTS, { what: 'everybody cut off' });
    await until(() => meshes.every((mesh) => mesh.status().connected && !mesh.status().stale), {
      what: 'everybody back, with all there is to know',
      timeoutMs: 60_000,
    });
    const tookMs = performance.now() - begun;
    const spent = (await commands()) - before;
    // Per second a replica's own: its reader, leases, summaries. None of it is an agent's.
    expect(spent, `Redis commands in ${Math.round(tookMs)} ms`).to.be.lessThan(50 + (tookMs / 1000) * 40);
    const slot = JITTER_MS / 10;
    const first = Math.min(...back);
    const perSlot = new Map<number, number>();
    for (const at of back) {
      const index = Math.floor((at - first) / slot);
      perSlot.set(index, (perSlot.get(index) ?? 0) + 1);
    }
    expect(Math.max(...perSlot.values()), 'agents in one fifth of a second').to.be.lessThan(AGENTS * HERD);
    // Each waited once, as long as it told itself, and was let in: no second try, and no word of the replica's that sent it away.
    for (const { lines } of loggers) {
      const waits = lines.map(({ fields }) => fields.retryInMs).filter((wait) => wait !== undefined);
      expect(waits, JSON.stringify(lines)).to.have.length(1);
      expect(waits[0]).to.be.within(0, JITTER_MS);
    }
    const metrics = await (await fetch(`${plane.rest}/metrics`)).text();
    const ends = [...metrics.matchAll(/^switchgear_stream_ends_total{.*reason="([^"]+)".*} (\d+)$/gm)];
    expect(ends.map(([, reason, count]) => [reason, Number(count)])).to.deep.equal([['closed', AGENTS]]);
    expect((await fetch(`${plane.rest}/readyz`)).status).to.equal(200);
    expect(plane.child.exitCode).to.equal(null);
  });
});
