/** Wire and values: what goes in comes out, and what is out of bounds is named. */
import { expect } from 'chai';
import { tooManyFields } from '../../../proto/guard.js';
import { loadWire } from '../../../proto/load.js';
import type { AgentMessage, ControlMessage, Hello } from '../../../proto/messages.js';
import { helloOf } from '../../support/stream/raw-agent.js';

describe('wire', () => {
  const agentMessages: AgentMessage[] = [
    {
      message: 'hello',
      hello: helloOf({ hashes: [{ name: 'a', hash: '0123456789abcdef', revision: 2 ** 52 }], dataset: 'd' }),
    },
    { message: 'subscribe', subscribe: { callees: ['a', 'b'] } },
    {
      message: 'ack',
      ack: { nonce: 7, applied: ['a'], rejected: [{ name: 'b', reason: 'why', revision: 7 }] },
    },
    {
      message: 'lease',
      lease: { requestId: 'r', release: true, address: 'h:1', protocol: 'grpc', version: '1', weight: 1 },
    },
    { message: 'heartbeat', heartbeat: {} },
  ];
  for (const message of agentMessages) {
    it(`carries ${message.message} to the control plane`, async () => {
      const { service, session } = await loadWire();
      expect(service.session.requestDeserialize(session.requestSerialize(message))).to.deep.equal(message);
    });
  }

  it('carries shares to an agent, and names the one that is out of bounds', async () => {
    const { session, encode } = await loadWire();
    const message = (count: number, id = 'inventory|limit'): ControlMessage => ({
      message: 'shares',
      shares: { shares: Array.from({ length: count }, () => ({ id, agents: 8 })), agents: 12 },
    });
    expect(session.responseDeserialize(encode(message(2)))).to.deep.equal(message(2));
    expect(() => session.responseDeserialize(encode(message(1001)))).to.throw(/shares\.shares/);
    expect(() => session.responseDeserialize(encode(message(1, '')))).to.throw(/shares\.shares\[0\]\.id/);
  });

  it('lets bytes that are encoded already through untouched', async () => {
    const { service, session, encode } = await loadWire();
    const message: ControlMessage = { message: 'drain', drain: { afterMs: 5 } };
    const bytes = encode(message);
    expect(service.session.responseSerialize(bytes)).to.equal(bytes);
    expect(service.session.responseSerialize(message)).to.deep.equal(bytes);
    expect(session.responseDeserialize(bytes)).to.deep.equal(message);
  });

  it('understands a message with fields it does not know', async () => {
    const { service, session } = await loadWire();
    const known = session.requestSerialize({ message: 'heartbeat', heartbeat: {} });
    const unknown = Buffer.from([0xfa, 0x3f, 0x03, 0x61, 0x62, 0x63]);
    expect(service.session.requestDeserialize(Buffer.concat([known, unknown]))).to.deep.equal({
      message: 'heartbeat',
      heartbeat: {},
    });
  });

  it('gives an absent version as zeros', async () => {
    const { service, session } = await loadWire();
    const hello = { ...helloOf({}), protocol: undefined } as unknown as Hello;
    const heard = service.session.requestDeserialize(session.requestSerialize({ message: 'hello', hello }));
    expect(heard.message === 'hello' && heard.hello.protocol).to.deep.equal({ major: 0, minor: 0 });
  });

  it('names the place of what is out of bounds', async () => {
    const { service, session } = await loadWire();
    const rejected = [
      { name: 'a', reason: '', revision: 1 },
      { name: 'b', reason: 'x'.repeat(2001), revision: 1 },
    ];
    const bytes = session.requestSerialize({ message: 'ack', ack: { nonce: 1, applied: [], rejected } });
    expect(service.session.requestDeserialize(bytes)).to.deep.equal({
      message: 'malformed',
      fault: { path: 'ack.rejected[1].reason', message: 'has to be a text of at most 2000 characters' },
    });
  });

  it('an agent that hears garbage is told so by an error', async () => {
    const { session } = await loadWire();
    expect(() => session.responseDeserialize(Buffer.from([0xff]))).to.throw(/is no message of this protocol/);
  });

  it('counts fields without unpacking them: three full lists pass, more do not', () => {
    const report = (cells: number) => {
      const body = Buffer.alloc(4 * cells, Buffer.from([0x1a, 0x02, 0x20, 0x01]));
      const length = [body.length & 127, (body.length >> 7) & 127, body.length >> 14].map((part, at) =>
        at < 2 ? part | 128 : part,
      );
      return Buffer.concat([Buffer.from([0x22, ...length]), body]);
    };
    expect(tooManyFields(report(31_000))).to.equal(false);
    expect(tooManyFields(report(33_000))).to.equal(true);
  });
});
