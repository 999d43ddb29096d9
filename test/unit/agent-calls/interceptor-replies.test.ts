/**
 * Answers that no callee has just given: the last good one, which nobody else's call may get, and one that a policy spells out,
 * which has to be of the method's type.
 */
import * as grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { expect } from 'chai';
import { createInterceptor, type InterceptorSettings } from '../../../agent/interceptor.js';
import type { Effective, FallbackSpec } from '../../../core/policy/model.js';
import { fail, intercepted, succeed } from '../../support/intercepted.js';
import { NullCall, type StubbedCall, stubbedCall } from '../../support/null-transport.js';
import { effectiveOf } from '../../support/specs.js';

const { status } = grpc;
const failing: FallbackSpec = { kind: 'error', status: 'NOT_FOUND', message: 'nothing to show' };
const markerOf = ({ client }: StubbedCall) => client.status?.metadata.get('switchgear-degraded');

function calls(fallback: readonly FallbackSpec[], rest: Effective = {}, settings: InterceptorSettings = {}) {
  return intercepted({ ...rest, ...effectiveOf({ fallback }) }, settings);
}

describe('the fallback cache', () => {
  const cache: FallbackSpec = { kind: 'cache', maxAgeMs: 1_000 };

  it('answers with the last good answer to the same request, while it is young', () => {
    const made = calls([cache]);
    succeed(made.make({ message: 'a' }), 'first');
    succeed(made.make({ message: 'a' }), 'second');
    const other = made.make({ message: 'b' });
    fail(other);
    expect(other.client.status?.code).to.equal(status.UNAVAILABLE);
    const same = made.make({ message: 'a' });
    fail(same);
    expect(same.client.heard).to.deep.equal(['metadata', 'message second', 'status OK']);
    expect(markerOf(same)).to.deep.equal(['cache; UNAVAILABLE']);
    made.clock.advance(1_001);
    const late = made.make({ message: 'a' });
    fail(late);
    expect(late.client.status?.code).to.equal(status.UNAVAILABLE);
    made.expectNothingLeft();
  });

  it('gives nobody an answer that was meant for another', () => {
    const made = calls([cache]);
    const token = (value: string) => {
      const metadata = new grpc.Metadata();
      metadata.set('authorization', value);
      metadata.set('traceparent', String(Math.abs(value.length)));
      return { metadata };
    };
    succeed(made.make(token('alice')), 'of alice');
    const bob = made.make(token('bob'));
    fail(bob);
    expect(bob.client.status?.code).to.equal(status.UNAVAILABLE);
    const alice = made.make(token('alice'));
    fail(alice);
    expect(alice.client.heard).to.include('message of alice');
    // Another client may have other credentials.
    const elsewhere = stubbedCall(made.targets, createInterceptor(made.targets, 'inventory'), token('alice'));
    fail(elsewhere);
    expect(elsewhere.client.status?.code).to.equal(status.UNAVAILABLE);
  });

  it('gives everybody an object of his own, and keeps nothing that it can’t copy', () => {
    const made = calls([cache]);
    const reply = { items: [{ name: 'bolt' }], picture: Buffer.from('x') };
    succeed(made.make(), reply);
    (reply.items[0] as { name: string }).name = 'changed by whoever got it first';
    const given: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const call = made.make();
      call.client.listener.onReceiveMessage = (message: unknown) => void given.push(message);
      fail(call);
    }
    expect(given[0]).to.deep.equal({ items: [{ name: 'bolt' }], picture: Buffer.from('x') });
    expect(given[0]).to.not.equal(given[1]);
    class Opaque {}
    succeed(made.make({ message: 'opaque' }), new Opaque());
    const opaque = made.make({ message: 'opaque' });
    fail(opaque);
    expect(opaque.client.status?.code).to.equal(status.UNAVAILABLE);
    // Trap 13: a cache that can't keep something costs no permit.
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('costs nothing, and asks nobody to write requests down, where no policy names it', () => {
    const made = calls([failing]);
    let written = 0;
    const message = { toString: () => `a ${++written}` };
    const call = made.make({ message });
    // The wire does it once.
    expect(written).to.equal(1);
    succeed(call, 'reply');
    expect([written, made.targets.responses.size]).to.deep.equal([1, 0]);
  });
});

describe('the fallback static', () => {
  const service = fromJSON({
    nested: {
      test: {
        nested: {
          Kind: { values: { NONE: 0, LARGE: 1 } },
          Item: {
            fields: {
              name: { type: 'string', id: 1 },
              count: { type: 'int64', id: 2 },
              available: { type: 'bool', id: 3 },
              kind: { type: 'Kind', id: 4 },
              tags: { rule: 'repeated', type: 'string', id: 5 },
              part: { type: 'Item', id: 6 },
              bytes: { type: 'bytes', id: 7 },
            },
          },
          Items: { methods: { Get: { requestType: 'Item', responseType: 'Item', comment: '' } } },
        },
      },
    },
  })['test.Items'] as grpc.ServiceDefinition;
  const { Get } = service;

  const run = (value: unknown, types: grpc.ServiceDefinition | undefined = service) => {
    const made = calls([{ kind: 'static', value }, failing], {}, { service: types });
    const given: unknown[] = [];
    const wires: NullCall[] = [];
    const interceptor = createInterceptor(made.targets, 'inventory', { service: types });
    const statuses: grpc.StatusObject[] = [];
    const once = () => {
      const call = interceptor(
        {
          method_definition: {
            path: Get?.path ?? '',
            requestStream: false,
            responseStream: false,
            requestSerialize: Get?.requestSerialize as (value: unknown) => Buffer,
            responseDeserialize: Get?.responseDeserialize as (bytes: Buffer) => unknown,
          },
        },
        (options) => {
          const wire = new NullCall(options);
          wires.push(wire);
          return wire as unknown as grpc.InterceptingCall;
        },
      );
      call.start(new grpc.Metadata(), {
        onReceiveMetadata() {},
        onReceiveMessage: (message) => void given.push(message),
        onReceiveStatus: (ended) => void statuses.push(ended),
      });
      wires.at(-1)?.end(status.UNAVAILABLE, 'broken');
    };
    once();
    return { given, statuses, warnings: made.warnings, once };
  };

  const fitting: [string, unknown, object][] = [
    ['fields of all kinds', { name: 'bolt', count: '7', kind: 'LARGE', tags: ['a'] }, { name: 'bolt' }],
    ['numbers', { count: 7, kind: 1 }, { kind: 1 }],
    ['defaults, which may vanish', { available: false, name: '', tags: [], part: {} }, {}],
    ['messages in messages', { part: { name: 'nut', available: true } }, {}],
    ['bytes in base64', { bytes: 'AQID' }, {}],
    ['an empty message', {}, {}],
  ];
  for (const [name, value, includes] of fitting) {
    it(`answers with ${name}`, () => {
      const { given, statuses, warnings } = run(value);
      expect(statuses[0]?.code).to.equal(status.OK);
      expect(given[0]).to.include(includes);
      expect(warnings).to.deep.equal([]);
    });
  }

  const unfit: [string, unknown][] = [
    ['a field that the type has not', { nmae: 'bolt' }],
    ['a word for a truth', { available: 'yes' }],
    ['a list for a word', { name: ['bolt'] }],
    ['a word for a list', { tags: 'a' }],
    ['a word for a message', { part: 'nut' }],
    ['an enum’s name that it has not', { kind: 'HUGE' }],
    ['a list for the whole', [{ name: 'bolt' }]],
    ['a word for the whole', 'bolt'],
  ];
  for (const [name, value] of unfit) {
    it(`is skipped, with one warning, for ${name}`, () => {
      const { statuses, warnings, once } = run(value);
      once();
      expect(statuses.map(({ code }) => code)).to.deep.equal([status.NOT_FOUND, status.NOT_FOUND]);
      expect(warnings).to.have.lengthOf(1);
    });
  }

  it('is skipped, with one warning, where the types are not known', () => {
    const { statuses, warnings } = run({ name: 'bolt' }, {});
    expect(statuses[0]?.code).to.equal(status.NOT_FOUND);
    expect(warnings).to.have.lengthOf(1);
  });

  it('gives everybody an object of his own', () => {
    const { given, once } = run({ name: 'bolt' });
    once();
    expect(given[0]).to.not.equal(given[1]);
    expect(given[0]).to.deep.equal(given[1]);
  });
});
