/**
 * Telemetry of a mesh as an application has it: an SDK registered in the process, a policy from the control plane, calls over gRPC
 * and `guard`, and what is to be seen of them. And without an SDK: nothing of one is loaded.
 */

import { execFile } from 'node:child_process';
import { inspect, promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Decision, type Mesh, type MeshEvents } from '../../sdk/index.js';
import { EchoClient, type EchoServer, startEcho, unary } from '../support/echo.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { registerMetrics, registerTracing, unregister } from '../support/otel.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const execute = promisify(execFile);
const method = 'test.Echo/Unary';
const spec = { circuit: { minimumCalls: 2, openFor: '30s' } };

describe('the telemetry of a mesh', () => {
  let fake: FakeControlPlane;
  let echo: EchoServer;
  let mesh: Mesh;
  let client: grpc.Client;

  beforeEach(async () => {
    echo = await startEcho();
    fake = await fakeControlPlane();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta({
        revision: 7,
        upserts: [wirePolicy('inventory-default', 7, { match: { to: 'inventory' }, spec })],
      });
    };
  });

  afterEach(async () => {
    client?.close();
    await mesh?.close();
    fake.stop();
    echo.stop();
    unregister();
  });

  const join = async () => {
    mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      callees: ['inventory'],
      snapshot: false,
      logger: keptLogger(),
    });
    client = new EchoClient(echo.address, grpc.credentials.createInsecure(), {
      interceptors: [mesh.interceptor('inventory')],
    });
  };
  const trip = async () => {
    for (let i = 0; i < 2; i++) await rejectionOf(unary(client, 'fail'));
  };

  it('puts the rejection of a gRPC call on the span of its caller, with policy and revision', async () => {
    const tracing = registerTracing();
    await join();
    await trip();
    const error = await tracing.within('checkout', () => rejectionOf(unary(client, 'x')));
    expect((error as grpc.ServiceError).details).to.match(
      /^\[circuit_open\] .*\(policy inventory-default@7\)$/,
    );
    const { events } = tracing.span('checkout');
    expect(events.map(({ name }) => name)).to.deep.equal(['switchgear.reject']);
    expect(events[0]?.attributes).to.include({
      'switchgear.callee': 'inventory',
      'rpc.method': method,
      'error.type': 'circuit_open',
      'switchgear.policy.name': 'inventory-default',
      'switchgear.policy.revision': 7,
    });
  });

  it('keeps the decisions of calls that run at once on the span of each', async () => {
    const tracing = registerTracing();
    await join();
    await trip();
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        tracing.within(`call-${i}`, async () => {
          await new Promise((resolve) => setImmediate(resolve));
          await rejectionOf(i % 2 ? unary(client, 'x') : mesh.guard('inventory', () => i));
        }),
      ),
    );
    for (let i = 0; i < 10; i++) expect(tracing.span(`call-${i}`).events, `call-${i}`).to.have.length(1);
  });

  it('measures calls, rejections and the circuit, and ends with the mesh', async () => {
    const { collect } = registerMetrics();
    await join();
    await trip();
    await rejectionOf(unary(client, 'x'));
    const seen = await collect();
    const where = { 'switchgear.caller': 'checkout', 'switchgear.callee': 'inventory' };
    const policy = { 'switchgear.policy.name': 'inventory-default' };
    expect(
      seen.sum('switchgear.calls', { ...where, 'rpc.method': method, 'switchgear.outcome': 'failure' }),
    ).to.equal(2);
    expect(seen.sum('switchgear.policy.calls', { ...where, ...policy })).to.equal(2);
    expect(seen.sum('switchgear.rejections', { ...where, ...policy, 'error.type': 'circuit_open' })).to.equal(
      1,
    );
    expect(
      seen.sum('switchgear.circuit.state', { ...where, ...policy, 'switchgear.circuit.state': 'open' }),
    ).to.equal(1);
    expect(seen.sum('switchgear.policy.revision', policy)).to.equal(7);
    await mesh.close();
    await rejectionOf(unary(client, 'x'));
    expect((await collect()).sum('switchgear.rejections', where)).to.equal(1);
  });

  it('finds an SDK that is registered after connect', async () => {
    await join();
    await unary(client, 'hello');
    const { collect } = registerMetrics();
    await until(async () => (await collect()).sum('switchgear.calls'), { what: 'metrics' });
    const tracing = registerTracing();
    await trip();
    const reject = (name: string) => tracing.within(name, () => rejectionOf(unary(client, 'x')));
    let tries = 0;
    await until(
      async () => {
        await reject(`try-${++tries}`);
        return tracing.span(`try-${tries}`).events.length;
      },
      { what: 'an event' },
    );
  });

  it('gives a new revision its own name in decisions and stats, to listeners and to a person', async () => {
    await join();
    const heard: Decision[] = [];
    const leave = mesh.on('decision', (decision) => heard.push(decision));
    await trip();
    await rejectionOf(unary(client, 'x'));
    const stream = await fake.stream(0);
    stream.delta({
      revision: 8,
      upserts: [
        wirePolicy('inventory-default', 8, { match: { to: 'inventory' }, spec: { ...spec, timeout: '5s' } }),
      ],
    });
    await until(() => mesh.circuit('inventory').revision === 8, { what: 'revision 8' });
    await rejectionOf(mesh.guard('inventory', () => 1));
    expect(heard.map(({ kind, policy, revision }) => `${kind} ${policy}@${revision}`)).to.deep.equal([
      'reject inventory-default@7',
      'reject inventory-default@8',
    ]);
    leave();
    await rejectionOf(mesh.guard('inventory', () => 1));
    expect(heard).to.have.length(2);
    const stats = mesh.stats();
    expect(inspect(stats), 'as a console prints it').to.include("{ 'reject circuit_open': 2 }");
    const { inventory } = stats;
    expect(inventory?.policies).to.deep.equal({ 'inventory-default': 8 });
    expect(inventory?.decisions).to.deep.equal({
      'inventory-default@7': { 'reject circuit_open': 1 },
      'inventory-default@8': { 'reject circuit_open': 2 },
    });
    expect(inventory?.methods[method]?.calls).to.include({ ok: 0, failed: 2 });
    expect(inventory?.circuits[0]).to.include({ state: 'open', revision: 8 });
  });

  it('refuses an event that never happens, naming this one among those that do', async () => {
    await join();
    const wrong = 'decisions' as keyof MeshEvents;
    expect(() => mesh.on(wrong, () => {})).to.throw(/use circuit, policy, connection, brownout, decision$/);
  });

  it('loads nothing of an SDK by itself', async () => {
    const sdk = new URL('../../sdk/index.ts', import.meta.url);
    const script = `
      import { createRequire } from 'node:module';
      const { connect } = await import(${JSON.stringify(sdk.href)});
      const mesh = await connect({ service: 'bare', controlPlane: '127.0.0.1:1', snapshot: false, logger: {
        debug() {}, info() {}, warn() {}, error() {} } });
      await mesh.guard('x', () => 1);
      await mesh.close();
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      const names = loaded.flatMap((file) => /@opentelemetry\\/([^/]+)/.exec(file)?.[1] ?? []);
      console.log(JSON.stringify([...new Set(names)]));`;
    const { stdout } = await execute(process.execPath, [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      script,
    ]);
    expect(JSON.parse(stdout)).to.deep.equal(['api']);
  });
});
