/**
 * The names an agent learns: each once, told of once a tick, bounded, and nothing odd among them.
 */
import { expect } from 'chai';
import { Callees } from '../../../agent/callees.js';
import { keptLogger } from '../../support/logs.js';
import { settled } from '../../support/targets.js';

function setUp() {
  const logger = keptLogger();
  let fresh = 0;
  const callees = new Callees({ logger, onFresh: () => fresh++ });
  return { callees, logger, fresh: () => fresh };
}

describe('callees', () => {
  it('are told of once for all of a tick', async () => {
    const { callees, fresh } = setUp();
    callees.add('inventory');
    callees.add('payments');
    callees.add('inventory');
    expect(fresh()).to.equal(0);
    await settled();
    expect(fresh()).to.equal(1);
    expect(callees.since(0)).to.deep.equal(['inventory', 'payments']);
    expect(callees.since(1)).to.deep.equal(['payments']);
    callees.add('inventory');
    await settled();
    expect(fresh()).to.equal(1);
  });

  it('are never * nor what no policy could name', () => {
    const { callees } = setUp();
    for (const odd of ['*', '', 'my database', 'a\nb', 'x'.repeat(129), '-x']) callees.add(odd);
    expect(callees.size).to.equal(0);
  });

  it('are 1,000 at most, with one warning', () => {
    const { callees, logger } = setUp();
    for (let i = 0; i < 1_100; i++) callees.add(`callee-${i}`);
    expect(callees.size).to.equal(1_000);
    expect(logger.of('warn')).to.have.length(1);
    expect(logger.of('warn')[0]?.fields).to.include({ callee: 'callee-1000' });
  });
});
