/**
 * Which stream counts: one at a time, the next address when one fails, a drain without a gap, and nothing left after the end.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { formatAddress, parseAddresses } from '../../../agent/addresses.js';
import type { Ending } from '../../../agent/reconnect.js';
import type { StreamListener } from '../../../agent/stream.js';
import { type OpenStream, StreamClient } from '../../../agent/stream-client.js';
import type { ControlMessage, Welcome } from '../../../proto/messages.js';
import { keptLogger } from '../../support/logs.js';
import { VirtualClock } from '../../support/virtual-clock.js';

class Opened implements OpenStream {
  readonly congested = false;
  closed = false;
  constructor(
    readonly peer: string,
    readonly listener: StreamListener,
  ) {}
  send(): void {}
  async close(): Promise<void> {
    this.closed = true;
  }
  welcome(welcome: Partial<Welcome> = {}): void {
    const intervals = { heartbeatMs: 0, reportMs: 0, urgentReportMs: 0 };
    const usual = {
      mesh: 'm',
      dataset: 'd',
      protocol: { major: 1, minor: 0 },
      replica: 'r',
      intervals,
      error: '',
    };
    this.listener.welcomed({ ...usual, ...welcome });
  }
  end(ending: Partial<Ending> = {}): void {
    this.listener.ended({ code: status.UNAVAILABLE, details: 'gone', ...ending });
  }
}

function setUp({ addresses = 'a:1,b:2', chance = 0.5 } = {}) {
  const clock = new VirtualClock();
  const logger = keptLogger();
  const opened: Opened[] = [];
  const told: string[] = [];
  // Chance 0 for the start of the rotation, `chance` from then on.
  let asked = 0;
  const random = { next: () => (asked++ === 0 ? 0 : chance), hex: () => '' };
  const client = new StreamClient({
    addresses: parseAddresses(addresses, 'x'),
    clock,
    random,
    logger,
    open(address, listener) {
      const stream = new Opened(formatAddress(address), listener);
      opened.push(stream);
      return stream;
    },
    listener: {
      connected: (outlet) => void told.push(`connected ${outlet.peer}`),
      message: ({ message }, outlet) => void told.push(`${message} ${outlet.peer}`),
      disconnected: ({ details }, peer) => void told.push(`disconnected ${peer}: ${details}`),
    },
  });
  client.start();
  const stream = (n: number): Opened => {
    const found = opened[n];
    if (!found) throw new Error(`only ${opened.length} streams were opened`);
    return found;
  };
  return { clock, logger, opened, told, client, stream };
}

const heartbeat: ControlMessage = { message: 'heartbeat', heartbeat: {} };
const drain = (afterMs: number): ControlMessage => ({ message: 'drain', drain: { afterMs } });

describe('the client of the stream', () => {
  it('connects at once, and counts a stream from its welcome on', () => {
    const { client, stream, told } = setUp();
    expect(client.connected).to.equal(false);
    stream(0).welcome();
    expect(client.connected).to.equal(true);
    stream(0).listener.message(heartbeat);
    expect(told).to.deep.equal(['connected a:1', 'heartbeat a:1']);
  });

  it('is not connected as soon as the stream has ended', () => {
    const { client, stream, told } = setUp();
    stream(0).welcome();
    stream(0).end({ healthyMs: 10 });
    expect(client.connected).to.equal(false);
    expect(told).to.deep.equal(['connected a:1', 'disconnected a:1: gone']);
  });

  it('tries every address of a round without waiting, then waits', () => {
    const { clock, opened, stream } = setUp();
    stream(0).end();
    clock.advance(0);
    stream(1).end();
    expect(opened.map(({ peer }) => peer)).to.deep.equal(['a:1', 'b:2']);
    clock.advance(249);
    expect(opened).to.have.length(2);
    clock.advance(1);
    expect(opened.map(({ peer }) => peer)).to.deep.equal(['a:1', 'b:2', 'a:1']);
  });

  it('looks for a lost replica where it was, then goes on to the next', () => {
    const { clock, opened, stream } = setUp();
    stream(0).welcome();
    stream(0).end({ healthyMs: 61_000 });
    clock.advance(1_000);
    stream(1).end();
    clock.advance(0);
    expect(opened.map(({ peer }) => peer)).to.deep.equal(['a:1', 'a:1', 'b:2']);
  });

  it('leaves a draining replica for the next one, and keeps its stream until that has welcomed us', () => {
    const { clock, opened, stream, told, client } = setUp();
    stream(0).welcome();
    stream(0).listener.message(drain(4_000));
    clock.advance(999);
    expect(opened).to.have.length(1);
    clock.advance(1);
    expect(stream(1).peer).to.equal('b:2');
    expect(stream(0).closed).to.equal(false);
    stream(0).listener.message(heartbeat);
    stream(1).welcome();
    expect(stream(0).closed).to.equal(true);
    expect(client.peer).to.equal('b:2');
    expect(told).to.deep.equal(['connected a:1', 'heartbeat a:1', 'connected b:2']);
  });

  it('leaves a draining replica at a time of its own, within half of what it was told', () => {
    const left = [0, 0.25, 0.999].map((chance) => {
      const { clock, opened, stream } = setUp({ chance });
      stream(0).welcome();
      stream(0).listener.message(drain(4_000));
      while (opened.length === 1) clock.advance(1);
      return clock.now();
    });
    expect(left).to.deep.equal([1, 500, 1_998]);
  });

  it('believes no drain that lasts for ever', () => {
    const { clock, opened, stream } = setUp();
    stream(0).welcome();
    stream(0).listener.message(drain(1e15));
    clock.advance(15_000);
    expect(opened).to.have.length(2);
  });

  it('does not plan twice when a draining replica ends the stream right away', () => {
    const { clock, opened, stream } = setUp();
    stream(0).welcome();
    stream(0).listener.message(drain(0));
    stream(0).end({ healthyMs: 100 });
    expect(clock.pendingTimers).to.equal(1);
    clock.advance(2_000);
    expect(opened).to.have.length(2);
  });

  it('hears nothing from a stream that has been replaced', () => {
    const { clock, stream, told, client } = setUp();
    stream(0).welcome();
    stream(0).listener.message(drain(0));
    clock.advance(2_000);
    stream(1).welcome();
    stream(0).listener.message(heartbeat);
    stream(0).end({ healthyMs: 1 });
    expect(told).to.deep.equal(['connected a:1', 'connected b:2']);
    expect(client.connected).to.equal(true);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('says once that nobody answers, and once that somebody does again', () => {
    const { clock, stream, logger } = setUp({ addresses: 'a:1' });
    for (let n = 0; n < 5; n++) {
      stream(n).end();
      clock.advance(30_000);
    }
    stream(5).welcome();
    expect(logger.of('warn').map(({ message }) => message)).to.deep.equal([
      'the control plane does not answer; trying again until it does',
      'connected to the control plane again',
    ]);
  });

  it('says each time what somebody has to do', () => {
    const { clock, stream, logger } = setUp({ addresses: 'a:1' });
    for (let n = 0; n < 3; n++) {
      stream(n).end({ code: status.UNAUTHENTICATED, details: 'nobody has this token' });
      clock.advance(60_000);
    }
    expect(logger.of('error')).to.have.length(3);
    expect(logger.of('error')[0]?.message).to.match(/valid token/);
    expect(logger.of('error')[0]?.fields).to.include({
      reason: 'nobody has this token',
      controlPlane: 'a:1',
    });
  });

  it('passes on what the control plane has to say to people', () => {
    const { stream, logger } = setUp();
    stream(0).welcome({ error: 'two processes share this name' });
    expect(logger.of('warn')[0]?.message).to.match(/two processes share this name/);
  });

  it('leaves no timer and opens nothing once closed', async () => {
    const { clock, opened, stream, client } = setUp();
    stream(0).end();
    await client.close();
    expect(clock.pendingTimers).to.equal(0);
    clock.advance(100_000);
    expect(opened).to.have.length(1);
    const other = setUp();
    other.stream(0).welcome();
    await other.client.close();
    expect(other.stream(0).closed).to.equal(true);
    expect(other.client.connected).to.equal(false);
  });
});
