/** Any bytes in: a clear status with its place, for this stream alone, and the server lives. */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { loadWire } from '../../proto/load.js';
import { frame, sendFrames, sendGarbage } from '../support/stream/hostile.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { helloOf, RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

describe('stream: hostile peers', () => {
  let plane: Plane;
  before(async () => {
    plane = await startPlane();
  });
  after(() => plane.close());
  afterEach('the server lives', async () => {
    const agent = await RawAgent.connect(plane.address, { instance: 'alive' });
    expect(agent.last('welcome')).to.include({ mesh: 'test' });
    agent.close();
    await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
  });

  for (const [what, bytes] of [
    ['HTTP/1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['noise', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 256))],
    ['a TLS handshake', Buffer.from('16030100c8010000c40303', 'hex')],
    [
      'the HTTP/2 preface, then noise',
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(4096, 0xee)]),
    ],
  ] as const) {
    it(`hangs up on ${what}`, () => sendGarbage(plane.address, Buffer.concat([bytes, Buffer.alloc(64)])));
  }

  it('answers a frame of garbage with INVALID_ARGUMENT', async () => {
    const answer = await sendFrames(plane.address, frame(Buffer.from('this is no message at all')));
    expect(answer.code).to.equal(status.INVALID_ARGUMENT);
    expect(answer.details).to.contain('is no message of this protocol');
  });

  it('answers an empty message with INVALID_ARGUMENT, naming what it could have been', async () => {
    const answer = await sendFrames(plane.address, frame(Buffer.alloc(0)));
    expect(answer.code).to.equal(status.INVALID_ARGUMENT);
    expect(answer.details).to.contain('no known message is set; one of hello, subscribe');
  });

  it('answers a frame announced larger than 4 MiB with RESOURCE_EXHAUSTED, before it has come', async () => {
    const answer = await sendFrames(plane.address, frame(Buffer.from('x'), 100 * 1024 * 1024));
    expect(answer.code).to.equal(status.RESOURCE_EXHAUSTED);
    expect(answer.details).to.contain('larger than max');
  });

  it('answers garbage that claims to be compressed without falling over', async () => {
    const answer = await sendFrames(plane.address, frame(Buffer.from('no gzip'), 7, 1));
    expect(answer.code).to.be.oneOf([status.INTERNAL, status.UNIMPLEMENTED, status.INVALID_ARGUMENT]);
  });

  it('answers two million empty items with INVALID_ARGUMENT, without unpacking them', async () => {
    const items = Buffer.alloc(4_000_000);
    for (let at = 0; at < items.length; at += 2) items[at] = 0x1a;
    const report = Buffer.concat([Buffer.from([0x22, 0x80, 0x92, 0xf4, 0x01]), items]);
    const answer = await sendFrames(plane.address, frame(report));
    expect(answer.code).to.equal(status.INVALID_ARGUMENT);
    expect(answer.details).to.contain('has more fields than any message needs');
  });

  it('answers text that is no UTF-8 in a name', async () => {
    const { session } = await loadWire();
    const hello = session.requestSerialize({
      message: 'hello',
      hello: helloOf({ service: 'XXX', agent: 'XXX/i1' }),
    });
    const broken = Buffer.from(hello.toString('latin1').replaceAll('XXX', '\xed\xa0\x80'), 'latin1');
    const answer = await sendFrames(plane.address, frame(broken));
    expect(answer.code).to.equal(status.INVALID_ARGUMENT);
    expect(answer.details).to.contain('hello.service');
  });

  it('answers whatever follows a good Hello as well', async () => {
    const { session } = await loadWire();
    const hello = session.requestSerialize({ message: 'hello', hello: helloOf({}) });
    const answer = await sendFrames(
      plane.address,
      Buffer.concat([frame(hello), frame(Buffer.from([0xff, 0xff]))]),
    );
    expect(answer.code).to.equal(status.INVALID_ARGUMENT);
  });

  it('answers random frames with a status, never with silence', async function () {
    this.timeout(30_000);
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (content) => {
        const { code } = await sendFrames(plane.address, frame(Buffer.from(content)));
        expect(code).to.equal(status.INVALID_ARGUMENT);
      }),
      { numRuns: 100, seed },
    );
    console.log(`      seed ${seed}`);
  });
});
