/**
 * Traps 6 to 9 of the reference: what time does, and doesn't do, to a circuit.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, work } from '../../support/targets.js';

const fails = () => Promise.reject(new Error('broken'));
const HOUR_MS = 3_600_000;

describe('trap 6: bucket rollover after idle', () => {
  it('trap 6: after an hour idle, old failures count no more', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit: circuitSpec({ minimumCalls: 5 }) }));
    for (let i = 0; i < 4; i++) await rejectionOf(guard(targets, 'db', fails));
    clock.advance(HOUR_MS);
    await rejectionOf(guard(targets, 'db', fails));
    expect(targets.circuit('db').state).to.equal('closed');
    for (let i = 0; i < 4; i++) await rejectionOf(guard(targets, 'db', fails));
    expect(targets.circuit('db').state).to.equal('open');
  });
});

describe('trap 7: rejected calls in the denominator', () => {
  it('trap 7: 1,000 rejections while open don’t dilute the failure rate afterwards', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit: circuitSpec() }));
    for (let i = 0; i < 20; i++) await rejectionOf(guard(targets, 'db', fails));
    for (let i = 0; i < 1_000; i++) await rejectionOf(guard(targets, 'db', fails));
    clock.advance(5_000);
    for (let i = 0; i < 3; i++) await guard(targets, 'db', async () => i);
    expect(targets.circuit('db').state).to.equal('closed');
    for (let i = 0; i < 19; i++) await rejectionOf(guard(targets, 'db', fails));
    expect(targets.circuit('db').state).to.equal('closed');
    await rejectionOf(guard(targets, 'db', fails));
    expect(targets.circuit('db').state).to.equal('open');
  });
});

describe('trap 8: the wrong time after a restart', () => {
  const circuit = circuitSpec({ minimumCalls: 1 });
  const saved = { 'db|inventory-default': { remainingMs: 4_000, openings: 1 } };
  const retryAfter = async (elapsedMs: number) => {
    const { targets } = bench(effectiveOf({ circuit }), { start: 123_456 });
    targets.restore(saved, elapsedMs);
    const result = await guard(targets, 'db', async () => 'through').catch((error) => error.retryAfterMs);
    return result;
  };

  it('trap 8: a restored open circuit keeps its remaining time, not a fresh one', async () => {
    expect(await retryAfter(0)).to.equal(4_000);
    expect(await retryAfter(1_500)).to.equal(2_500);
  });

  it('trap 8: clamped to nothing below, and to what was saved above, whatever the wall clock did meanwhile', async () => {
    expect(await retryAfter(4_000)).to.equal('through');
    expect(await retryAfter(24 * HOUR_MS)).to.equal('through');
    expect(await retryAfter(-24 * HOUR_MS)).to.equal(4_000);
  });
});

describe('trap 9: the wall clock steps', () => {
  for (const jumpMs of [HOUR_MS, -HOUR_MS]) {
    it(`trap 9: ${jumpMs > 0 ? 'forward' : 'back'} by an hour: no transition, in no state`, async () => {
      const made = bench(effectiveOf({ circuit: circuitSpec(), timeout: 300 }));
      const { clock, targets } = made;
      const states: string[] = [];
      const jump = () => {
        const before = targets.circuit('db');
        clock.wallOffset += jumpMs;
        expect(targets.circuit('db')).to.deep.equal(before);
        states.push(before.state);
      };
      for (let i = 0; i < 19; i++) await rejectionOf(guard(targets, 'db', fails));
      jump();
      await rejectionOf(guard(targets, 'db', fails));
      jump();
      clock.advance(4_999);
      jump();
      clock.advance(1);
      jump();
      const probe = work();
      const probing = guard(targets, 'db', probe.fn);
      jump();
      clock.advance(299);
      probe.succeed();
      await probing;
      for (let i = 0; i < 2; i++) await guard(targets, 'db', async () => i);
      jump();
      expect(states).to.deep.equal(['closed', 'open', 'open', 'half-open', 'half-open', 'closed']);
      expect(made.changes.map(({ to }) => to)).to.deep.equal(['open', 'half-open', 'closed']);
    });
  }
});
