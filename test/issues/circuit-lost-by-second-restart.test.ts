/**
 * A circuit that was open when the process ended came back only with the first call, and a process that made none before it
 * ended as well saved a snapshot without it: a service in a crash loop lost its protection. Now it stands from the start, and
 * is saved again with what is left of its time.
 */
import { expect } from 'chai';
import { circuitSpec, effectiveOf } from '../support/specs.js';
import { bench } from '../support/targets.js';

const id = 'db|inventory-default';
const saved = { [id]: { remainingMs: 30_000, openings: 2 } };

describe('a circuit that was open when the process ended', () => {
  it('shows from the start, before any call', () => {
    const { targets } = bench(effectiveOf({ circuit: circuitSpec() }));
    targets.restore(saved, 10_000);
    expect(targets.circuit('db')).to.include({ id, state: 'open', retryAfterMs: 20_000 });
    expect(targets.circuits().map(({ to }) => to)).to.deep.equal(['open']);
  });

  it('is saved again by a process that made no call', () => {
    const { targets, clock } = bench(effectiveOf({ circuit: circuitSpec() }));
    targets.restore(saved, 10_000);
    clock.advance(5_000);
    expect(targets.save()[id]).to.deep.equal({ remainingMs: 15_000, openings: 2 });
  });

  it('is saved again even while its policy is not there, and forgotten ten minutes after its time', () => {
    const { targets, clock } = bench();
    targets.restore(saved, 10_000);
    clock.advance(5_000);
    expect(targets.save()[id]).to.deep.equal({ remainingMs: 15_000, openings: 2 });
    clock.advance(15_000 + 599_000);
    expect(targets.save()[id]).to.deep.equal({ remainingMs: 0, openings: 2 });
    clock.advance(1_000);
    expect(targets.save()[id]).to.equal(undefined);
  });
});
