/**
 * What the table of docs/policies.md has no row for: lines, adaptive limits, shares and outliers, with each kind of call over real
 * sockets.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { callKinds, requestStreams, responseStreams } from '../support/kinds.js';
import { KindsMesh } from '../support/kinds-mesh.js';
import { until } from '../support/until.js';

const { OK, UNAVAILABLE, DEADLINE_EXCEEDED } = status;

/** The limit that `auto` begins with. */
const FIRST_LIMIT = 20;

describe('each kind of call under limits', () => {
  let kit: KindsMesh;

  before(async () => {
    kit = await KindsMesh.start();
  });
  afterEach(() => kit.endAll());
  after(() => kit.stop());

  for (const kind of callKinds) {
    const message = responseStreams(kind);

    it(`${kind}: waits in line with what its client wrote, sent in order once it is admitted`, async () => {
      const callee = await kit.callee({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
      kit.server.play(['message', 'gate', 'ok']);
      const first = await callee.under(kind, { message });
      const texts = ['one', 'two', 'three'];
      const second = callee.ask(kind, requestStreams(kind) ? { texts } : {});
      await callee.inLine(1);
      expect((await callee.call(kind)).rejected).to.equal('bulkhead_full');
      expect(kit.server.attempts).to.have.length(1);
      kit.server.open();
      expect([(await first.ended).code, (await second.ended).code]).to.deep.equal([OK, OK]);
      expect(kit.server.attempts[1]).to.deep.equal(requestStreams(kind) ? texts : ['a']);
    });

    it(`${kind}: its time runs in line, too`, async () => {
      const bulkhead = { maxConcurrent: 1, maxQueue: 1 };
      const callee = await kit.callee({ bulkhead });
      kit.server.play(['gate', 'ok']);
      const first = await callee.under(kind);
      await callee.apply({ bulkhead, timeout: '20ms' });
      const { code, rejected } = await callee.call(kind);
      expect([code, rejected]).to.deep.equal([DEADLINE_EXCEEDED, 'deadline_exceeded']);
      expect(kit.server.attempts).to.have.length(1);
      kit.server.open();
      expect((await first.ended).code).to.equal(OK);
    });

    it(`${kind}: under auto, as many as the limit allows and no more`, async () => {
      const callee = await kit.callee({ bulkhead: { maxConcurrent: 'auto' } });
      // A first message, where it comes early, is what the limit grows by.
      kit.server.play(['gate', 'message', 'ok']);
      const under = Array.from({ length: FIRST_LIMIT }, () => callee.ask(kind));
      await until(() => kit.server.attempts.length === FIRST_LIMIT, { what: 'so many calls' });
      expect((await callee.call(kind)).rejected).to.equal('overloaded');
      kit.server.open();
      for (const { ended } of under) expect((await ended).code).to.equal(OK);
      expect((await callee.call(kind)).code).to.equal(OK);
    });

    it(`${kind}: leaves to the critical what is theirs`, async () => {
      const callee = await kit.callee({ bulkhead: { maxConcurrent: 2, shares: { critical: '50%' } } });
      kit.server.play((attempt) => (attempt === 0 ? ['message', 'gate', 'ok'] : ['ok']));
      const held = await callee.under(kind, { criticality: 'sheddable', message });
      expect((await callee.call(kind)).code).to.equal(OK);
      expect((await callee.call(kind, { criticality: 'sheddable' })).rejected).to.equal('bulkhead_full');
      expect((await callee.call(kind, { criticality: 'critical' })).code).to.equal(OK);
      kit.server.open();
      expect((await held.ended).code).to.equal(OK);
    });

    it(`${kind}: an instance that fails is left out`, async () => {
      const outlier = { interval: '100ms', minimumCalls: 2, ejectFor: '1m' };
      const callee = await kit.callee({ outlier }, { instances: 2 });
      kit.second.play(['headers', UNAVAILABLE]);
      let well = 0;
      await until(
        async () => {
          well = (await callee.call(kind)).code === OK ? well + 1 : 0;
          return well === 6;
        },
        { what: 'six good answers in a row' },
      );
      expect(kit.second.attempts).to.not.have.length(0);
    });
  }
});
