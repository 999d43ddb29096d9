/**
 * Each section in shadow with each kind of call over real sockets: it tells what it would have done to such a call, and changes
 * nothing.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type CallKind, callKinds, requestStreams, responseStreams } from '../support/kinds.js';
import { KindsMesh } from '../support/kinds-mesh.js';
import { wordsOf } from '../support/kinds-table.js';
import { until } from '../support/until.js';

const { OK, UNAVAILABLE, NOT_FOUND } = status;

/** The limit that `auto` begins with. */
const FIRST_LIMIT = 20;

describe('each section in shadow, with each kind of call', () => {
  let kit: KindsMesh;

  before(async () => {
    kit = await KindsMesh.start();
  });
  afterEach(() => kit.endAll());
  after(() => kit.stop());

  const shadow = (spec: object) => kit.callee(spec, { mode: 'shadow' });
  /** Circuits, limits of time and the like hold on to a stream until its first message, to others until their status. */
  const untilMessage = (kind: CallKind) =>
    wordsOf('a policy in shadow', kind) === 'sees each attempt to its first response message';
  const repeated = (kind: CallKind) => !requestStreams(kind);
  const always = () => true;

  /** Section, spec, how the callee answers; what is told, of which kinds. */
  const ends: readonly (readonly [
    name: string,
    spec: object,
    script: Parameters<KindsMesh['server']['play']>[0],
    told: string,
    of: (kind: CallKind) => boolean,
  ])[] = [
    ['timeout', { timeout: '5ms' }, [{ takes: 15 }, 'ok'], 'would-timeout deadline_exceeded', always],
    [
      // Longer than a first message takes on a machine that is busy.
      'attemptTimeout',
      { attemptTimeout: '150ms' },
      ['message', { takes: 200 }, 'ok'],
      'would-timeout deadline_exceeded',
      (kind) => !untilMessage(kind),
    ],
    [
      'streamTimeout',
      { streamTimeout: '5ms' },
      ['message', { takes: 15 }, 'ok'],
      'would-timeout deadline_exceeded',
      responseStreams,
    ],
    ['retry', { retry: {}, idempotent: true }, [UNAVAILABLE], 'would-retry UNAVAILABLE', repeated],
    [
      'hedge',
      { hedge: { delay: '5ms' }, idempotent: true },
      [{ takes: 15 }, 'ok'],
      'would-hedge slow',
      (kind) => kind === 'unary',
    ],
    ['classify', { classify: { NOT_FOUND: 'failure' } }, [NOT_FOUND], '', always],
    ['outlier of one instance', { outlier: { interval: '100ms' } }, [UNAVAILABLE], '', always],
    [
      'fallback error',
      { fallback: [{ error: { status: 'DATA_LOSS' } }] },
      [UNAVAILABLE],
      'would-degrade error',
      always,
    ],
    [
      'fallback static',
      { fallback: [{ static: { text: 'static' } }] },
      [UNAVAILABLE],
      'would-degrade static',
      (kind) => kind === 'unary',
    ],
    [
      'fallback cache',
      { fallback: [{ cache: { maxAge: '1m' } }] },
      [UNAVAILABLE],
      'would-degrade cache',
      (kind) => kind === 'unary',
    ],
    [
      'fallback handler',
      { fallback: [{ handler: 'known' }] },
      [UNAVAILABLE],
      'would-degrade handler',
      (kind) => kind === 'unary',
    ],
    [
      'fallback target',
      { fallback: [{ target: { to: 'replica' } }] },
      [UNAVAILABLE],
      'would-degrade target',
      (kind) => kind === 'unary',
    ],
  ];
  for (const [name, spec, script, told, of] of ends)
    for (const kind of callKinds)
      it(`${name}, ${kind}: ${of(kind) && told !== '' ? told : 'nothing'}`, async () => {
        const takeBack = kit.mesh.fallback('known', () => ({ text: 'handler' }));
        const bare = await kit.callee({});
        kit.server.play(script);
        const without = await bare.call(kind);
        const callee = await shadow(spec);
        kit.server.play(script);
        expect(await callee.call(kind)).to.deep.equal(without);
        takeBack();
        expect(kit.server.attempts).to.have.length(1);
        expect(kit.decisions).to.deep.equal(of(kind) && told !== '' ? [told] : []);
      });

  for (const kind of callKinds) {
    it(`circuit, ${kind}: would have opened, and all calls go on`, async () => {
      const callee = await shadow({ circuit: { minimumCalls: 1, openFor: '60s' } });
      kit.server.play((attempt) => (attempt === 0 ? [UNAVAILABLE] : ['ok']));
      await callee.call(kind);
      expect((await callee.call(kind)).code).to.equal(OK);
      expect(kit.decisions).to.deep.equal(['would-reject circuit_open']);
    });

    it(`outlier, ${kind}: would have left the instance out that fails, which is called on`, async () => {
      const outlier = { interval: '100ms', minimumCalls: 1 };
      const callee = await kit.callee({ outlier }, { mode: 'shadow', instances: 2 });
      kit.server.play([UNAVAILABLE]);
      kit.second.play(['ok']);
      const text = new RegExp(`^${kit.server.address} for 30s: (\\d+) of \\1 calls failed$`);
      const twoCalls = async () => [(await callee.call(kind)).code, (await callee.call(kind)).code];
      await until(
        async () => {
          expect(await twoCalls()).to.have.members([OK, UNAVAILABLE]);
          return kit.decisions.length > 0;
        },
        { what: 'a word of it' },
      );
      expect(kit.decisions).to.deep.equal(['would-eject failure_rate']);
      expect(kit.texts.at(-1)).to.match(text);
      expect(await twoCalls()).to.have.members([OK, UNAVAILABLE]);
    });

    it(`classify with a circuit, ${kind}: it would have opened`, async () => {
      const callee = await shadow({ classify: { NOT_FOUND: 'failure' }, circuit: { minimumCalls: 1 } });
      kit.server.play([NOT_FOUND]);
      for (let i = 0; i < 2; i++) expect((await callee.call(kind)).code).to.equal(NOT_FOUND);
      expect(kit.decisions).to.deep.equal(['would-reject circuit_open']);
    });

    it(`bulkhead, ${kind}: ${wordsOf('a policy in shadow', kind)}`, async () => {
      const callee = await shadow({ bulkhead: { maxConcurrent: 1 } });
      for (const script of [
        ['message', 'gate', 'ok'],
        ['gate', 'ok'],
      ] as const) {
        kit.server.play(script);
        const has = script[0] === 'message' && responseStreams(kind);
        const calling = await callee.under(kind, { message: has });
        kit.decisions.length = 0;
        const second = await callee.under(kind, { message: has });
        kit.server.open();
        expect([(await calling.ended).code, (await second.ended).code]).to.deep.equal([OK, OK]);
        const over = script[0] === 'message' && untilMessage(kind);
        expect(kit.decisions).to.deep.equal(over ? [] : ['would-reject bulkhead_full']);
      }
    });

    it(`bulkhead auto, ${kind}: would have turned one away`, async () => {
      const callee = await shadow({ bulkhead: { maxConcurrent: 'auto' } });
      kit.server.play(['gate', 'ok']);
      const under = Array.from({ length: FIRST_LIMIT + 1 }, () => callee.ask(kind));
      await until(() => kit.server.attempts.length === FIRST_LIMIT + 1, { what: 'all calls' });
      kit.server.open();
      for (const { ended } of under) expect((await ended).code).to.equal(OK);
      expect(kit.decisions).to.deep.equal(['would-reject overloaded']);
    });

    it(`bulkhead shares, ${kind}: would have kept a slot for the critical`, async () => {
      const callee = await shadow({ bulkhead: { maxConcurrent: 2, shares: { critical: '50%' } } });
      kit.server.play((attempt) => (attempt === 1 ? ['ok'] : ['gate', 'ok']));
      const criticality = 'sheddable';
      const under = [await callee.under(kind, { criticality })];
      await callee.call(kind);
      under.push(await callee.under(kind, { criticality }));
      kit.server.open();
      for (const { ended } of under) expect((await ended).code).to.equal(OK);
      expect(kit.decisions).to.deep.equal(['would-reject bulkhead_full']);
    });

    it(`rateLimit, ${kind}: would have turned the second away`, async () => {
      const callee = await shadow({ rateLimit: { rate: 1, per: '1h' } });
      for (let i = 0; i < 2; i++) expect((await callee.call(kind)).code).to.equal(OK);
      expect(kit.decisions).to.deep.equal(['would-reject rate_limited']);
    });

    it(`admission, ${kind}: would have turned some away`, async () => {
      const callee = await shadow({ admission: { successRate: '100%', maxRejection: '100%' } });
      kit.server.play([UNAVAILABLE]);
      let calls = 0;
      do await callee.call(kind);
      while (kit.decisions.length === 0 && ++calls < 100);
      expect(kit.decisions).to.deep.equal(['would-reject overloaded']);
      expect(kit.server.attempts).to.have.length(calls + 1);
    });
  }
});
