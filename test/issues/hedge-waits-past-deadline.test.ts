/**
 * A hedged call whose only attempt failed with a wait (`grpc-retry-pushback-ms`) longer than what remained of its time waited all
 * the same, with nothing under way: its caller was told long after its deadline. Now it fails at once, as it failed.
 */
import { expect } from 'chai';
import { guard } from '../../agent/guard.js';
import { serviceError, told } from '../support/guarded.js';
import { intercepted } from '../support/intercepted.js';
import { course } from '../support/scripted-wire.js';
import { effectiveOf } from '../support/specs.js';
import { bench, rejectionOf, settled } from '../support/targets.js';

const hedged = effectiveOf({
  hedge: { delay: { kind: 'fixed', ms: 500 }, extra: 3 },
  idempotent: true,
  timeout: 1_000,
});
const pushback = ['1000'];

describe('a hedged call that is asked to wait longer than it can', () => {
  it('fails at once through the interceptor', async () => {
    const made = intercepted(hedged);
    const { at, told, toldAt } = await course(made, [{ status: 'UNAVAILABLE', pushback }]);
    expect([at, told, toldAt]).to.deep.equal([[0], ['UNAVAILABLE'], [0]]);
    expect(made.target().tally.book.entries.map(({ code }) => code)).to.deep.equal(['deadline']);
    made.expectNothingLeft();
  });

  it('fails at once through guard', async () => {
    const decisions = told();
    const { targets, clock } = bench(hedged, { decisions });
    const error = serviceError(14, { 'grpc-retry-pushback-ms': pushback });
    const end = rejectionOf(guard(targets, 'db', () => Promise.reject(error)));
    let known: unknown;
    void end.then((reason) => {
      known = reason;
    });
    await settled();
    expect(known).to.equal(error);
    expect(decisions.words).to.deep.equal(['give-up deadline']);
    expect([targets.permitsOut, targets.deadlines.size]).to.deep.equal([0, 0]);
    targets.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('waits where another attempt is still under way, which may answer', async () => {
    const made = intercepted(hedged);
    const slow = { status: 'OK', afterMs: 900 } as const;
    const { at, told, toldAt } = await course(made, [slow, { status: 'UNAVAILABLE', pushback }]);
    expect([at, told, toldAt]).to.deep.equal([[0, 500], ['OK'], [900]]);
    made.expectNothingLeft();
  });
});
