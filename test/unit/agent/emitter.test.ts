/**
 * Listeners of the application: after the fact, in order, and harmless.
 */
import { expect } from 'chai';
import { Emitter } from '../../../agent/emitter.js';
import { keptLogger } from '../../support/logs.js';
import { settled } from '../../support/targets.js';

function setUp() {
  const logger = keptLogger();
  return { logger, emitter: new Emitter<{ readonly news: number; readonly other: string }>(logger) };
}

describe('the emitter', () => {
  it('tells all listeners in order, but never within the act', async () => {
    const { emitter } = setUp();
    const seen: string[] = [];
    emitter.on('news', (n) => seen.push(`a${n}`));
    emitter.on('news', (n) => seen.push(`b${n}`));
    emitter.emit('news', 1);
    emitter.emit('news', 2);
    expect(seen).to.deep.equal([]);
    await settled();
    expect(seen).to.deep.equal(['a1', 'b1', 'a2', 'b2']);
  });

  it('logs what a listener throws or rejects with, and goes on', async () => {
    const { emitter, logger } = setUp();
    const seen: number[] = [];
    emitter.on('news', () => {
      throw new Error('thrown');
    });
    emitter.on('news', async () => {
      throw new Error('rejected');
    });
    emitter.on('news', (n) => seen.push(n));
    emitter.emit('news', 1);
    await settled();
    expect(seen).to.deep.equal([1]);
    expect(logger.of('error').map(({ fields }) => fields.error)).to.deep.equal(['thrown', 'rejected']);
  });

  it('tells nobody who has left, also not of what happened before', async () => {
    const { emitter } = setUp();
    const seen: number[] = [];
    const leave = emitter.on('news', (n) => seen.push(n));
    emitter.emit('news', 1);
    leave();
    leave();
    await settled();
    expect(seen).to.deep.equal([]);
  });

  it('lets a listener leave, or others come, while it is told', async () => {
    const { emitter } = setUp();
    const seen: string[] = [];
    const leave = emitter.on('news', () => {
      seen.push('first');
      leave();
      emitter.on('news', () => seen.push('late'));
    });
    emitter.emit('news', 1);
    await settled();
    expect(seen).to.deep.equal(['first']);
    emitter.emit('news', 2);
    await settled();
    expect(seen).to.deep.equal(['first', 'late']);
  });

  it('calls a function given twice twice, and lets each go on its own', async () => {
    const { emitter } = setUp();
    let calls = 0;
    const listener = () => calls++;
    const leave = emitter.on('news', listener);
    emitter.on('news', listener);
    emitter.emit('news', 1);
    await settled();
    expect(calls).to.equal(2);
    leave();
    emitter.emit('news', 2);
    await settled();
    expect(calls).to.equal(3);
  });
});
