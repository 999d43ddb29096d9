/** Which features run in a process: by the last word, until its time is over, also over a restart. */
import { expect } from 'chai';
import { Brownout } from '../../../agent/brownout.js';
import type { BrownoutEvent } from '../../../agent/events.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const said = (level: number, rest: { ttlMs?: number; reason?: string } = {}) => ({
  ...{ level, ttlMs: 0, reason: 'sale', revision: 7 },
  features: [
    { name: 'ads', level: 1 },
    { name: 'search', level: 4 },
  ],
  ...rest,
});

describe('brownout in an agent', () => {
  let clock: VirtualClock;
  let events: BrownoutEvent[];
  let brownout: Brownout;
  const make = () => new Brownout({ clock, onChange: (event) => void events.push(event) });
  beforeEach(() => {
    clock = new VirtualClock(500);
    events = [];
    brownout = make();
  });
  afterEach(() => {
    brownout.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  for (const [level, runs] of [
    [0, ['ads', 'unknown', 'search']],
    [1, ['unknown', 'search']],
    [2, ['search']],
    [3, ['search']],
    [4, []],
  ] as const)
    it(`runs ${runs.join(', ') || 'nothing'} at level ${level}`, () => {
      brownout.take(said(level));
      expect(['ads', 'unknown', 'search'].filter((feature) => brownout.runs(feature))).to.deep.equal(runs);
    });

  it('runs everything before anything was said', () => {
    expect(brownout.runs('ads')).to.equal(true);
    expect(brownout.status()).to.deep.equal({ level: 0, reason: '', ttlMs: undefined, off: [] });
  });

  it('names as off also what was asked for and nobody has named, from before the level on, and no more than 1,000', () => {
    expect(brownout.runs('recommendations')).to.equal(true);
    brownout.take(said(2));
    expect(brownout.status().off).to.have.members(['ads', 'recommendations']);
    brownout.runs('banners');
    brownout.runs('search');
    expect(brownout.status().off).to.have.members(['ads', 'recommendations', 'banners']);
    brownout.take(said(1));
    expect(brownout.status().off).to.deep.equal(['ads']);
    for (let i = 0; i < 2000; i++) brownout.runs(`made-up-${i}`);
    brownout.take(said(4));
    expect(brownout.runs('made-up-1999')).to.equal(false);
    expect(brownout.status().off).to.have.length(1002);
  });

  it('lets a name that was asked for be named later, and goes by that', () => {
    brownout.runs('recommendations');
    const named = { ...said(2), features: [{ name: 'recommendations', level: 3 }] };
    brownout.take(named);
    expect(brownout.runs('recommendations')).to.equal(true);
    expect(brownout.status().off).to.deep.equal([]);
    brownout.take({ ...named, features: [] });
    expect(brownout.runs('recommendations')).to.equal(false);
  });

  it('goes by the latest word, and tells level and reason once', () => {
    brownout.take(said(2));
    brownout.take(said(2));
    expect(brownout.status()).to.deep.equal({ level: 2, reason: 'sale', ttlMs: undefined, off: ['ads'] });
    brownout.take(said(2, { reason: 'still' }));
    brownout.take({ level: 0, features: [], ttlMs: 0, reason: '', revision: 8 });
    expect(events).to.deep.equal([
      { level: 2, reason: 'sale' },
      { level: 2, reason: 'still' },
      { level: 0, reason: '' },
    ]);
  });

  it('runs everything again when the time is over, on the monotonic clock', () => {
    brownout.take(said(4, { ttlMs: 60_000 }));
    clock.wallOffset = 3_600_000;
    clock.advance(59_999);
    expect(brownout.runs('ads')).to.equal(false);
    expect(brownout.status().ttlMs).to.equal(1);
    clock.advance(1);
    expect(brownout.runs('ads')).to.equal(true);
    expect(events.at(-1)).to.deep.equal({ level: 0, reason: '' });
  });

  it('tells the time that is left in whole milliseconds, rounded up', () => {
    brownout.take(said(4, { ttlMs: 5_000 }));
    clock.advance(1.475);
    expect(brownout.status().ttlMs).to.equal(4_999);
    clock.advance(4_998.2);
    expect(brownout.status().ttlMs).to.equal(1);
  });

  it('has the time of the latest word, or none', () => {
    brownout.take(said(4, { ttlMs: 60_000 }));
    clock.advance(50_000);
    brownout.take(said(4, { ttlMs: 60_000 }));
    clock.advance(50_000);
    expect(brownout.runs('ads')).to.equal(false);
    brownout.take(said(4));
    clock.advance(3_600_000);
    expect(brownout.runs('ads')).to.equal(false);
  });

  describe('over a restart', () => {
    const saved = () => brownout.save() ?? expect.fail('nothing was saved');

    it('keeps nothing at level 0', () => {
      brownout.take(said(0));
      expect(brownout.save()).to.equal(undefined);
    });

    it('goes on with what is left of the time', () => {
      brownout.take(said(4, { ttlMs: 60_000 }));
      clock.advance(10_000);
      const next = make();
      next.restore(saved(), 20_000);
      expect(next.status()).to.include({ level: 4, reason: 'sale', ttlMs: 30_000 });
      expect(next.runs('ads')).to.equal(false);
      next.close();
    });

    it('runs everything if the time was over by then', () => {
      brownout.take(said(4, { ttlMs: 60_000 }));
      const next = make();
      next.restore(saved(), 60_000);
      expect(next.status().level).to.equal(0);
    });

    it('stays dimmed where there is no end', () => {
      brownout.take(said(1));
      const next = make();
      next.restore(saved(), 1e9);
      expect(next.runs('ads')).to.equal(false);
      expect(next.runs('search')).to.equal(true);
    });
  });
});
