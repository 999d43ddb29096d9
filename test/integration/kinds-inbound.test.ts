/**
 * The policies of `self` with each kind of call over real sockets, into a server with `mesh.serverInterceptor()` from clients that
 * know nothing of the mesh: what is enforced there is enforced for every kind, what docs/policies.md names as doing nothing does
 * nothing, and a policy in shadow or off touches no call.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { SELF } from '../../agent/callee-name.js';
import { capabilities } from '../../core/policy/capabilities.js';
import { explain, PolicyIndex } from '../../core/policy/index.js';
import { sectionNames } from '../../core/policy/model.js';
import { idleInbound } from '../../core/policy/notes.js';
import {
  type Asking,
  type Calling,
  type CallKind,
  callKinds,
  methodNames,
  requestStreams,
  responseStreams,
} from '../support/kinds.js';
import { type Callee, KindsMesh } from '../support/kinds-mesh.js';
import { inboundSections } from '../support/kinds-table.js';
import { until } from '../support/until.js';
import { policyOf } from '../unit/policy/helpers.js';

const { OK, UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, CANCELLED } = status;

/** The limit that `auto` begins with. */
const FIRST_LIMIT = 20;

describe('each kind of call into the service itself', () => {
  let kit: KindsMesh;

  before(async () => {
    kit = await KindsMesh.start({ inbound: true });
  });
  afterEach(() => kit.endAll());
  after(() => kit.stop());

  /** Handlers that ran since the last script. */
  const reached = () => kit.server.attempts.length;

  /** Of the service, since the mesh began. */
  const counts = () => kit.mesh.stats()[SELF]?.calls ?? { ok: 0, failed: 0 };

  /** Calls that have all reached their handlers, and answered a first message if they stream. */
  async function underWay(service: Callee, kind: CallKind, askings: readonly Asking[]): Promise<Calling[]> {
    kit.server.play(['message', 'gate', 'ok']);
    const calls: Calling[] = [];
    for (const asking of askings)
      calls.push(await service.under(kind, { ...asking, message: responseStreams(kind) }));
    return calls;
  }

  async function letGo(calls: readonly Calling[]): Promise<void> {
    kit.server.open();
    for (const { ended } of calls) expect((await ended).code).to.equal(OK);
  }

  /** Calls of which the last is one too many under this spec, and what that one is told. */
  const limits: readonly (readonly [name: string, spec: object, calls: readonly Asking[], code: string])[] = [
    ['bulkhead', { bulkhead: { maxConcurrent: 1 } }, [{}, {}], 'bulkhead_full'],
    [
      'bulkhead auto',
      { bulkhead: { maxConcurrent: 'auto' } },
      Array.from({ length: FIRST_LIMIT + 1 }, () => ({})),
      'overloaded',
    ],
    [
      // There would be a third place, but it is kept for another critical one.
      'bulkhead shares',
      { bulkhead: { maxConcurrent: 3, shares: { critical: '67%' } } },
      [{ criticality: 'sheddable' }, { criticality: 'critical' }, { criticality: 'sheddable' }],
      'bulkhead_full',
    ],
    ['rateLimit', { rateLimit: { rate: 1, per: '1h' } }, [{}, {}], 'rate_limited'],
  ];

  for (const [name, spec, askings, code] of limits)
    for (const kind of callKinds) {
      it(`${name}, ${kind}: turned away before its handler, and the others go on`, async () => {
        const service = await kit.inbound(spec);
        const calls = await underWay(service, kind, askings.slice(0, -1));
        const refused = await service.call(kind, askings.at(-1));
        expect([refused.code, refused.rejected]).to.deep.equal([RESOURCE_EXHAUSTED, code]);
        expect(refused.details).to.match(new RegExp(`^\\[${code}\\] self: .* \\(policy ${service.policy}@`));
        expect([reached(), kit.decisions]).to.deep.equal([calls.length, [`reject ${code}`]]);
        await letGo(calls);
        const after = await service.call(kind, askings.at(-1));
        expect(after.rejected).to.equal(name === 'rateLimit' ? code : undefined);
      });

      it(`${name} in shadow, ${kind}: would-reject ${code}, and all go on`, async () => {
        const service = await kit.inbound(spec, { mode: 'shadow' });
        const calls = await underWay(service, kind, askings);
        expect(kit.decisions).to.deep.equal([`would-reject ${code}`]);
        await letGo(calls);
        expect([reached(), kit.decisions]).to.deep.equal([askings.length, [`would-reject ${code}`]]);
      });

      it(`${name} off, ${kind}: as if it were not there`, async () => {
        const service = await kit.inbound(spec, { mode: 'off' });
        await letGo(await underWay(service, kind, askings));
        expect([reached(), kit.decisions]).to.deep.equal([askings.length, []]);
      });
    }

  for (const kind of callKinds) {
    it(`${kind}: waits in line with what its client wrote, read in order once it is admitted`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
      const first = await underWay(service, kind, [{}]);
      const texts = requestStreams(kind) ? ['one', 'two', 'three'] : ['one'];
      const second = service.ask(kind, { texts });
      await service.inLine(1);
      expect((await service.call(kind)).rejected).to.equal('bulkhead_full');
      expect(reached()).to.equal(1);
      await letGo([...first, second]);
      expect([reached(), kit.server.attempts[1]]).to.deep.equal([2, texts]);
    });

    it(`${kind}: in a line that is full, gives up its place to a more critical one`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
      const first = await underWay(service, kind, [{}]);
      const sheddable = service.ask(kind, { criticality: 'sheddable' });
      await service.inLine(1);
      const critical = service.ask(kind, { criticality: 'critical', texts: ['critical'] });
      const { code, rejected, details } = await sheddable.ended;
      expect([code, rejected]).to.deep.equal([RESOURCE_EXHAUSTED, 'overloaded']);
      expect(details).to.include('gave up its place in line');
      await letGo([...first, critical]);
      expect([reached(), kit.server.attempts[1]]).to.deep.equal([2, ['critical']]);
    });

    it(`${kind}: is told when its time in line is over`, async () => {
      const bulkhead = { maxConcurrent: 1, maxQueue: 1, queueTimeout: '1ms' };
      const service = await kit.inbound({ bulkhead });
      const first = await underWay(service, kind, [{}]);
      const { code, rejected } = await service.call(kind);
      expect([code, rejected]).to.deep.equal([RESOURCE_EXHAUSTED, 'bulkhead_timeout']);
      await letGo(first);
      expect(reached()).to.equal(1);
    });

    it(`${kind}: never reaches its handler when its deadline is over on arrival`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 1 } });
      // What a proxy sends on when nothing is left; a client of grpc-js would send no such call.
      const { code, rejected, details } = await service.call(kind, { headers: { 'grpc-timeout': '0m' } });
      expect([code, rejected]).to.deep.equal([DEADLINE_EXCEEDED, 'deadline_exceeded']);
      expect(details).to.equal('[deadline_exceeded] self: the deadline was over before the call began');
      expect([reached(), service.bulkhead?.inUse]).to.deep.equal([0, 0]);
    });

    it(`${kind}: never reaches its handler when its deadline passes in line`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
      const first = await underWay(service, kind, [{}]);
      const late = service.ask(kind, { deadlineMs: 100 });
      await service.inLine(1);
      expect((await late.ended).code).to.equal(DEADLINE_EXCEEDED);
      await service.inLine(0);
      await letGo(first);
      expect((await service.call(kind, { texts: ['next'] })).code).to.equal(OK);
      expect(kit.server.attempts.map(([text]) => text)).to.deep.equal(['a', 'next']);
    });

    it(`${kind}: that its caller gives up leaves its place, under way and in line`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
      const before = counts();
      const [first] = await underWay(service, kind, [{}]);
      const second = service.ask(kind);
      await service.inLine(1);
      second.cancel();
      expect((await second.ended).code).to.equal(CANCELLED);
      await service.inLine(0);
      first?.cancel();
      await until(() => service.bulkhead?.inUse === 0, { what: 'its place' });
      kit.server.play(['ok']);
      expect((await service.call(kind)).code).to.equal(OK);
      const { ok, failed } = counts();
      expect([reached(), ok, failed, kit.decisions]).to.deep.equal([1, before.ok + 1, before.failed, []]);
    });

    it(`${kind}: under auto, one whose deadline is over lowers the limit`, async () => {
      const service = await kit.inbound({ bulkhead: { maxConcurrent: 'auto' } });
      kit.server.play(['message', 'gate']);
      expect((await service.call(kind, { deadlineMs: 1 })).code).to.equal(DEADLINE_EXCEEDED);
      // One that was long on its way here is taken for a cancel, and says nothing.
      const lower = async () => {
        await service.call(kind, { deadlineMs: 50 });
        return (service.bulkhead?.limit ?? FIRST_LIMIT) < FIRST_LIMIT;
      };
      await until(lower, { what: 'a lower limit' });
      await until(() => service.bulkhead?.inUse === 0, { what: 'the end of the last' });
    });

    it(`${kind}: takes one of the rate, however many messages it has; none if it finds no place`, async () => {
      const rateLimit = { rate: 1, per: '1h', burst: 3 };
      const service = await kit.inbound({ rateLimit, bulkhead: { maxConcurrent: 1 } });
      const first = await underWay(service, kind, [requestStreams(kind) ? { texts: ['a', 'b', 'c'] } : {}]);
      for (let i = 0; i < 5; i++) expect((await service.call(kind)).rejected).to.equal('bulkhead_full');
      await letGo(first);
      kit.server.play(['message', 'message', 'ok']);
      for (let i = 0; i < 2; i++) expect((await service.call(kind)).code).to.equal(OK);
      expect((await service.call(kind)).rejected).to.equal('rate_limited');
      expect(reached()).to.equal(2);
    });

    it(`${kind}: alone is meant by a policy for its method`, async () => {
      const method = `test.Kinds/${methodNames[kind]}`;
      const service = await kit.inbound({ rateLimit: { rate: 1, per: '1h' } }, { method });
      const refused: CallKind[] = [];
      for (const each of [...callKinds, ...callKinds])
        if ((await service.call(each)).rejected === 'rate_limited') refused.push(each);
      expect(refused).to.deep.equal([kind]);
    });

    for (const mode of [undefined, 'shadow'] as const)
      it(`${kind}: sections about calling do nothing to it${mode ? `, in ${mode} either` : ''}`, async () => {
        const service = await kit.inbound(calling, mode ? { mode } : {});
        kit.server.play((attempt) => [...(attempt === 0 ? [{ takes: 30 }] : []), UNAVAILABLE]);
        for (let i = 0; i < 10; i++)
          expect(await service.call(kind)).to.deep.equal({
            code: UNAVAILABLE,
            details: 'as scripted',
            rejected: undefined,
            degraded: undefined,
            texts: [],
          });
        expect([reached(), kit.decisions, service.circuit]).to.deep.equal([10, [], 'disabled']);
        // An error of the handler says nothing of the service itself; a deadline that is over would.
        kit.server.play(['gate']);
        const { failed } = counts();
        const over = async () => {
          expect((await service.call(kind, { deadlineMs: 50 })).code).to.equal(DEADLINE_EXCEEDED);
          return counts().failed >= failed + 5;
        };
        await until(over, { what: 'five deadlines that are over under way' });
        kit.server.play(['ok']);
        for (let i = 0; i < 10; i++) expect((await service.call(kind)).code).to.equal(OK);
        // One that was long on its way here is turned away for that.
        expect(kit.decisions.filter((word) => word !== 'reject deadline_exceeded')).to.deep.equal([]);
      });
  }

  it('has a place and a rate of its own where the policy says so', async () => {
    const bulkhead = { maxConcurrent: 1, per: 'method' };
    const rateLimit = { rate: 1, per: '1h', burst: 2, by: 'method' };
    const service = await kit.inbound({ bulkhead, rateLimit });
    kit.server.play(['gate', 'ok']);
    const calls: Calling[] = [];
    for (const kind of callKinds) calls.push(await service.under(kind));
    for (const kind of callKinds) expect((await service.call(kind)).rejected).to.equal('bulkhead_full');
    await letGo(calls);
    for (const kind of callKinds) expect((await service.call(kind)).code).to.equal(OK);
    for (const kind of callKinds) expect((await service.call(kind)).rejected).to.equal('rate_limited');
  });

  /** Every section that is about calling, each so that it would show at once. */
  const calling = {
    timeout: '10ms',
    attemptTimeout: '5ms',
    streamTimeout: '10ms',
    idempotent: true,
    retry: { attempts: 3, backoff: { base: '1ms', max: '1ms' } },
    hedge: { delay: '1ms' },
    circuit: { minimumCalls: 1, openFor: '60s' },
    admission: { successRate: '100%', maxRejection: '100%' },
    outlier: { interval: '100ms', minimumCalls: 1, minimumHosts: 1 },
    classify: { UNAVAILABLE: 'failure' },
    fallback: [{ error: { status: 'DATA_LOSS' } }],
  };

  it('names every section of a policy as enforced or as doing nothing', () => {
    const spec = { ...calling, bulkhead: { maxConcurrent: 1 }, rateLimit: { rate: 1 } };
    expect(Object.keys(spec)).to.have.members([...sectionNames]);
    const policy = policyOf({ policy: 'in', match: { to: SELF }, spec });
    const idle = sectionNames.filter((name) => !inboundSections().includes(name));
    expect(idle).to.have.members(Object.keys(calling));
    expect(idleInbound(policy)).to.deep.equal(idle);
    const { notes } = explain(new PolicyIndex([{ policy, revision: 1 }]), { to: SELF }, [{ capabilities }]);
    expect(notes.map(({ kind, message }) => `${kind}: ${message}`)).to.deep.equal([
      `idle: ${idle.join(', ')} of in@1 do nothing for calls into the service itself: only bulkhead and rateLimit are enforced there`,
    ]);
  });
});
