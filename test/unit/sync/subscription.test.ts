/** When an agent may be told more, and what its answers mean. */
import { expect } from 'chai';
import { ackTimeoutMs, pushIntervalMs, Subscription } from '../../../core/sync/subscription.js';

/** Told of everything up to position 1 at time 0, and confirmed. */
function settled(): Subscription {
  const subscription = new Subscription();
  subscription.pushed({ nonce: 10, revision: 10, position: 1 }, 0);
  subscription.ack(10, [], 1);
  return subscription;
}
const refusal = (name: string, revision: number) => ({ name, revision, reason: 'no' });

describe('subscription', () => {
  it('pushes first of all, whatever the log says', () => {
    expect(new Subscription().next(0, 0)).to.deep.equal({ kind: 'push', from: undefined });
  });

  it('is idle while nothing is newer', () => {
    expect(settled().next(1, 1000)).to.deep.equal({ kind: 'idle' });
  });

  it('pushes the first change at once, also right behind the first state', () => {
    expect(settled().next(2, 1)).to.deep.equal({ kind: 'push', from: 1 });
  });

  it('has one push in flight: what comes meanwhile waits for the acknowledgement', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    expect(subscription.next(3, 5000)).to.deep.equal({ kind: 'idle' });
    subscription.ack(11, [], 5000);
    expect(subscription.next(3, 5000)).to.deep.equal({ kind: 'push', from: 2 });
  });

  it('lets what follows a change wait until the interval is over', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    subscription.ack(11, [], 1001);
    expect(subscription.next(3, 1002)).to.deep.equal({ kind: 'wait', untilMs: 1000 + pushIntervalMs });
    expect(subscription.next(3, 1000 + pushIntervalMs)).to.deep.equal({ kind: 'push', from: 2 });
  });

  it('ignores an acknowledgement of what is not in flight', () => {
    const subscription = settled();
    expect(subscription.ack(10, [], 2)).to.deep.equal({ kind: 'unknown' });
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    expect(subscription.ack(99, [], 1001)).to.deep.equal({ kind: 'unknown' });
    expect(subscription.acked).to.equal(10);
  });

  it('a refusal confirms the push but not its application', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    const outcome = subscription.ack(11, [refusal('a', 11)], 1007);
    expect(outcome).to.deep.equal({ kind: 'known', delayMs: 7, refusedNow: [refusal('a', 11)] });
    expect([subscription.sent, subscription.acked, subscription.applied]).to.deep.equal([11, 11, 10]);
  });

  it('a refusal is new once, and gone when it is not repeated', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    subscription.ack(11, [refusal('a', 11)], 1001);
    subscription.pushed({ nonce: 12, revision: 12, position: 3 }, 2000);
    expect(subscription.ack(12, [refusal('a', 11)], 2001)).to.deep.include({ refusedNow: [] });
    subscription.pushed({ nonce: 13, revision: 13, position: 4 }, 3000);
    subscription.ack(13, [], 3001);
    expect(subscription.refused.size).to.equal(0);
    expect(subscription.applied).to.equal(13);
  });

  it('remembers a bounded number of refusals', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    subscription.ack(
      11,
      Array.from({ length: 5000 }, (_, i) => refusal(`p${i}`, 11)),
      1001,
    );
    expect(subscription.refused.size).to.equal(1000);
  });

  it('is overdue once a push has waited for thirty seconds', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    expect(subscription.overdue(1000 + ackTimeoutMs - 1)).to.equal(false);
    expect(subscription.overdue(1000 + ackTimeoutMs)).to.equal(true);
    expect(settled().overdue(1e9)).to.equal(false);
  });

  it('counts anew in another dataset, and a late answer of the old one says nothing', () => {
    const subscription = settled();
    subscription.pushed({ nonce: 11, revision: 11, position: 2 }, 1000);
    subscription.forgetRevisions();
    subscription.ack(11, [], 1001);
    expect([subscription.sent, subscription.acked, subscription.applied]).to.deep.equal([0, 0, 0]);
  });
});
