/**
 * The bulkhead through a plan, as the agent uses it: who runs, who waits, who is turned away, in which order.
 */
import { expect } from 'chai';
import { Bulkhead } from '../../../core/resilience/bulkhead.js';
import type { Waiter } from '../../../core/resilience/gate.js';
import { Permits } from '../../../core/resilience/permits.js';
import { Plan, TURNED_AWAY, WAITING } from '../../../core/resilience/plan.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec } from '../../support/specs.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Calls with names through a bulkhead, and the order in which they began. */
class Line {
  readonly permits = new Permits(2);
  readonly began: string[] = [];
  readonly bulkhead: Bulkhead;
  readonly plan: Plan;
  readonly handles = new Map<string, number>();
  readonly waiters = new Map<string, Waiter>();
  onBegin: (name: string) => void = () => undefined;

  constructor(maxConcurrent: number, maxQueue: number) {
    this.bulkhead = new Bulkhead(bulkheadSpec(maxConcurrent, { maxQueue }));
    this.plan = new Plan([this.bulkhead], this.permits);
  }

  enter(name: string): 'runs' | 'waits' | 'refused' {
    const handle = this.plan.admit(0, NEVER);
    if (handle === TURNED_AWAY) return 'refused';
    if (handle === WAITING) {
      const waiter = {
        granted: () => {
          this.waiters.delete(name);
          this.#began(name, this.plan.resume(this.handles.get(name) ?? -1, 0, NEVER));
        },
        displaced: () => expect.fail(`${name} was displaced by its equal`),
      };
      this.waiters.set(name, waiter);
      this.handles.set(name, this.plan.wait(waiter));
      return 'waits';
    }
    this.#began(name, handle);
    return 'runs';
  }

  leave(name: string): void {
    this.plan.finish(this.handles.get(name) ?? -1, 'success', 0);
  }

  abandon(name: string): boolean {
    const waiter = this.waiters.get(name);
    this.waiters.delete(name);
    return waiter !== undefined && this.plan.abandon(this.handles.get(name) ?? -1, waiter, 0);
  }

  resize(maxConcurrent: number, maxQueue: number): void {
    this.bulkhead.reconfigure(bulkheadSpec(maxConcurrent, { maxQueue }));
  }

  #began(name: string, handle: number): void {
    expect(handle).to.be.at.least(0);
    this.handles.set(name, handle);
    this.began.push(name);
    this.onBegin(name);
  }
}

describe('bulkhead', () => {
  it('turns away what exceeds the limit and the line, in words that name the figures', () => {
    const line = new Line(1, 1);
    expect([line.enter('a'), line.enter('b'), line.enter('c')]).to.deep.equal(['runs', 'waits', 'refused']);
    expect(line.plan.refusal(0)).to.deep.equal({
      code: 'bulkhead_full',
      text: '1 of 1 calls in flight and 1 of 1 waiting; slow down or raise maxConcurrent',
      section: 'bulkhead',
    });
  });

  it('passes a slot to the head of the line in the same tick', () => {
    const line = new Line(1, 2);
    for (const name of ['a', 'b', 'c']) line.enter(name);
    line.leave('a');
    expect(line.began).to.deep.equal(['a', 'b']);
    expect(line.bulkhead.inUse).to.equal(1);
  });

  it('lets nobody who comes later slip in before the line', () => {
    const line = new Line(1, 5);
    for (const name of ['a', 'b']) line.enter(name);
    line.leave('a');
    expect(line.enter('c')).to.equal('waits');
    line.leave('b');
    expect(line.began).to.deep.equal(['a', 'b', 'c']);
  });

  it('lets whoever gives up leave from the middle of the line at once, and keeps the order of the rest', () => {
    const line = new Line(1, 3);
    for (const name of ['a', 'b', 'c', 'd']) line.enter(name);
    expect(line.abandon('c')).to.equal(true);
    expect(line.bulkhead.queued).to.equal(2);
    expect(line.enter('e')).to.equal('waits');
    for (const name of ['a', 'b', 'd']) line.leave(name);
    expect(line.began).to.deep.equal(['a', 'b', 'd', 'e']);
  });

  it('gives a slot back once, however often its call ends', () => {
    const line = new Line(2, 0);
    line.enter('a');
    line.enter('b');
    for (let i = 0; i < 5; i++) line.leave('a');
    expect(line.bulkhead.inUse).to.equal(1);
  });

  it('shrinks at once: running calls drain, new ones are turned away until there is room', () => {
    const line = new Line(3, 0);
    for (const name of ['a', 'b', 'c']) line.enter(name);
    line.resize(1, 0);
    expect([line.bulkhead.inUse, line.bulkhead.limit]).to.deep.equal([3, 1]);
    line.leave('a');
    line.leave('b');
    expect(line.enter('d')).to.equal('refused');
    line.leave('c');
    expect(line.enter('d')).to.equal('runs');
  });

  it('keeps a line that is longer than it may be now, and lets nobody join it', () => {
    const line = new Line(1, 3);
    for (const name of ['a', 'b', 'c', 'd']) line.enter(name);
    line.resize(1, 1);
    expect(line.enter('e')).to.equal('refused');
    for (const name of ['a', 'b', 'c']) line.leave(name);
    expect(line.began).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('wakes the line in order when it grows', () => {
    const line = new Line(1, 5);
    for (const name of ['a', 'b', 'c', 'd']) line.enter(name);
    line.resize(3, 5);
    expect(line.began).to.deep.equal(['a', 'b', 'c']);
  });

  it('lets nobody slip in who comes while the line is being woken', () => {
    const line = new Line(1, 5);
    for (const name of ['a', 'b', 'c']) line.enter(name);
    // Whoever is let in starts another call at once, as a listener of its circuit may.
    line.onBegin = (name) => {
      if (name === 'b') expect(line.enter('d')).to.equal('waits');
    };
    line.resize(4, 5);
    expect(line.began).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('has no slot to pass on while it drains after a shrink', () => {
    const line = new Line(2, 2);
    for (const name of ['a', 'b', 'c']) line.enter(name);
    line.resize(1, 2);
    line.leave('a');
    expect(line.began).to.deep.equal(['a', 'b']);
    line.leave('b');
    expect(line.began).to.deep.equal(['a', 'b', 'c']);
  });

  it('refuses an adaptive limit where it has no permits to note its calls in', () => {
    expect(() => new Bulkhead(bulkheadSpec('auto' as unknown as number))).to.throw('adaptive');
  });
});

/** Arrays and nothing else. */
class Twin {
  running: string[] = [];
  waiting: string[] = [];
  readonly began: string[] = [];
  constructor(
    public limit: number,
    public maxQueue: number,
  ) {}

  enter(name: string): 'runs' | 'waits' | 'refused' {
    if (this.waiting.length === 0 && this.running.length < this.limit) {
      this.running.push(name);
      this.began.push(name);
      return 'runs';
    }
    if (this.waiting.length >= this.maxQueue) return 'refused';
    this.waiting.push(name);
    return 'waits';
  }

  leave(name: string): void {
    this.running = this.running.filter((each) => each !== name);
    this.#fill();
  }

  abandon(name: string): boolean {
    const was = this.waiting.includes(name);
    this.waiting = this.waiting.filter((each) => each !== name);
    return was;
  }

  resize(limit: number, maxQueue: number): void {
    this.limit = limit;
    this.maxQueue = maxQueue;
    this.#fill();
  }

  #fill(): void {
    while (this.waiting.length > 0 && this.running.length < this.limit) {
      const next = this.waiting.shift() as string;
      this.running.push(next);
      this.began.push(next);
    }
  }
}

describe('bulkhead and its dumb twin', () => {
  walks('agree about who runs, waits and is refused, over 5,000 random deeds', 5, (random) => {
    const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random.next() * from.length)];
    const line = new Line(3, 4);
    const twin = new Twin(3, 4);
    let drainedTo = 3;
    for (let i = 0; i < 5_000; i++) {
      const deed = random.next();
      if (deed < 0.45) {
        expect(line.enter(`call ${i}`)).to.equal(twin.enter(`call ${i}`));
      } else if (deed < 0.8) {
        // Whoever runs, and now and then whoever has long ended.
        const name = (random.next() < 0.8 ? pick(twin.running) : pick(twin.began)) ?? '';
        if (!twin.waiting.includes(name)) line.leave(name);
        twin.leave(name);
      } else if (deed < 0.95) {
        const name = (random.next() < 0.8 ? pick(twin.waiting) : pick(twin.began)) ?? '';
        expect(line.abandon(name)).to.equal(twin.abandon(name));
      } else {
        const limit = 1 + Math.floor(random.next() * 6);
        const maxQueue = Math.floor(random.next() * 6);
        line.resize(limit, maxQueue);
        twin.resize(limit, maxQueue);
        drainedTo = Math.max(limit, twin.running.length);
      }
      drainedTo = Math.max(line.bulkhead.limit, Math.min(drainedTo, twin.running.length));
      expect(line.began).to.have.lengthOf(twin.began.length);
      expect(line.began.at(-1)).to.equal(twin.began.at(-1));
      expect(line.bulkhead.inUse).to.equal(twin.running.length);
      expect(line.bulkhead.queued).to.equal(twin.waiting.length);
      expect(line.bulkhead.inUse).to.be.within(0, drainedTo);
    }
    expect(line.began).to.deep.equal(twin.began);
    for (const name of [...twin.waiting]) line.abandon(name);
    for (const name of [...twin.running]) line.leave(name);
    expect([line.bulkhead.inUse, line.bulkhead.queued, line.permits.out]).to.deep.equal([0, 0, 0]);
  });
});
