/**
 * The bulkhead where calls matter differently: the order in line, who makes room, who is kept out first, and guaranteed parts.
 */
import { expect } from 'chai';
import { criticalities } from '../../../core/criticality.js';
import type { BulkheadSpec } from '../../../core/policy/model.js';
import { BulkheadCalls } from '../../support/bulkhead-calls.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec } from '../../support/specs.js';

function calls(maxConcurrent: number, changes: Partial<BulkheadSpec> = {}): BulkheadCalls {
  return new BulkheadCalls(bulkheadSpec(maxConcurrent, changes));
}

let entered = 0;

/** Enters `count` calls of a class; answers how many run. */
function enter(into: BulkheadCalls, count: number, criticality: (typeof criticalities)[number]): number {
  let running = 0;
  for (let i = 0; i < count; i++) {
    if (into.enter(`${criticality} ${entered++}`, criticality) === 'runs') running++;
  }
  return running;
}

describe('bulkhead line', () => {
  it('lets the most critical go first, and equals in the order they came', () => {
    const line = calls(1, { maxQueue: 9 });
    line.enter('first');
    for (const [name, criticality] of [
      ['s1', 'sheddable'],
      ['c1', 'critical'],
      ['p1', 'critical-plus'],
      ['s2', 'sheddable'],
      ['c2', 'critical'],
    ] as const)
      expect(line.enter(name, criticality)).to.equal('waits');
    for (const name of ['first', 'p1', 'c1', 'c2', 's1']) line.leave(name);
    expect(line.log).to.deep.equal(['first', 'p1', 'c1', 'c2', 's1', 's2'].map((name) => `${name} runs`));
  });

  it('makes the youngest of the least critical leave for a more critical newcomer', () => {
    const line = calls(1, { maxQueue: 3 });
    line.enter('first');
    for (const name of ['s1', 's2']) line.enter(name, 'sheddable');
    line.enter('sp1', 'sheddable-plus');
    expect(line.enter('c1')).to.equal('waits');
    expect(line.log).to.deep.equal(['first runs', 's2 displaced']);
    expect(line.bulkhead.queued).to.equal(3);
    expect(line.bulkhead.displacedRefusal()).to.deep.equal({
      code: 'overloaded',
      text: 'a more critical call took its place in line, 3 of 3 waiting; slow down or raise maxQueue',
      section: 'bulkhead',
    });
  });

  it('refuses a newcomer that is no more critical than anybody in a full line', () => {
    const line = calls(1, { maxQueue: 1 });
    for (const name of ['a', 'b']) line.enter(name);
    expect([line.enter('c'), line.enter('d', 'sheddable')]).to.deep.equal(['refused', 'refused']);
    expect(line.enter('e', 'critical-plus')).to.equal('waits');
    expect(line.log).to.include('b displaced');
  });

  it('stays right when who was displaced comes again at once', () => {
    const line = calls(1, { maxQueue: 1 });
    line.enter('a');
    line.enter('b', 'sheddable');
    const { log } = line;
    log.push = (...entries) => {
      for (const entry of entries) {
        log[log.length] = entry;
        if (entry === 'b displaced') expect(line.enter('b again', 'sheddable')).to.equal('refused');
      }
      return log.length;
    };
    expect(line.enter('c')).to.equal('waits');
    line.leave('a');
    expect(log.at(-1)).to.equal('c runs');
    expect([line.bulkhead.inUse, line.bulkhead.queued]).to.deep.equal([1, 0]);
  });
});

describe('bulkhead that turns calls away', () => {
  it('needs no time until it does, nor from a second later', () => {
    const busy = calls(2);
    enter(busy, 2, 'critical');
    expect(busy.bulkhead.timeless).to.equal(true);
    busy.enter('too many');
    expect(busy.bulkhead.timeless).to.equal(false);
    busy.bulkhead.refusal(busy.now);
    busy.now = 1_000;
    busy.enter('still too many', 'sheddable');
    expect(busy.bulkhead.timeless).to.equal(true);
  });

  it('keeps a tenth of the limit from those below whom it turned away, for a second', () => {
    const busy = calls(20);
    enter(busy, 20, 'critical');
    expect(busy.enter('too many')).to.equal('refused');
    busy.bulkhead.refusal(0);
    for (const name of [...busy.running.keys()].slice(0, 2)) busy.leave(name);
    expect(busy.enter('lesser', 'sheddable')).to.equal('refused');
    expect(busy.bulkhead.refusal(0).text).to.equal(
      '18 of 20 calls in flight, the rest kept for other criticalities, and 0 of 0 waiting; ' +
        'slow down or raise maxConcurrent',
    );
    expect(busy.enter('equal')).to.equal('runs');
    busy.now = 1_000;
    expect(busy.enter('lesser', 'sheddable')).to.equal('runs');
  });

  it('keeps another tenth for each class above that was turned away', () => {
    const busy = calls(20);
    enter(busy, 20, 'critical');
    busy.enter('a', 'critical-plus');
    busy.enter('b', 'critical');
    for (const name of [...busy.running.keys()].slice(0, 3)) busy.leave(name);
    expect(busy.enter('c', 'sheddable')).to.equal('refused');
    expect(busy.enter('d', 'critical')).to.equal('runs');
    expect(busy.enter('e', 'critical')).to.equal('refused');
    expect(busy.enter('f', 'critical-plus')).to.equal('runs');
  });

  it('keeps nothing when the least critical were turned away', () => {
    const busy = calls(1);
    enter(busy, 2, 'sheddable');
    expect(busy.bulkhead.timeless).to.equal(true);
  });
});

describe('bulkhead with shares', () => {
  const shares = { critical: 0.6, sheddable: 0.2 };

  it('lends idle parts out, and gives a class its own as slots come free', () => {
    const shared = calls(10, { shares });
    expect(enter(shared, 11, 'sheddable')).to.equal(10);
    expect(enter(shared, 1, 'critical')).to.equal(0);
    shared.leave([...shared.running.keys()][0] ?? '');
    expect(enter(shared, 1, 'sheddable')).to.equal(0);
    expect(enter(shared, 1, 'critical')).to.equal(1);
  });

  it('keeps the part of a class that came within the last second', () => {
    const shared = calls(10, { shares });
    enter(shared, 1, 'critical');
    expect(enter(shared, 20, 'sheddable')).to.equal(4);
    expect(enter(shared, 20, 'critical')).to.equal(5);
    for (const name of [...shared.running.keys()].filter((each) => each.startsWith('critical')))
      shared.leave(name);
    shared.now = 999;
    expect(enter(shared, 20, 'sheddable')).to.equal(0);
    shared.now = 1_000;
    expect(enter(shared, 20, 'sheddable')).to.equal(6);
  });

  it('lets a class beyond its part into what nobody is entitled to', () => {
    const shared = calls(10, { shares });
    enter(shared, 1, 'sheddable');
    expect(enter(shared, 20, 'critical')).to.equal(8);
    expect(enter(shared, 20, 'sheddable')).to.equal(1);
  });

  it('passes a slot to the class that it is owed to, though a more critical call waits', () => {
    const shared = calls(2, { maxQueue: 5, shares: { critical: 0.5, sheddable: 0.5 } });
    expect([shared.enter('s1', 'sheddable'), shared.enter('c1')]).to.deep.equal(['runs', 'runs']);
    for (const [name, criticality] of [
      ['c2', 'critical'],
      ['s2', 'sheddable'],
    ] as const)
      expect(shared.enter(name, criticality)).to.equal('waits');
    shared.leave('s1');
    shared.leave('c1');
    expect(shared.log.slice(2)).to.deep.equal(['s2 runs', 'c2 runs']);
  });

  it('wakes who waits for a part that has fallen idle, when the next one comes', () => {
    const shared = calls(2, { maxQueue: 5, shares: { critical: 0.5 } });
    shared.enter('c1');
    shared.leave('c1');
    shared.enter('s1', 'sheddable');
    expect(shared.enter('s2', 'sheddable')).to.equal('waits');
    shared.now = 1_000;
    expect(shared.enter('s3', 'sheddable')).to.equal('waits');
    expect(shared.log.at(-1)).to.equal('s2 runs');
  });

  it('counts calls from before it had shares in no class, and lets them go', () => {
    const shared = calls(10);
    enter(shared, 5, 'critical');
    shared.reconfigure(bulkheadSpec(10, { shares }));
    shared.now = 1;
    // Six are guaranteed, of which none is used yet, and five slots are free.
    expect(enter(shared, 20, 'critical')).to.equal(5);
    for (const name of [...shared.running.keys()]) shared.leave(name);
    expect(shared.bulkhead.inUse).to.equal(0);
    shared.now = 2_000;
    enter(shared, 1, 'critical');
    expect(enter(shared, 20, 'sheddable')).to.equal(4);
  });

  it('loses no count when shares come, go and come again under running calls', () => {
    const shared = calls(10, { shares });
    enter(shared, 3, 'critical');
    shared.reconfigure(bulkheadSpec(10));
    shared.reconfigure(bulkheadSpec(10, { shares }));
    for (const name of [...shared.running.keys()]) shared.leave(name);
    shared.now = 1;
    enter(shared, 1, 'critical');
    expect(enter(shared, 20, 'sheddable')).to.equal(4);
    expect(enter(shared, 20, 'critical')).to.equal(5);
  });
});

/** The rules as they are written, over arrays of names and ranks. */
class Twin {
  running: { name: string; rank: number }[] = [];
  waiting: { name: string; rank: number }[] = [];
  readonly log: string[] = [];
  now = 0;
  readonly #arrivedAt = [-Infinity, -Infinity, -Infinity, -Infinity];
  readonly #turnedAwayAt = [-Infinity, -Infinity, -Infinity, -Infinity];
  constructor(public spec: BulkheadSpec) {}

  get limit(): number {
    return this.spec.maxConcurrent as number;
  }

  enter(name: string, rank: number): 'runs' | 'waits' | 'refused' {
    this.#arrivedAt[rank] = this.now;
    this.fill();
    if (
      this.running.length < this.limit &&
      !this.#isOwed(rank) &&
      this.running.length >= this.#openTo(rank)
    ) {
      this.#turnedAwayAt[rank] = this.now;
      return 'refused';
    }
    const behind = this.waiting.some(
      (each) => each.rank === rank || (this.#shares ? each.rank < rank && !this.#isOwed(rank) : true),
    );
    if (!behind && this.#mayRun(rank)) {
      this.#run({ name, rank });
      return 'runs';
    }
    const { maxQueue } = this.spec;
    if (this.waiting.length >= maxQueue) {
      const lowest = Math.max(-1, ...this.waiting.map((each) => each.rank));
      if (this.waiting.length > maxQueue || lowest <= rank) {
        this.#turnedAwayAt[rank] = this.now;
        return 'refused';
      }
      const last = this.waiting.map((each) => each.rank).lastIndexOf(lowest);
      this.log.push(`${this.waiting[last]?.name} displaced`);
      this.waiting = this.waiting.filter((_, i) => i !== last);
    }
    this.waiting.push({ name, rank });
    return 'waits';
  }

  leave(name: string): void {
    this.running = this.running.filter((each) => each.name !== name);
    this.fill();
  }

  fill(): void {
    for (;;) {
      const ranks = this.#shares ? [0, 1, 2, 3].filter((rank) => this.#mayRun(rank)) : [0, 1, 2, 3];
      const next = ranks.map((rank) => this.waiting.find((each) => each.rank === rank)).find((each) => each);
      if (!next || this.running.length >= this.limit) return;
      this.waiting = this.waiting.filter((each) => each !== next);
      this.#run(next);
    }
  }

  #run(call: { name: string; rank: number }): void {
    this.running.push(call);
    this.log.push(`${call.name} runs`);
  }

  get #shares(): BulkheadSpec['shares'] {
    return this.spec.shares;
  }

  #unused(rank: number): number {
    const fraction = this.#shares?.[criticalities[rank] as (typeof criticalities)[number]] ?? 0;
    return (
      Math.floor(fraction * this.limit + 1e-9) - this.running.filter((each) => each.rank === rank).length
    );
  }

  #isOwed(rank: number): boolean {
    return this.#unused(rank) > 0;
  }

  #mayRun(rank: number): boolean {
    if (this.running.length >= this.limit) return false;
    if (!this.#shares || this.#isOwed(rank)) return true;
    let used = this.running.length;
    for (const other of [0, 1, 2, 3]) {
      const idle =
        this.now - (this.#arrivedAt[other] as number) >= 1_000 &&
        !this.waiting.some((each) => each.rank === other);
      if (other !== rank && !idle) used += Math.max(0, this.#unused(other));
    }
    return used < this.limit;
  }

  #openTo(rank: number): number {
    let open = this.limit;
    for (let above = 0; above < Math.min(rank, 3); above++) {
      if (this.now - (this.#turnedAwayAt[above] as number) < 1_000) open -= Math.ceil(this.limit / 10);
    }
    return open;
  }
}

describe('bulkhead with classes and its dumb twin', () => {
  for (const shares of [undefined, { 'critical-plus': 0.2, critical: 0.4, sheddable: 0.2 }]) {
    walks(`agree about everybody, ${shares ? 'with' : 'without'} shares`, 5, (random) => {
      const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random.next() * from.length)];
      const specOf = (limit: number, maxQueue: number) =>
        bulkheadSpec(limit, { maxQueue, ...(shares ? { shares } : {}) });
      const real = new BulkheadCalls(specOf(10, 4));
      const twin = new Twin(specOf(10, 4));
      for (let i = 0; i < 4_000; i++) {
        real.now += random.next() < 0.05 ? Math.floor(random.next() * 1_500) : Math.floor(random.next() * 30);
        twin.now = real.now;
        const deed = random.next();
        if (deed < 0.55) {
          const rank = Math.floor(random.next() * 4);
          const answer = real.enter(`call ${i}`, criticalities[rank]);
          expect(answer).to.equal(twin.enter(`call ${i}`, rank), `call ${i}`);
          if (answer === 'refused') real.bulkhead.refusal(real.now);
        } else if (deed < 0.93) {
          const name = pick(twin.running)?.name ?? '';
          real.leave(name);
          twin.leave(name);
        } else if (deed < 0.97) {
          const name = pick(twin.waiting)?.name ?? '';
          expect(real.abandon(name)).to.equal(twin.waiting.some((each) => each.name === name));
          twin.waiting = twin.waiting.filter((each) => each.name !== name);
        } else {
          twin.spec = specOf(1 + Math.floor(random.next() * 25), Math.floor(random.next() * 7));
          real.reconfigure(twin.spec);
          twin.fill();
        }
        const same =
          real.log.length === twin.log.length &&
          real.bulkhead.inUse === twin.running.length &&
          real.bulkhead.queued === twin.waiting.length;
        if (!same) expect(real.log.slice(-5)).to.deep.equal(twin.log.slice(-5), `after deed ${i}`);
      }
      expect(real.log).to.deep.equal(twin.log);
      for (const name of [...real.waiting.keys()]) real.abandon(name);
      for (const name of [...real.running.keys()]) real.leave(name);
      expect([real.bulkhead.inUse, real.bulkhead.queued, real.permits.out]).to.deep.equal([0, 0, 0]);
    });
  }
});
