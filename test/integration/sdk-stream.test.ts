/**
 * One stream over real sockets, against peers of every kind: a good one, one that is silent, one that isn't there, one that
 * speaks something else. Time is virtual: no test waits for a deadline.
 */
import { createServer, type Server, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { parseAddress } from '../../agent/addresses.js';
import type { Ending } from '../../agent/reconnect.js';
import { Stream } from '../../agent/stream.js';
import type { ControlMessage, Hello } from '../../proto/messages.js';
import { type FakeControlPlane, fakeControlPlane } from '../support/fake-control-plane.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

/** After so long without a welcome a peer is given up. */
const CONNECT_MS = 10_000;

const hello: Hello = {
  agent: 'checkout/1',
  service: 'checkout',
  instance: '1',
  boot: 1,
  zone: '',
  version: '',
  protocol: { major: 1, minor: 0 },
  capabilities: [],
  dataset: '',
  revision: 0,
  hashes: [],
  callees: [],
  concurrency: 0,
};

interface Opened {
  readonly clock: VirtualClock;
  readonly stream: Stream;
  readonly welcomes: string[];
  readonly messages: ControlMessage[];
  readonly endings: Ending[];
}

async function open(
  address: string,
  token?: string,
  credentials = grpc.credentials.createInsecure(),
): Promise<Opened> {
  const clock = new VirtualClock();
  const welcomes: string[] = [];
  const messages: ControlMessage[] = [];
  const endings: Ending[] = [];
  const parsed = parseAddress(address);
  if (!parsed) throw new Error(`${address} is no address`);
  const stream = new Stream({
    address: parsed,
    credentials: { credentials },
    token,
    clock,
    hello: () => hello,
    listener: {
      welcomed: ({ mesh }) => void welcomes.push(mesh),
      message: (message) => void messages.push(message),
      ended: (ending) => void endings.push(ending),
    },
  });
  return { clock, stream, welcomes, messages, endings };
}

/** A TCP server that does with a connection what a test says. */
async function peer(
  onSocket: (socket: Socket) => void,
): Promise<{ address: string; sockets: Set<Socket>; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not bound');
  return { address: `127.0.0.1:${bound.port}`, sockets, server };
}

describe('a stream to a good control plane', () => {
  let fake: FakeControlPlane;
  let opened: Opened;
  beforeEach(async () => {
    fake = await fakeControlPlane();
    opened = await open(fake.address, 'abc');
  });
  afterEach(async () => {
    await opened.stream.close();
    fake.stop();
  });

  it('says Hello with its token, and is told nothing before the welcome', async () => {
    const peer = await fake.stream(0);
    expect(peer.of('hello')[0]?.hello).to.deep.equal(hello);
    expect(peer.metadata.get('authorization')).to.deep.equal(['Bearer abc']);
    peer.endpoints('inventory', ['a:1']);
    peer.welcome({ mesh: 'm1' });
    peer.endpoints('inventory', ['b:1']);
    await until(() => opened.messages.length > 0, { what: 'a message' });
    expect(opened.welcomes).to.deep.equal(['m1']);
    expect(opened.messages).to.have.length(1);
  });

  it('beats as often as it is told to, and ends after three beats of silence', async () => {
    const peer = await fake.stream(0);
    peer.welcome({ intervals: { heartbeatMs: 10_000, reportMs: 0, urgentReportMs: 0 } });
    await until(() => opened.welcomes.length > 0, { what: 'the welcome' });
    opened.clock.advance(20_000);
    await until(() => peer.of('heartbeat').length === 2, { what: 'two beats' });
    peer.say({ message: 'heartbeat', heartbeat: {} });
    await until(() => opened.messages.length === 1, { what: 'the answer' });
    opened.clock.advance(30_000);
    expect(opened.endings).to.deep.equal([]);
    opened.clock.advance(10_000);
    expect(opened.endings[0]).to.include({ code: grpc.status.UNAVAILABLE, healthyMs: 60_000 });
    expect(opened.endings[0]?.details).to.match(/silent for 3 heartbeats/);
    expect(opened.clock.pendingTimers).to.equal(0);
    await until(() => peer.ended, { what: 'the end at the other side' });
  });

  it('tells why it was ended, and when to come again', async () => {
    const peer = await fake.stream(0);
    peer.fail(grpc.status.RESOURCE_EXHAUSTED, 'full', { 'switchgear-retry-after-ms': '4000' });
    await until(() => opened.endings.length > 0, { what: 'the end' });
    expect(opened.endings).to.deep.equal([
      { code: grpc.status.RESOURCE_EXHAUSTED, details: 'full', retryAfterMs: 4_000, healthyMs: undefined },
    ]);
    expect(opened.clock.pendingTimers).to.equal(0);
  });

  it('takes no nonsense for a time', async () => {
    const peer = await fake.stream(0);
    peer.fail(grpc.status.RESOURCE_EXHAUSTED, 'full', { 'switchgear-retry-after-ms': '-1; drop' });
    await until(() => opened.endings.length > 0, { what: 'the end' });
    expect(opened.endings[0]?.retryAfterMs).to.equal(undefined);
  });

  it('gives a peer ten seconds that connects and never welcomes', async () => {
    await fake.stream(0);
    opened.clock.advance(9_999);
    expect(opened.endings).to.deep.equal([]);
    opened.clock.advance(1);
    expect(opened.endings[0]?.details).to.match(/no welcome within 10000 ms/);
  });

  it('survives what is no message of the protocol', async () => {
    const peer = await fake.stream(0);
    peer.welcome();
    await until(() => opened.welcomes.length > 0, { what: 'the welcome' });
    for (const rubbish of ['ffffffffffffffff', '0a', 'c23e80808080ffff'])
      peer.say(Buffer.from(rubbish, 'hex') as unknown as ControlMessage);
    await until(() => opened.endings.length > 0, { what: 'the end' });
    expect(opened.endings).to.have.length(1);
    expect(opened.messages).to.deep.equal([]);
  });

  it('ends politely', async () => {
    const peer = await fake.stream(0);
    peer.welcome();
    await until(() => opened.welcomes.length > 0, { what: 'the welcome' });
    await opened.stream.close();
    expect(peer.ended).to.equal(true);
    expect(opened.endings).to.deep.equal([]);
    expect(opened.clock.pendingTimers).to.equal(0);
    opened.stream.send({ message: 'heartbeat', heartbeat: {} });
  });

  it('is ended by a peer that reads no more', async () => {
    const peer = await fake.stream(0);
    peer.welcome();
    await until(() => opened.welcomes.length > 0, { what: 'the welcome' });
    const callees = Array.from({ length: 100 }, (_, i) => `callee-${i}-${'x'.repeat(100)}`);
    for (let n = 0; n < 2_000 && opened.endings.length === 0; n++)
      opened.stream.send({ message: 'subscribe', subscribe: { callees } });
    expect(opened.stream.congested || opened.endings.length > 0).to.equal(true);
    expect(opened.endings[0]?.details).to.match(/reads no more/);
  });
});

describe('a stream to another kind of peer', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('gives up one that accepts and says nothing, and takes the connection down', async () => {
    const { address, sockets, server } = await peer((socket) => socket.resume());
    servers.push(server);
    const { clock, endings } = await open(address);
    await until(() => sockets.size === 1, { what: 'the connection' });
    clock.advance(CONNECT_MS);
    expect(endings[0]).to.include({ code: grpc.status.UNAVAILABLE, healthyMs: undefined });
    await until(() => sockets.size === 0, { what: 'the end of the connection' });
    expect(clock.pendingTimers).to.equal(0);
  });

  it('gives up one that is silent in the middle of TLS', async () => {
    const { address, sockets, server } = await peer((socket) => socket.resume());
    servers.push(server);
    // By name: Node warns of an IP address as the name of a certificate.
    const byName = address.replace('127.0.0.1', 'localhost');
    const { clock, endings } = await open(byName, 'abc', grpc.credentials.createSsl());
    await until(() => sockets.size === 1, { what: 'the connection' });
    clock.advance(CONNECT_MS);
    expect(endings).to.have.length(1);
    await until(() => sockets.size === 0, { what: 'the end of the connection' });
    expect(clock.pendingTimers).to.equal(0);
  });

  it('is told that nobody listens', async () => {
    const { address, server } = await peer(() => {});
    await new Promise((resolve) => server.close(resolve));
    const { clock, endings } = await open(address);
    await until(() => endings.length > 0, { what: 'the end' });
    expect(endings[0]?.code).to.equal(grpc.status.UNAVAILABLE);
    expect(clock.pendingTimers).to.equal(0);
  });

  for (const [what, bytes, endsIt] of [
    ['HTTP/1', Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'), true],
    ['random bytes', Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 131 + 7) % 256)), true],
    ['HTTP/2 and then nothing', Buffer.from('000000040000000000', 'hex'), false],
  ] as const)
    it(`survives one that speaks ${what}`, async () => {
      const { address, server, sockets } = await peer((socket) => {
        socket.resume();
        socket.write(bytes);
      });
      servers.push(server);
      const { clock, endings } = await open(address);
      if (!endsIt) {
        await until(() => sockets.size === 1, { what: 'the connection' });
        clock.advance(CONNECT_MS);
      }
      await until(() => endings.length > 0, { what: 'the end' });
      expect(endings).to.have.length(1);
      expect(endings[0]?.healthyMs).to.equal(undefined);
      await until(() => sockets.size === 0, { what: 'the end of the connection' });
    });

  it('survives one that hangs up at once', async () => {
    const { address, server } = await peer((socket) => socket.destroy());
    servers.push(server);
    const { endings } = await open(address);
    await until(() => endings.length > 0, { what: 'the end' });
    expect(endings[0]?.code).to.equal(grpc.status.UNAVAILABLE);
  });

  it('can be closed while it connects', async () => {
    const { address, server, sockets } = await peer((socket) => socket.resume());
    servers.push(server);
    const { clock, endings, stream } = await open(address);
    await until(() => sockets.size === 1, { what: 'the connection' });
    await stream.close();
    await until(() => sockets.size === 0, { what: 'the end of the connection' });
    expect(endings).to.deep.equal([]);
    expect(clock.pendingTimers).to.equal(0);
  });
});
