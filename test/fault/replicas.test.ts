/**
 * Two replicas over one Redis: what is written through either reaches the agents of both; the death of one moves its agents
 * to the other without a failed call.
 */
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, startEcho, unary } from '../support/echo.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

describe('two replicas over one Redis', function () {
  this.timeout(90_000);
  let redis: RedisServer;
  let replicas: Up[];
  let meshes: Mesh[];

  beforeEach(async () => {
    meshes = [];
    redis = await RedisServer.start();
    replicas = await Promise.all(
      ['a', 'b'].map((replica) => up([...anyPort, '--store', redis.url, '--replica', replica])),
    );
  });

  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await Promise.all(replicas.map((replica) => replica.kill()));
    await redis.close();
  });

  const agent = async (service: string, controlPlane: string, instance: string) => {
    const mesh = await connect({ service, controlPlane, instance, callees: ['inventory'], snapshot: false });
    meshes.push(mesh);
    return mesh;
  };

  it('bring a write through either to the agents of both', async () => {
    const [a, b] = replicas as [Up, Up];
    const here = await agent('checkout', a.grpc, 'here');
    const there = await agent('checkout', b.grpc, 'there');
    for (const [through, policy] of [
      [a, 'first'],
      [b, 'second'],
    ] as const) {
      const { status, body } = await putPolicy(through.rest, policy, {
        match: { to: 'inventory' },
        spec: { circuit: {} },
      });
      expect(status).to.equal(201);
      const revision = body.revision ?? Number.NaN;
      await until(() => here.status().revision >= revision && there.status().revision >= revision, {
        what: `revision ${revision} at both agents`,
      });
      expect(here.circuit('inventory').policy).to.equal(policy);
      expect(there.circuit('inventory').policy).to.equal(policy);
    }
    for (const replica of [a, b]) {
      const answer = await until(
        async () => {
          const response = await fetch(`${replica.rest}/v1/policies/second/status`);
          const status = (await response.json()) as { agents: { total: number; applied: number } };
          return status.agents.applied === 2 && status;
        },
        { what: 'a status that counts the agents of both replicas' },
      );
      expect(answer.agents.total).to.equal(2);
    }
  });

  it('move the agents of a killed one without a failed call', async () => {
    const [a, b] = replicas as [Up, Up];
    const callee = await startEcho();
    try {
      await putPolicy(b.rest, 'inventory-default', {
        match: { to: 'inventory' },
        spec: { circuit: {}, timeout: '5s' },
      });
      const server = await agent('inventory', `${a.grpc},${b.grpc}`, 'callee');
      await server.register({ port: callee.port });
      const callers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => agent('checkout', `${a.grpc},${b.grpc}`, `caller-${i}`)),
      );
      const clients = callers.map((mesh) => mesh.client(EchoClient, 'inventory'));
      let stop = false;
      let calls = 0;
      const failures: unknown[] = [];
      const load = clients.map(async (client) => {
        while (!stop) {
          await unary(client, 'x').then(
            () => calls++,
            (error: unknown) => failures.push(error),
          );
        }
      });
      await until(() => calls > 100, { what: 'a steady load' });
      await a.kill();
      await until(() => callers.some((mesh) => !mesh.status().connected) || calls > 5_000, {
        what: 'the loss',
      });
      await until(() => meshes.every((mesh) => mesh.status().connected), {
        timeoutMs: 40_000,
        what: 'all agents connected to the other replica',
      });
      const { body } = await putPolicy(b.rest, 'inventory-default', {
        match: { to: 'inventory' },
        spec: { circuit: { minimumCalls: 30 }, timeout: '5s' },
      });
      const revision = body.revision ?? Number.NaN;
      await until(() => callers.every((mesh) => mesh.circuit('inventory').revision === revision), {
        what: 'the new policy at all callers',
      });
      const reached = calls;
      await until(() => calls > reached + 100, { what: 'calls after the move' });
      stop = true;
      await Promise.all(load);
      expect(failures).to.deep.equal([]);
      for (const client of clients) client.close();
    } finally {
      callee.stop();
    }
  });
});
