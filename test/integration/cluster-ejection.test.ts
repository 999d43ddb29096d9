/**
 * Instances that the mesh takes out of discovery: whose calls fail is no longer told to callers and shows as ejected, the service's
 * circuit stays closed, and after a while they are back.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { clusterPolicy } from '../support/cluster-mesh.js';
import { EchoClient, type EchoServer, echoService, startEcho, unary } from '../support/echo.js';
import { keptLogger } from '../support/logs.js';
import { type Running, startRest } from '../support/rest.js';
import { until } from '../support/until.js';

describe('instances taken out by the mesh', function () {
  this.timeout(60_000);
  let running: Running;
  const meshes: Mesh[] = [];
  const clients: grpc.Client[] = [];
  const servers: EchoServer[] = [];
  const loads: NodeJS.Timeout[] = [];

  before(async () => {
    running = await startRest();
  });
  after(async () => {
    for (const load of loads) clearInterval(load);
    for (const client of clients) client.close();
    await Promise.all(meshes.map((mesh) => mesh.close()));
    for (const server of servers) server.stop();
    await running.close();
  });

  const join = async (service: string, instance: string, callees: string[] = []) => {
    const controlPlane = running.plane.grpcAddress;
    const mesh = await connect({
      service,
      instance,
      controlPlane,
      callees,
      snapshot: false,
      logger: keptLogger(),
    });
    meshes.push(mesh);
    return mesh;
  };
  const shown = async (): Promise<{ address: string; ejected: boolean }[]> =>
    (await running.get('/v1/services/inventory')).body.instances;

  it('are called no more, and come back', async () => {
    const answer = await running.put('/v1/policies/inventory-default', clusterPolicy({ openFor: '3s' }));
    expect(answer.status, answer.text).to.be.lessThan(300);
    for (let i = 0; i < 4; i++) {
      const server = await startEcho();
      servers.push(server);
      await (await join('inventory', `s${i}`)).register({ port: server.port });
    }
    // Registered, and fails at everything.
    const sick = servers[0] as EchoServer;
    const { port } = sick;
    sick.stop();
    const failing = new grpc.Server();
    failing.addService({ Unary: echoService.Unary } as grpc.ServiceDefinition, {
      Unary: (_: unknown, callback: grpc.sendUnaryData<Buffer>) =>
        callback({ code: grpc.status.UNAVAILABLE, details: 'out of order' }),
    });
    let refused = 0;
    await new Promise<void>((resolve, reject) =>
      failing.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
    const callers = await Promise.all(['a', 'b', 'c'].map((name) => join('checkout', name, ['inventory'])));
    for (const mesh of callers) {
      const client = mesh.client(EchoClient, 'inventory');
      clients.push(client);
      const call = () => void unary(client, 'x').catch(() => refused++);
      loads.push(setInterval(call, 20));
    }
    const ejected = await until(
      async () => {
        const all = await shown();
        return all.some((each) => each.ejected) && all;
      },
      { what: 'an instance that is ejected', timeoutMs: 20_000 },
    );
    expect(ejected.filter((each) => each.ejected)).to.have.length(1);
    expect(ejected.find((each) => each.ejected)?.address).to.equal(`127.0.0.1:${port}`);
    // The mesh's. An agent's own knows no instances: where its first calls all went to the sick one it may open, on a busy machine.
    const { cluster } = (await running.get('/v1/circuits/inventory%7Cinventory-default')).body;
    expect(cluster.state).to.equal('closed');
    const { count } = servers[1]?.calls ?? { count: 0 };
    await until(() => (servers[1]?.calls.count ?? 0) > count + 20, { what: 'calls to the others' });
    failing.forceShutdown();
    servers.push(await startEcho(port));
    await until(async () => (await shown()).every((each) => !each.ejected), {
      what: 'all instances back',
      timeoutMs: 20_000,
    });
    await until(() => (servers.at(-1)?.calls.count ?? 0) > 5, { what: 'calls to the one that is back' });
    expect(refused).to.be.greaterThan(0);
  });
});
