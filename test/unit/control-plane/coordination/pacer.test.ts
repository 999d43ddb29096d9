/** When a replica exchanges with the others. */
import { expect } from 'chai';
import { type Extent, Pacer } from '../../../../control-plane/coordination/pacer.js';
import { moveOn } from '../../../support/circuit-rooms.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

describe('the pace of exchanges', () => {
  let clock: VirtualClock;
  let runs: { at: number; extent: Extent }[];
  let takesMs: number;
  let pacer: Pacer;

  beforeEach(() => {
    clock = new VirtualClock();
    runs = [];
    takesMs = 0;
    pacer = new Pacer(clock, async (extent) => {
      runs.push({ at: clock.now(), extent });
      if (takesMs > 0) await new Promise<void>((resolve) => void clock.after(takesMs, resolve));
    });
  });
  afterEach(async () => {
    const closed = pacer.close();
    await moveOn(clock, 1_000);
    await closed;
    expect(clock.pendingTimers).to.equal(0);
  });

  it('begins at once', () => {
    pacer.ask('urgent');
    expect(runs).to.deep.equal([{ at: 0, extent: 'urgent' }]);
  });

  it('is at most one every 50 ms, whatever is asked for', async () => {
    for (let i = 0; i < 100; i++) {
      pacer.ask('urgent');
      await moveOn(clock, 5, 5);
    }
    expect(runs.map(({ at }) => at)).to.deep.equal([0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500]);
  });

  it('is one at a time; what was asked for meanwhile becomes one more', async () => {
    takesMs = 200;
    pacer.ask('urgent');
    for (let i = 0; i < 10; i++) pacer.ask(i === 5 ? 'all' : 'urgent');
    await moveOn(clock, 1_000);
    expect(runs).to.deep.equal([
      { at: 0, extent: 'urgent' },
      { at: 200, extent: 'all' },
    ]);
  });

  it('ends when it is closed, behind the one that runs', async () => {
    takesMs = 100;
    pacer.ask('all');
    pacer.ask('all');
    let closed = false;
    void pacer.close().then(() => {
      closed = true;
    });
    await moveOn(clock, 90);
    expect(closed).to.equal(false);
    await moveOn(clock, 20);
    expect(closed).to.equal(true);
    pacer.ask('all');
    await moveOn(clock, 1_000);
    expect(runs).to.have.length(1);
  });
});
