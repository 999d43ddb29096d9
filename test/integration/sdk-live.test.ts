/**
 * The main journey with the real control plane: a policy put over REST is enforced on calls, live; instances come and go; what
 * the agent sees is seen over REST.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type ConnectOptions, connect, type Mesh, type PolicyEvent } from '../../sdk/index.js';
import { EchoClient, type EchoServer, startEcho, unary } from '../support/echo.js';
import { keptLogger } from '../support/logs.js';
import { olderAgents } from '../support/older-agents.js';
import { type Running, startRest } from '../support/rest.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const circuit = (changes: Record<string, unknown> = {}) => ({
  policy: 'inventory-default',
  match: { to: 'inventory' },
  spec: { circuit: { minimumCalls: 2, openFor: '30s', ...changes } },
});

describe('a mesh with its control plane', () => {
  let running: Running;
  let echo: EchoServer;
  let meshes: Mesh[];
  let clients: grpc.Client[];

  beforeEach(async () => {
    running = await startRest();
    echo = await startEcho();
    meshes = [];
    clients = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await running.close();
    echo.stop();
  });

  const join = async (service: string, options: ConnectOptions = {}) => {
    const mesh = await connect({
      service,
      controlPlane: running.plane.grpcAddress,
      snapshot: false,
      logger: keptLogger(),
      ...options,
    });
    meshes.push(mesh);
    return mesh;
  };
  const put = async (document: Record<string, unknown>): Promise<number> => {
    const answer = await running.put(`/v1/policies/${document.policy}`, document);
    expect(answer.status, answer.text).to.be.lessThan(300);
    return answer.body.revision;
  };
  const legacyClient = (mesh: Mesh, name = 'inventory') => {
    const client = new EchoClient(echo.address, grpc.credentials.createInsecure(), {
      interceptors: [mesh.interceptor(name)],
    });
    clients.push(client);
    return client;
  };
  const meshClient = (mesh: Mesh, name = 'inventory') => {
    const client = mesh.client(EchoClient, name);
    clients.push(client);
    return client;
  };
  const trip = async (client: grpc.Client) => {
    for (let i = 0; i < 2; i++) await rejectionOf(unary(client, 'fail'));
  };

  it('has its policies as soon as it is connected', async () => {
    const revision = await put(circuit());
    const mesh = await join('checkout', { callees: ['inventory'] });
    expect(mesh.status()).to.include({
      connected: true,
      stale: false,
      revision,
      policies: 1,
      mesh: 'default',
    });
    expect(mesh.circuit('inventory')).to.include({ state: 'closed', policy: 'inventory-default', revision });
  });

  it('enforces a policy put while it runs, says so, and names it in each rejection', async () => {
    const mesh = await join('checkout', { callees: ['inventory'] });
    const client = legacyClient(mesh);
    await trip(client);
    expect(await unary(client, 'still unprotected')).to.equal('still unprotected');
    const events: PolicyEvent[] = [];
    mesh.on('policy', (event) => events.push(event));
    const revision = await put(circuit());
    await until(() => events.length > 0, { what: 'the event' });
    expect(events[0]).to.include({ revision });
    expect(events[0]?.applied).to.deep.equal(['inventory-default']);
    await trip(client);
    const error = (await rejectionOf(unary(client, 'x'))) as grpc.ServiceError;
    expect(error.code).to.equal(grpc.status.UNAVAILABLE);
    expect(error.details).to.match(
      new RegExp(
        `^\\[circuit_open\\] inventory: retry in \\d+ ms \\(policy inventory-default@${revision}\\)$`,
      ),
    );
    expect(error.metadata.get('switchgear-reject')).to.deep.equal(['circuit_open']);
  });

  it('keeps state and epoch of a circuit over a change of its policy', async () => {
    await put(circuit());
    const mesh = await join('checkout', { callees: ['inventory'] });
    const client = legacyClient(mesh);
    await trip(client);
    const before = mesh.circuit('inventory');
    expect(before.state).to.equal('open');
    const revision = await put(circuit({ minimumCalls: 50 }));
    await until(() => mesh.circuit('inventory').revision === revision, { what: 'the new revision' });
    expect(mesh.circuit('inventory')).to.include({ state: 'open', epoch: before.epoch, id: before.id });
  });

  it('lets go of a circuit whose policy is deleted', async () => {
    await put(circuit());
    const mesh = await join('checkout', { callees: ['inventory'] });
    const client = legacyClient(mesh);
    await trip(client);
    await running.delete('/v1/policies/inventory-default');
    await until(() => mesh.circuit('inventory').state === 'disabled', { what: 'the end of the circuit' });
    expect(await unary(client, 'x')).to.equal('x');
  });

  it('shares policy, circuit and name between guard and calls', async () => {
    await put(circuit());
    const mesh = await join('checkout', { callees: ['inventory'] });
    await trip(legacyClient(mesh));
    const error = await rejectionOf(mesh.guard('inventory', () => 'never'));
    expect(error).to.include({ name: 'MeshError', code: 'circuit_open', target: 'inventory' });
  });

  it('refuses a policy it can not enforce, keeps the last good one, and shows why everywhere', async () => {
    const good = await put(circuit());
    const restore = olderAgents('retry');
    const mesh = await join('checkout', { callees: ['inventory'] }).finally(restore);
    const bad = await put({ ...circuit(), spec: { ...circuit().spec, retry: { attempts: 2 } } });
    await until(() => mesh.status().refused.length > 0, { what: 'the refusal' });
    expect(mesh.status().refused[0]).to.include({ policy: 'inventory-default', revision: bad });
    expect(mesh.circuit('inventory').revision).to.equal(good);
    const status = await until(
      async () => {
        const { body } = await running.get('/v1/policies/inventory-default/status');
        return body.agents.refused.length > 0 && body;
      },
      { what: 'the refusal over REST' },
    );
    expect(status.agents.refused[0].agent).to.equal(`checkout/${mesh.instance}`);
    expect(status.agents.refused[0].reason).to.match(/retry/);
    const better = await put(circuit({ minimumCalls: 3 }));
    await until(() => mesh.circuit('inventory').revision === better, { what: 'the good one' });
    expect(mesh.status().refused).to.deep.equal([]);
  });

  it('learns a name at its first use, and is under its policy from then on', async () => {
    await put({ policy: 'general', match: { to: '*' }, spec: { circuit: {} } });
    const revision = await put({
      policy: 'redis',
      match: { to: 'redis' },
      spec: { bulkhead: { maxConcurrent: 1 }, circuit: {} },
    });
    const mesh = await join('checkout');
    expect(await mesh.guard('redis', () => 'first')).to.equal('first');
    expect(mesh.circuit('redis').policy).to.equal('general');
    await until(() => mesh.circuit('redis').revision === revision, { what: 'its own policy' });
    const second = await join('checkout');
    expect(second.circuit('redis').policy).to.equal('redis');
  });

  it('has a circuit for each method where the policy says so', async () => {
    await put(circuit({ per: 'method' }));
    const mesh = await join('checkout', { callees: ['inventory'] });
    await trip(legacyClient(mesh));
    expect(mesh.circuit('inventory', 'test.Echo/Unary').state).to.equal('open');
    expect(mesh.circuit('inventory', '/test.Echo/Unary').state).to.equal('open');
    expect(mesh.circuit('inventory', 'test.Echo/Chat').state).to.equal('closed');
    expect(mesh.circuit('inventory').state).to.equal('closed');
  });

  it('is not told of what concerns others', async () => {
    const mesh = await join('checkout', { callees: ['inventory'] });
    const events: PolicyEvent[] = [];
    mesh.on('policy', (event) => events.push(event));
    await put({ ...circuit(), policy: 'foreign', match: { to: 'payments' } });
    await put({ ...circuit(), policy: 'billing', match: { to: 'inventory', from: 'billing' } });
    await put(circuit());
    await until(() => events.length > 0, { what: 'our own' });
    expect(events.flatMap(({ applied }) => applied)).to.deep.equal(['inventory-default']);
    expect(mesh.status().policies).to.equal(1);
  });

  it('shows its open circuits over REST, and their end', async () => {
    await put(circuit({ openFor: '1s' }));
    const mesh = await join('checkout', { callees: ['inventory'] });
    const client = legacyClient(mesh);
    await trip(client);
    const seen = await until(
      async () => {
        const { body } = await running.get('/v1/circuits');
        return body.circuits.find((row: { state: string }) => row.state === 'open');
      },
      { what: 'the open circuit over REST' },
    );
    expect(seen).to.include({ id: 'inventory|inventory-default', callee: 'inventory' });
    expect(seen.agents[0].agent).to.equal(`checkout/${mesh.instance}`);
    await until(
      async () => {
        await unary(client, 'x').catch(() => {});
        const { body } = await running.get('/v1/circuits');
        return body.circuits.every((row: { state: string }) => row.state === 'closed');
      },
      { what: 'the closed circuit over REST' },
    );
  });

  it('finds the instances of a callee, live', async () => {
    const caller = await join('checkout', { callees: ['inventory'] });
    const client = meshClient(caller);
    const nobody = (await rejectionOf(unary(client, 'x'))) as grpc.ServiceError;
    expect(nobody.code).to.equal(grpc.status.UNAVAILABLE);
    expect(nobody.details).to.match(/^\[no_instances\] inventory: no instance is registered; start one/);
    const callee = await join('inventory', { version: '1.4.2' });
    await callee.register({ port: echo.port });
    expect(callee.status().registered).to.equal(`:${echo.port}`);
    await until(() => caller.status().instances.inventory === 1, { what: 'the instance' });
    expect(await unary(client, 'hello')).to.equal('hello');
    const { body } = await running.get('/v1/services/inventory');
    expect(body.instances[0]).to.include({ address: echo.address, version: '1.4.2' });
    await callee.close();
    await until(() => caller.status().instances.inventory === 0, { what: 'its end' });
    expect(await rejectionOf(unary(client, 'x'))).to.have.property('code', grpc.status.UNAVAILABLE);
  });

  it('goes to all instances in turn, and leaves one that is gone without a failed call', async () => {
    const other = await startEcho();
    try {
      const caller = await join('checkout', { callees: ['inventory'] });
      const callees = await Promise.all([join('inventory'), join('inventory')]);
      await callees[0].register({ port: echo.port });
      await callees[1].register({ port: other.port, address: '127.0.0.1' });
      await until(() => caller.status().instances.inventory === 2, { what: 'both instances' });
      const client = meshClient(caller);
      await until(async () => (await unary(client, 'x')) && echo.calls.count > 0 && other.calls.count > 0, {
        what: 'calls at both',
      });
      await callees[1].close();
      await until(() => caller.status().instances.inventory === 1, { what: 'one instance' });
      const before = other.calls.count;
      for (let i = 0; i < 20; i++) await unary(client, 'x');
      expect(other.calls.count).to.equal(before);
    } finally {
      other.stop();
    }
  });

  it('does not connect gRPC clients to instances that speak HTTP', async () => {
    const caller = await join('checkout', { callees: ['inventory'] });
    const callee = await join('inventory');
    await callee.register({ port: echo.port, protocol: 'http' });
    await until(() => caller.status().instances.inventory === 1, { what: 'the instance' });
    const error = (await rejectionOf(unary(meshClient(caller), 'x'))) as grpc.ServiceError;
    expect(error.details).to.match(/^\[no_instances\] inventory: none of its 1 instances speaks gRPC/);
  });

  it('refuses a place that can not be, before it is sent', async () => {
    const mesh = await join('inventory');
    for (const options of [
      { port: 0 },
      { port: 70_000 },
      { port: 1, address: 'a b' },
      { port: 1, protocol: 'smtp' },
    ])
      expect(await rejectionOf(mesh.register(options as never))).to.have.property(
        'code',
        'invalid_configuration',
      );
  });
});
