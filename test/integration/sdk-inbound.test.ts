/**
 * `mesh.serverInterceptor()` with a real control plane: the policies of `self` reach the service, hold for calls into it, and are
 * told apart by its name; callers with Switchgear don't hold a rejection against it; once the mesh is closed everything passes.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, echoService, unary } from '../support/echo.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

type Plane = Awaited<ReturnType<typeof startControlPlane>>;

/** A server that answers, but for `hang`, which waits until it is let go. */
class Service {
  readonly server: grpc.Server;
  readonly held: (() => void)[] = [];
  address = '';

  constructor(...interceptors: grpc.ServerInterceptor[]) {
    this.server = new grpc.Server({ interceptors });
    this.server.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
        if (call.request.toString() === 'hang') this.held.push(() => callback(null, call.request));
        else callback(null, call.request);
      },
    });
  }

  async listen(): Promise<this> {
    this.address = await new Promise<string>((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(`127.0.0.1:${port}`),
      );
    });
    return this;
  }
}

describe('mesh.serverInterceptor()', () => {
  let plane: Plane;
  let mesh: Mesh;
  let service: Service;
  let client: grpc.Client;

  const put = async (policy: string, match: Record<string, unknown>, spec: Record<string, unknown>) => {
    const response = await fetch(`${plane.restUrl}/v1/policies/${policy}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ policy, match, spec }),
    });
    expect(response.status, await response.clone().text()).to.be.oneOf([200, 201]);
  };
  const join = (name: string) =>
    connect({ service: name, controlPlane: plane.grpcAddress, snapshot: false, logger: keptLogger() });
  const rejection = async (through = client, text = 'x') =>
    (await rejectionOf(unary(through, text))) as grpc.ServiceError;

  beforeEach(async () => {
    plane = await startControlPlane({
      rest: '127.0.0.1:0',
      grpc: '127.0.0.1:0',
      store: 'memory',
      logger: silentLogger,
    });
    mesh = await join('inventory');
    service = await new Service(mesh.serverInterceptor()).listen();
    client = new EchoClient(service.address, grpc.credentials.createInsecure());
  });

  afterEach(async () => {
    client.close();
    service.server.forceShutdown();
    await mesh.close();
    await plane.close();
  });

  it('enforces the policies of self that are for this service, and explains them', async () => {
    await put('others', { to: 'self', from: 'checkout' }, { bulkhead: { maxConcurrent: 1 } });
    await put('inbound', { to: 'self', from: 'inventory' }, { bulkhead: { maxConcurrent: 2, maxQueue: 1 } });
    await until(() => mesh.status().policies === 1, { what: 'the policy' });
    const calls = [unary(client, 'hang'), unary(client, 'hang')];
    await until(() => service.held.length === 2, { what: 'two calls' });
    const queued = unary(client, 'queued');
    const { code, details, metadata } = await rejection();
    expect(code).to.equal(grpc.status.RESOURCE_EXHAUSTED);
    expect(details).to.match(/^\[bulkhead_full\] self: 2 of 2 calls .* \(policy inbound@2\)$/);
    expect(metadata.get('switchgear-reject')).to.deep.equal(['bulkhead_full']);
    for (const go of service.held) go();
    expect(await Promise.all([...calls, queued])).to.deep.equal(['hang', 'hang', 'queued']);
    const explained = await fetch(`${plane.restUrl}/v1/explain?to=self&from=inventory`);
    expect(JSON.stringify(await explained.json()))
      .to.include('"inbound"')
      .and.not.include('"others"');
  });

  it('follows a change at once, and its removal', async () => {
    await put('inbound', { to: 'self' }, { rateLimit: { rate: 1, per: '1h' } });
    await until(() => mesh.status().policies === 1, { what: 'the policy' });
    expect(mesh.status().refused).to.deep.equal([]);
    await unary(client, 'x');
    expect((await rejection()).details).to.match(/^\[rate_limited\] self: /);
    await fetch(`${plane.restUrl}/v1/policies/inbound`, { method: 'DELETE' });
    await until(() => unary(client, 'x').catch(() => ''), { what: 'the removal' });
  });

  it('sheds calls that their caller does not hold against it', async () => {
    await put('inbound', { to: 'self' }, { bulkhead: { maxConcurrent: 1 } });
    const caller = await join('checkout');
    await put('outbound', { to: 'inventory' }, { circuit: { minimumCalls: 1, openFor: '1h' } });
    const careful = new EchoClient(service.address, grpc.credentials.createInsecure(), {
      interceptors: [caller.interceptor('inventory')],
    });
    await until(() => caller.circuit('inventory').policy === 'outbound', { what: 'the policy' });
    await until(() => mesh.status().policies === 1, { what: 'the policy' });
    const first = unary(client, 'hang');
    await until(() => service.held.length === 1, { what: 'the first call' });
    for (let i = 0; i < 5; i++) expect((await rejection(careful)).code).to.equal(8);
    expect(caller.circuit('inventory').state).to.equal('closed');
    service.held[0]?.();
    await first;
    careful.close();
    await caller.close();
  });

  it('lets everything pass once the mesh is closed, those who wait included', async () => {
    await put('inbound', { to: 'self' }, { bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
    await until(() => mesh.status().policies === 1, { what: 'the policy' });
    const first = unary(client, 'hang');
    await until(() => service.held.length === 1, { what: 'the first call' });
    const queued = unary(client, 'queued');
    await rejection();
    await mesh.close();
    expect(await queued).to.equal('queued');
    expect(await unary(client, 'late')).to.equal('late');
    service.held[0]?.();
    await first;
  });

  it('stands where it is in the list: before it a call is seen though it is turned away, behind it only its end', async () => {
    await put('inbound', { to: 'self' }, { rateLimit: { rate: 1, per: '1h' } });
    await until(() => mesh.status().policies === 1, { what: 'the policy' });
    const seen: string[] = [];
    const watch =
      (name: string): grpc.ServerInterceptor =>
      (_method, call) =>
        new grpc.ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata: (metadata, pass) => {
                seen.push(`${name} metadata`);
                pass(metadata);
              },
              onCancel: () => void seen.push(`${name} end`),
            }),
          sendStatus: (status, next) => {
            seen.push(`${name} ${grpc.status[status.code ?? 2]}`);
            next(status);
          },
        });
    const between = await new Service(watch('before'), mesh.serverInterceptor(), watch('behind')).listen();
    const through = new EchoClient(between.address, grpc.credentials.createInsecure());
    await unary(through, 'x');
    await until(() => seen.length === 6, { what: 'the end' });
    seen.length = 0;
    await rejection(through);
    await until(() => seen.length === 4, { what: 'the end' });
    expect(seen).to.have.members([
      'before metadata',
      'before RESOURCE_EXHAUSTED',
      'before end',
      'behind end',
    ]);
    through.close();
    between.server.forceShutdown();
  });

  it('is as if it were not there under SWITCHGEAR_DISABLED=1', async () => {
    process.env.SWITCHGEAR_DISABLED = '1';
    const disabled = await join('inventory').finally(() => delete process.env.SWITCHGEAR_DISABLED);
    const plain = await new Service(disabled.serverInterceptor()).listen();
    const through = new EchoClient(plain.address, grpc.credentials.createInsecure());
    expect(await unary(through, 'hello')).to.equal('hello');
    through.close();
    plain.server.forceShutdown();
    await disabled.close();
  });
});
