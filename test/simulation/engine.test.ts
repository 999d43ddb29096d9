/**
 * The simulation's own parts: events in order, a store that compares, scenarios that say what is wrong with them.
 */
import { expect } from 'chai';
import { seededRandom } from '../../core/random.js';
import { judge } from './engine/judge.js';
import { Loop } from './engine/loop.js';
import { EventQueue } from './engine/queue.js';
import { readScenario } from './engine/read-scenario.js';
import { simulate } from './engine/simulate.js';
import { Store } from './engine/store.js';

describe('the queue of events', () => {
  it('gives what a sorted list gives, in order of time and then of arrival', () => {
    const random = seededRandom(7);
    const queue = new EventQueue();
    const twin: { time: number; a: number }[] = [];
    for (let i = 0; i < 20_000; i++) {
      if (random.next() < 0.55 || queue.size === 0) {
        const time = Math.floor(random.next() * 500);
        queue.push(time, 1, i, 0, 0);
        twin.push({ time, a: i });
      } else {
        const least = twin.reduce((min, each, at) => (each.time < (twin[min]?.time ?? 0) ? at : min), 0);
        const [wanted] = twin.splice(least, 1);
        queue.pop();
        expect({ time: queue.time, a: queue.a }).to.deep.equal(wanted);
      }
    }
    expect(queue.size).to.equal(twin.length);
  });
});

describe('virtual time', () => {
  it('runs each at its own time, and not what was called off', () => {
    const loop = new Loop(1);
    const seen: string[] = [];
    loop.after(20, () => seen.push(`b at ${loop.now}`));
    loop.after(10, () => {
      seen.push(`a at ${loop.now}`);
      loop.after(5, () => seen.push(`c at ${loop.now}`));
    });
    loop.after(12, () => seen.push('never')).cancel();
    loop.post(11, 3, 42);
    loop.run(100, (kind, a) => seen.push(`${kind} ${a} at ${loop.now}`));
    expect(seen).to.deep.equal(['a at 10', '3 42 at 11', 'c at 15', 'b at 20']);
    expect(loop.now).to.equal(100);
  });
});

describe('the virtual store', () => {
  it('writes a record only over the one that was expected', () => {
    const store = new Store();
    const write = (expected: number, seq: number) =>
      store.compareAndSet({ circuit: 'c', expected, seq, body: `${seq}` });
    expect(write(0, 1)).to.equal(undefined);
    expect(write(0, 1)).to.deep.equal({ circuit: 'c', seq: 1, body: '1' });
    expect(write(1, 2)).to.equal(undefined);
    store.lose();
    expect(write(2, 3)).to.deep.equal({ circuit: 'c', seq: 0, body: '' });
    expect(store.dataset).to.equal('dataset-2');
  });

  it('drops accounts and replicas that say nothing more', () => {
    const store = new Store();
    store.exchange('replica-1', new Map([['c', 'x']]), 0);
    expect(store.exchange('replica-2', new Map(), 4_000).accounts).to.have.length(1);
    expect(store.exchange('replica-2', new Map(), 6_000).accounts).to.have.length(0);
    expect(store.replicas(6_000)).to.deep.equal(['replica-2']);
  });
});

const small = `
title A small one
callers 20 shop
callee inventory endpoints 2
run 30s
expect failed = 0
`;

describe('a scenario', () => {
  it('is read with what it leaves out', () => {
    const scenario = readScenario('scenarios/small.txt', `${small}at 10s inventory/2 slow 1.5s for zone b\n`);
    expect(scenario).to.include({ name: 'small', replicas: 2, seeds: 1, runMs: 30_000 });
    expect(scenario.policy.spec.circuit).to.include({ scope: 'cluster', per: 'service' });
    expect(scenario.happenings).to.deep.equal([
      {
        atMs: 10_000,
        kind: 'callee',
        callee: 'inventory',
        fate: { kind: 'slow', ms: 1_500 },
        endpoints: [1, 1],
        zone: 'b',
      },
    ]);
  });

  for (const [line, said] of [
    ['at 10s stock dead', 'x.txt:7: "stock" is no callee'],
    ['at soon inventory dead', 'x.txt:7: when must be a duration, for example 10s; got "soon"'],
    ['at 10s inventory sad', 'x.txt:7: what happens must be one of: healthy, dead, slow, fails; got "sad"'],
    ['at 10s inventory/3 dead', 'x.txt:7: "3" must be an endpoint from 1 to 2'],
    ['at 10s replica 3 killed', 'x.txt:7: which replica must be a whole number from 1 to 2; got "3"'],
    ['at 10s inventory dead twice', 'x.txt:7: "twice" is one word too many'],
    ['expect speed <= 3', 'x.txt:7: "speed" must be a callee, or one of: wasted, failed'],
    ['expect wasted ~ 3', 'x.txt:7: the sign must be one of: <=, >=, =; got "~"'],
    ['expect inventory closed', 'x.txt:7: "at" must follow; got ""'],
    ['callers many shop', 'x.txt:7: how many callers must be a whole number from 1 to 1000000; got "many"'],
    ['wait 3s', 'x.txt:7: "wait" begins no line; one of title'],
    ['circuit halfOpen.calls none', 'x.txt: its "circuit" lines make no policy: spec.circuit.halfOpen.calls'],
  ] as const)
    it(`says what is wrong with: ${line}`, () => {
      expect(() => readScenario('x.txt', small + line)).to.throw(said);
    });

  it('says what is missing', () => {
    expect(() => readScenario('x.txt', small.replace('run 30s', ''))).to.throw(
      'x.txt: a line that begins with "run" is missing',
    );
  });

  it('names each bound that falls short, with its line and what was seen', () => {
    const scenario = readScenario('x.txt', `${small}at 10s inventory dead\nexpect rejected >= 1000000\n`);
    const run = { seed: 3, outcome: simulate(scenario, { seed: 3, local: true }) };
    const [first, second] = judge(scenario, run);
    expect(first).to.match(/^x\.txt:6: expect failed = 0: it was \d+, with a bound of 0 \(seed 3\)$/);
    expect(second).to.match(/^x\.txt:8: expect rejected >= 1000000: it was \d+/);
  });
});
