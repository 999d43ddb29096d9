/**
 * Each section with each kind of call over real sockets, held together with the table of docs/policies.md: for each cell the words
 * stand here beside what they mean, and a call shows whether it does that. Words that aren't known here are a failure.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { capabilities } from '../../core/policy/capabilities.js';
import { explain, PolicyIndex } from '../../core/policy/index.js';
import { type CallKind, callKinds, methodNames, responseStreams } from '../support/kinds.js';
import { type Callee, KindsMesh } from '../support/kinds-mesh.js';
import { elsewhere, meaningOf, tableRows, wordsOf } from '../support/kinds-table.js';
import { until } from '../support/until.js';
import { revisions } from '../unit/policy/helpers.js';

const { OK, UNAVAILABLE, NOT_FOUND, DEADLINE_EXCEEDED, CANCELLED, DATA_LOSS } = status;
const retry = { attempts: 3, backoff: { base: '1ms', max: '1ms' } };
const touchy = { minimumCalls: 1, openFor: '60s' };

describe('each kind of call does what the table of docs/policies.md says', () => {
  let kit: KindsMesh;

  before(async () => {
    kit = await KindsMesh.start();
  });
  afterEach(() => kit.endAll());
  after(() => kit.stop());

  const observers: { readonly [row: string]: (kind: CallKind) => Promise<string> } = {
    timeout: (kind) => endedBy({ timeout: '40ms', streamTimeout: '90ms' }, kind),
    attemptTimeout: (kind) => endedBy({ attemptTimeout: '40ms', streamTimeout: '90ms' }, kind),

    async streamTimeout(kind) {
      const callee = await kit.callee({ streamTimeout: '40ms' });
      kit.server.play(['message', { takes: 90 }, 'ok']);
      const { code, details } = await callee.call(kind);
      if (code === OK) return 'nothing';
      return code === DEADLINE_EXCEEDED && details.includes('within 40 ms') ? 'ends the whole' : details;
    },

    async 'circuit: when it counts'(kind) {
      return counted(await kit.callee({ circuit: touchy }), kind, UNAVAILABLE);
    },

    async 'circuit: what is slow'(kind) {
      const callee = await kit.callee({ circuit: { ...touchy, slowCall: '25ms' } });
      kit.server.play(['message', { takes: 50 }, 'ok']);
      await callee.call(kind);
      return callee.circuit === 'open' ? 'slow' : 'not slow';
    },

    async 'a half-open probe'(kind) {
      const circuit = { minimumCalls: 1, openFor: '1ms', halfOpen: { calls: 1 } };
      const callee = await kit.callee({ circuit });
      kit.server.play([UNAVAILABLE]);
      await callee.call(kind);
      await until(() => callee.circuit === 'half-open', { what: 'the end of the open period' });
      kit.server.play(['message', 'gate', 'ok']);
      const probe = await callee.under(kind, { message: responseStreams(kind) });
      const amid = callee.circuit;
      if (amid === 'half-open') expect((await callee.call(kind)).rejected).to.equal('circuit_open');
      kit.server.open();
      expect((await probe.ended).code).to.equal(OK);
      return `${amid}, then ${callee.circuit}`;
    },

    async bulkhead(kind) {
      const callee = await kit.callee({ bulkhead: { maxConcurrent: 1 } });
      kit.server.play(['message', 'gate', 'ok']);
      const first = await callee.under(kind, { message: responseStreams(kind) });
      const during = await callee.call(kind);
      kit.server.open();
      await first.ended;
      const after = await callee.call(kind);
      return during.rejected === 'bulkhead_full' && after.code === OK ? 'held to the status' : 'free';
    },

    async 'the caller cancels'(kind) {
      const callee = await kit.callee({ circuit: touchy, bulkhead: { maxConcurrent: 1 } });
      kit.server.play(['gate']);
      const calling = await callee.under(kind);
      calling.cancel();
      expect((await calling.ended).code).to.equal(CANCELLED);
      const neutral = callee.circuit === 'closed' ? 'neutral' : 'counted';
      kit.server.play(['ok']);
      return `${neutral}, ${(await callee.call(kind)).code === OK ? 'free' : 'held'}`;
    },

    async 'over its time'(kind) {
      const callee = await kit.callee({ circuit: touchy, timeout: '40ms', streamTimeout: '60ms' });
      return counted(callee, kind, 'gate', DEADLINE_EXCEEDED);
    },

    async 'rateLimit, admission'(kind) {
      const rateLimit = { rate: 1, per: '1h', burst: 3 };
      const callee = await kit.callee({ rateLimit, retry, idempotent: true });
      kit.server.play((attempt) => (attempt === 0 ? [UNAVAILABLE] : ['message', 'message', 'ok']));
      let last = await callee.call(kind);
      for (let i = 0; i < 5 && last.rejected === undefined; i++) last = await callee.call(kind);
      expect([last.rejected, kit.server.attempts.length]).to.deep.equal(['rate_limited', 3]);
      const held = await kit.callee({ admission: { successRate: '100%', maxRejection: '100%' } });
      kit.server.play([UNAVAILABLE]);
      let calls = 0;
      do last = await held.call(kind);
      while (last.rejected === undefined && ++calls < 100);
      expect([last.rejected, kit.server.attempts.length]).to.deep.equal(['overloaded', calls]);
      return calls < 100 ? 'one for each attempt' : 'not admitted by successes';
    },

    async retry(kind) {
      const callee = await kit.callee({ retry, idempotent: true });
      kit.server.play([UNAVAILABLE]);
      await callee.call(kind);
      const bare = kit.server.attempts.length;
      kit.server.play(['headers', UNAVAILABLE]);
      await callee.call(kind);
      return `${bare}, ${kit.server.attempts.length} after headers`;
    },

    async hedge(kind) {
      const callee = await kit.callee({ hedge: { delay: '5ms' }, idempotent: true });
      kit.server.play((attempt) => (attempt === 0 ? [{ takes: 60 }, 'ok'] : ['ok']));
      expect((await callee.call(kind)).code).to.equal(OK);
      const count = kit.server.attempts.length;
      return count === 1 ? '1 attempt' : `${count} attempts`;
    },

    async classify(kind) {
      return counted(
        await kit.callee({ circuit: touchy, classify: { NOT_FOUND: 'failure' } }),
        kind,
        NOT_FOUND,
      );
    },

    async fallback(kind) {
      const answered: string[] = [];
      const takeBack = kit.mesh.fallback('known', () => ({ text: 'handler' }));
      kit.replica.play(['ok']);
      for (const [name, entry] of Object.entries(chains)) {
        const callee = await kit.callee({ fallback: [entry] });
        if (name === 'cache') await callee.call(kind);
        kit.server.play([UNAVAILABLE]);
        const { code, degraded } = await callee.call(kind);
        const expected = name === 'error' ? DATA_LOSS : OK;
        if (degraded === `${name}; UNAVAILABLE` && code === expected) answered.push(name);
        else expect([degraded, code]).to.deep.equal([undefined, UNAVAILABLE]);
      }
      takeBack();
      const callee = await kit.callee({ fallback: [chains.error] });
      kit.server.play(['headers', UNAVAILABLE]);
      const { code } = await callee.call(kind);
      return `${answered.join(' ')}${responseStreams(kind) && code === UNAVAILABLE ? ', none after headers' : ''}`;
    },

    async criticality(kind) {
      const callee = await kit.callee({ timeout: '30s' });
      await callee.call(kind, { criticality: 'sheddable' });
      return kit.server.criticalities.join();
    },

    async 'turned away'(kind) {
      const callee = await kit.callee({ circuit: touchy });
      kit.server.play([UNAVAILABLE]);
      await callee.call(kind);
      const { code, rejected } = await callee.call(kind);
      const told = code === UNAVAILABLE && rejected === 'circuit_open' ? 'told' : 'not told';
      return `${told}, ${kit.server.attempts.length === 1 ? 'not sent' : 'sent'}`;
    },

    async 'match.method'(kind) {
      const callee = await kit.callee(
        { fallback: [chains.error] },
        { method: `test.Kinds/${methodNames[kind]}` },
      );
      kit.server.play([UNAVAILABLE]);
      const concerned: CallKind[] = [];
      for (const each of callKinds) if ((await callee.call(each)).code === DATA_LOSS) concerned.push(each);
      return concerned.join() === kind ? 'this method alone' : concerned.join();
    },
  };

  /** The entries of a fallback, each alone. */
  const chains = {
    error: { error: { status: 'DATA_LOSS' } },
    static: { static: { text: 'static' } },
    cache: { cache: { maxAge: '60s' } },
    handler: { handler: 'known' },
    target: { target: { to: 'replica' } },
  };

  /** A callee that says no end: which limit ends it, the one of 40 ms or that of the whole stream? */
  async function endedBy(spec: object, kind: CallKind): Promise<string> {
    const callee = await kit.callee(spec);
    kit.server.play(['gate']);
    const silent = await callee.call(kind);
    expect([silent.code, silent.details]).to.satisfy(
      ([code, details]: [number, string]) => code === DEADLINE_EXCEEDED && details.includes('within 40 ms'),
    );
    kit.server.play(['headers', 'message', 'gate']);
    const { details } = await callee.call(kind);
    if (details.includes('within 40 ms')) return 'ends the whole';
    return details.includes('within 90 ms') ? 'ends what has no message' : details;
  }

  /** Two calls that end so, the first after a message if it can have one: what the circuit made of them. */
  async function counted(callee: Callee, kind: CallKind, end: status | 'gate', code = end): Promise<string> {
    kit.server.play(['message', end]);
    expect((await callee.call(kind)).code).to.equal(code);
    if (callee.circuit === 'open') return 'failed';
    kit.server.play([end]);
    expect((await callee.call(kind)).code).to.equal(code);
    return `succeeded, ${callee.circuit === 'open' ? 'failed' : 'succeeded'} without a message`;
  }

  for (const [row, observe] of Object.entries(observers))
    for (const kind of callKinds)
      it(`${row}, ${kind}: ${wordsOf(row, kind)}`, async () => {
        expect(await observe(kind)).to.equal(meaningOf(row, kind));
      });

  it('of every row', () => {
    expect([...Object.keys(observers), ...elsewhere].sort()).to.deep.equal([...tableRows()].sort());
  });

  const specs: { readonly [row: string]: object } = {
    timeout: { timeout: '1s' },
    attemptTimeout: { attemptTimeout: '1s' },
    streamTimeout: { streamTimeout: '1s' },
    'circuit: when it counts': { circuit: {} },
    bulkhead: { bulkhead: { maxConcurrent: 5 } },
    'rateLimit, admission': { rateLimit: { rate: 5 }, admission: {} },
    retry: { retry, idempotent: true },
    hedge: { hedge: {}, idempotent: true },
    classify: { classify: { NOT_FOUND: 'failure' } },
    fallback: { fallback: [chains.cache, chains.handler, chains.static] },
  };
  const nothing = new Set([
    'nothing',
    '1, 1 after headers',
    '1 attempt',
    'error',
    'error, none after headers',
  ]);
  for (const [row, spec] of Object.entries(specs))
    it(`explain notes of ${row} whether some kind of call is left out`, () => {
      const index = new PolicyIndex(revisions({ policy: 'p', match: { to: 'inventory' }, spec }));
      const { notes } = explain(index, { to: 'inventory' }, [{ capabilities }]);
      const partial = callKinds.some((kind) => nothing.has(meaningOf(row, kind)));
      expect(notes.some((note) => note.kind === 'partial')).to.equal(partial);
    });
});
