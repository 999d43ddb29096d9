/**
 * `spec.outlier` through `mesh.client`: an instance that fails is left out and comes back, and policies change, come and go on
 * open channels without a call or a connection being lost.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, echoService, unary } from '../support/echo.js';
import {
  type FakeControlPlane,
  type FakeStream,
  fakeControlPlane,
  wirePolicy,
} from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { until } from '../support/until.js';

/** A server whose answers the test decides. */
interface Instance {
  readonly address: string;
  calls: number;
  connections: number;
  answers: grpc.status;
  stop(): void;
}

async function instance(): Promise<Instance> {
  const server = new grpc.Server({
    interceptors: [
      (_method, call) => {
        peers.add(call.getPeer());
        return call as grpc.ServerInterceptingCall;
      },
    ],
  });
  const peers = new Set<string>();
  server.addService(echoService as unknown as grpc.ServiceDefinition, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      made.calls++;
      if (made.answers === grpc.status.OK) callback(null, call.request);
      else callback({ code: made.answers, details: 'out of order' });
    },
    Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const made: Instance = {
    address: `127.0.0.1:${port}`,
    calls: 0,
    get connections() {
      return peers.size;
    },
    answers: grpc.status.OK,
    stop: () => server.forceShutdown(),
  } as Instance;
  return made;
}

describe('outlier ejection', () => {
  let fake: FakeControlPlane;
  let stream: FakeStream;
  let instances: Instance[];
  let mesh: Mesh;
  let revision: number;
  const clients: grpc.Client[] = [];

  const usual = {
    interval: '100ms',
    failureRate: '50%',
    minimumCalls: 2,
    ejectFor: '400ms',
    maxEjectFor: '400ms',
  };
  const apply = async (outlier: Record<string, unknown> | undefined) => {
    revision++;
    const spec = outlier === undefined ? { timeout: '5s' } : { outlier };
    stream.delta({ revision, upserts: [wirePolicy('p', revision, { match: { to: 'inventory' }, spec })] });
    await until(() => mesh.status().revision === revision, { what: `revision ${revision}` });
    expect(mesh.status().refused).to.deep.equal([]);
  };
  const client = (options: Partial<grpc.ClientOptions> = {}) => {
    const made = mesh.client(EchoClient, 'inventory', { options });
    clients.push(made);
    return made;
  };
  /** So many calls, one after the other; answers how many each instance got. */
  const calls = async (through: grpc.Client, count: number) => {
    const before = instances.map(({ calls }) => calls);
    for (let i = 0; i < count; i++) await unary(through, 'x').catch(() => undefined);
    return instances.map(({ calls }, i) => calls - (before[i] ?? 0));
  };
  const leavesOut = (through: grpc.Client, which: number) =>
    until(async () => (await calls(through, 9))[which] === 0, { what: `instance ${which} to be left out` });
  const asksAll = (through: grpc.Client) =>
    until(async () => (await calls(through, 9)).every((count) => count > 0), {
      what: 'calls at all of them',
    });

  beforeEach(async () => {
    fake = await fakeControlPlane();
    instances = await Promise.all([instance(), instance(), instance()]);
    revision = 1;
    fake.onStream = (opened) => {
      stream = opened;
      opened.welcome();
      opened.delta();
      opened.endpoints(
        'inventory',
        instances.map(({ address }) => address),
      );
    };
    mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      callees: ['inventory'],
      snapshot: false,
      logger: keptLogger(),
    });
  });

  afterEach(async () => {
    for (const made of clients.splice(0)) made.close();
    await mesh.close();
    fake.stop();
    for (const { stop } of instances) stop();
  });

  it('leaves out the instance that fails, and takes it back when it works again', async () => {
    await apply(usual);
    const inventory = client();
    await asksAll(inventory);
    const [, bad] = instances;
    if (bad) bad.answers = grpc.status.UNAVAILABLE;
    await leavesOut(inventory, 1);
    if (bad) bad.answers = grpc.status.OK;
    await asksAll(inventory);
  });

  it('begins on a channel that is open already, and one that finds its connections ready', async () => {
    const early = client();
    await asksAll(early);
    await apply(usual);
    const [bad] = instances;
    if (bad) bad.answers = grpc.status.INTERNAL;
    await leavesOut(early, 0);
    const late = client();
    await leavesOut(late, 0);
    expect(instances.map(({ connections }) => connections)).to.deep.equal([1, 1, 1]);
  });

  it('ends with its policy at once, without a call or a connection lost', async () => {
    await apply({ ...usual, ejectFor: '1h', maxEjectFor: '1h' });
    const inventory = client();
    await asksAll(inventory);
    const chat = (inventory as unknown as { Chat(): grpc.ClientDuplexStream<Buffer, Buffer> }).Chat();
    const heard: string[] = [];
    chat.on('data', (part: Buffer) => heard.push(part.toString()));
    chat.write(Buffer.from('a'));
    await until(() => heard.length === 1, { what: 'the first answer' });
    const [, , bad] = instances;
    if (bad) bad.answers = grpc.status.UNAVAILABLE;
    await leavesOut(inventory, 2);
    if (bad) bad.answers = grpc.status.OK;
    await apply(undefined);
    await asksAll(inventory);
    chat.write(Buffer.from('b'));
    await until(() => heard.length === 2, { what: 'the second answer' });
    chat.end();
    expect(instances.map(({ connections }) => connections)).to.deep.equal([1, 1, 1]);
  });

  it('follows a change of its thresholds, keeping who is left out', async () => {
    await apply({ ...usual, minimumCalls: 1_000 });
    const inventory = client();
    const [bad] = instances;
    if (bad) bad.answers = grpc.status.UNAVAILABLE;
    const counts: number[] = [];
    for (let i = 0; i < 20; i++) counts.push((await calls(inventory, 9))[0] ?? 0);
    expect(Math.min(...counts)).to.be.above(0);
    await apply({ ...usual, ejectFor: '1h', maxEjectFor: '1h' });
    await leavesOut(inventory, 0);
    await apply({ ...usual, minimumCalls: 1_000, ejectFor: '1h', maxEjectFor: '1h' });
    expect((await calls(inventory, 9))[0]).to.equal(0);
  });

  it('never leaves out more than it may, so somebody is always asked', async () => {
    await apply({ ...usual, maxEjected: '100%', ejectFor: '1h', maxEjectFor: '1h' });
    const inventory = client();
    await asksAll(inventory);
    await apply({ ...usual, maxEjected: '67%', ejectFor: '1h', maxEjectFor: '1h' });
    for (const one of instances) one.answers = grpc.status.UNAVAILABLE;
    const asked = async () => (await calls(inventory, 9)).filter((count) => count > 0).length;
    await until(async () => (await asked()) === 1, { what: 'two of three to be left out' });
    for (let i = 0; i < 30; i++) expect(await asked()).to.equal(1);
  });

  it('leaves a service config of the application its say', async () => {
    await apply(usual);
    const config = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });
    const inventory = client({ 'grpc.service_config': config });
    const [bad] = instances;
    if (bad) bad.answers = grpc.status.UNAVAILABLE;
    for (let i = 0; i < 20; i++) expect((await calls(inventory, 9))[0]).to.be.above(0);
  });
});
