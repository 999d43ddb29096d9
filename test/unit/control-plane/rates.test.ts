/** Limits of the whole mesh at the replicas: who is granted what, for how long, within which bounds, and at what price. */
import { expect } from 'chai';
import { Board, Policies, pass, RateAgent, rateReplica } from '../../support/rates.js';
import { VirtualClock } from '../../support/virtual-clock.js';

describe('limits of the whole mesh', () => {
  let clock: VirtualClock;
  let policies: Policies;
  let board: Board;
  let away: boolean;
  const cutOff = new Set<string>();
  const closing: (() => Promise<void>)[] = [];

  beforeEach(() => {
    clock = new VirtualClock();
    policies = new Policies().put('p', { rate: 100 });
    board = new Board(clock);
    away = false;
    cutOff.clear();
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
    expect(clock.pendingTimers).to.equal(0);
  });

  const replica = (
    account = 'r1',
    delayMs: () => number | undefined = () => (away || cutOff.has(account) ? undefined : 0),
  ) => {
    const made = rateReplica({ clock, policies, board, account, delayMs });
    closing.push(async () => {
      const closed = made.rates.close();
      await pass(clock, 15_000, 500);
      await closed;
    });
    return made;
  };
  let named = 0;
  const agent = (on: ReturnType<typeof replica>, demand = 0, callees?: string[]) => {
    const made = new RateAgent(`a${++named}`, clock).connect(on.rates, callees);
    made.demand = demand;
    return made;
  };
  /** Seconds in which all of them report. */
  const live = async (seconds: number, agents: readonly RateAgent[], id?: string) => {
    for (let i = 0; i < seconds; i++) {
      await pass(clock, 400);
      for (const one of agents) one.ask(id);
      await pass(clock, 600);
    }
    await pass(clock, 50);
  };

  it('are divided by demand, every second', async () => {
    const here = replica();
    const [a, b] = [agent(here, 75), agent(here, 25)];
    await live(2, [a, b]);
    expect(a.grant()).to.deep.include({ tokens: 75, intervalMs: 1000, agents: 2 });
    expect(b.grant()).to.deep.include({ tokens: 25, intervalMs: 1000, agents: 2 });
    [a.demand, b.demand] = [25, 75];
    await live(7, [a, b]);
    expect(a.perSecond()).to.be.closeTo(25, 3);
    expect(a.perSecond() + b.perSecond()).to.equal(100);
    expect(here.counted).to.deep.equal({ ignored: 0, limits: 1, grantedPerSecond: 100 });
  });

  it('are divided across replicas by what is asked for there', async () => {
    const [one, two] = [replica('r1'), replica('r2')];
    const [a, b, c] = [agent(one, 50), agent(one, 25), agent(two, 25)];
    await live(4, [a, b, c]);
    for (const [found, right] of [
      [a, 50],
      [b, 25],
      [c, 25],
    ] as const)
      expect(found.perSecond()).to.be.closeTo(right, 1);
    expect(a.grant()?.agents).to.equal(3);
    expect(c.grant()?.agents).to.equal(3);
  });

  it('are all with the other replica a few seconds after one has no use for them', async () => {
    const [one, two] = [replica('r1'), replica('r2')];
    const [a, b] = [agent(one, 100), agent(two, 100)];
    await live(4, [a, b]);
    expect([a.perSecond(), b.perSecond()]).to.deep.equal([50, 50]);
    a.leave(true);
    await live(3, [b]);
    expect(b.perSecond()).to.equal(100);
  });

  it('are free within two seconds when an agent leaves', async () => {
    const here = replica();
    const [a, b] = [agent(here, 100), agent(here, 100)];
    await live(3, [a, b]);
    expect(b.perSecond()).to.equal(50);
    a.leave(true);
    await live(1, [b]);
    expect(b.perSecond()).to.equal(100);
    expect(b.grant()?.agents).to.equal(1);
  });

  it('are free within two seconds when an agent breaks off, since grants may come to twice the limit', async () => {
    const here = replica();
    const [a, b] = [agent(here, 100), agent(here, 100)];
    await live(3, [a, b]);
    a.leave(false);
    await live(1, [b]);
    expect(b.perSecond()).to.equal(100);
  });

  it('hold back when all that broke off before may still be in force', async () => {
    const here = replica();
    const first = agent(here, 100);
    await live(2, [first]);
    first.leave(false);
    const second = agent(here, 100);
    await live(1, [second]);
    expect(second.perSecond()).to.equal(100);
    second.leave(false);
    const third = agent(here, 100);
    await live(1, [third]);
    expect(third.perSecond()).to.equal(0);
    await live(4, [third]);
    expect(third.perSecond()).to.equal(100);
  });

  it('forget an agent that says nothing for three seconds', async () => {
    const here = replica();
    const [a, b] = [agent(here, 100), agent(here, 100)];
    await live(3, [a, b]);
    await live(5, [b]);
    expect(a.grant()).to.equal(undefined);
    expect(b.grant()).to.deep.include({ tokens: 100, agents: 1 });
    await live(10, []);
    expect(here.counted.limits).to.equal(0);
  });

  it('give each of many agents a token, however few there are', async () => {
    policies.put('p', { rate: 10, per: '1m' });
    const here = replica();
    const agents = Array.from({ length: 20 }, () => agent(here, 5));
    await live(3, agents);
    for (const one of agents) expect(one.grant()?.tokens).to.be.at.least(1);
    const sum = agents.reduce((total, one) => total + one.perSecond(), 0);
    expect(sum).to.be.closeTo(10 / 60, 1e-3);
  });

  it('say nothing to a blocked stream, and count what it holds until that has run out', async () => {
    const here = replica();
    const [a, b] = [agent(here, 100), agent(here, 100)];
    await live(3, [a, b]);
    a.blocked = true;
    const before = a.messages;
    await live(1, [a, b]);
    expect(b.perSecond()).to.equal(100);
    await live(4, [a, b]);
    expect(a.messages).to.equal(before);
    a.blocked = false;
    await live(2, [a, b]);
    expect(a.perSecond()).to.equal(50);
  });

  it('write again what is the same before it runs out, and not each second', async () => {
    const here = replica();
    const a = agent(here, 100);
    await live(3, [a]);
    const before = a.messages;
    for (let i = 0; i < 10; i++) {
      await live(1, [a]);
      expect(a.grant()?.tokens).to.equal(100);
    }
    expect(a.messages - before).to.be.within(4, 6);
  });

  it('follow the policy, and end with it', async () => {
    const here = replica();
    const a = agent(here, 100);
    await live(2, [a]);
    policies.put('p', { rate: 40 });
    await live(2, [a]);
    expect(a.grant()?.tokens).to.equal(40);
    policies.remove('p');
    await live(2, [a]);
    expect(here.counted.limits).to.equal(0);
    expect(here.counted.ignored).to.be.greaterThan(0);
    await live(3, [a]);
    expect(a.grant()).to.equal(undefined);
  });

  it('stay as they are while the store is away for a moment, and then are granted no more', async () => {
    const [one, two] = [replica('r1'), replica('r2')];
    const [a, b] = [agent(one, 100), agent(two, 100)];
    await live(4, [a, b]);
    away = true;
    await live(3, [a, b]);
    expect([a.perSecond(), b.perSecond()]).to.deep.equal([50, 50]);
    await live(5, [a, b]);
    expect(a.grant()).to.equal(undefined);
    away = false;
    await live(3, [a, b]);
    expect([a.perSecond(), b.perSecond()]).to.deep.equal([50, 50]);
  });

  it('stay with a replica that is cut off for as long as its agents may have them', async () => {
    let cut = false;
    const [one, two] = [replica('r1', () => (cut ? undefined : 0)), replica('r2')];
    const [a, b] = [agent(one, 100), agent(two, 100)];
    await live(4, [a, b]);
    cut = true;
    for (let i = 0; i < 300; i++) {
      if (i % 20 === 0) for (const each of [a, b]) each.ask();
      await pass(clock, 50);
      expect(a.perSecond() + b.perSecond(), `after ${i * 50} ms`).to.be.at.most(100);
    }
    expect([a.perSecond(), b.perSecond()]).to.deep.equal([0, 100]);
  });

  it('are claimed by a process that died until they have run out', async () => {
    const died = replica('r1 one');
    const a = agent(died, 100);
    await live(3, [a]);
    a.leave(false);
    await pass(clock, 10);
    cutOff.add('r1 one');
    const b = agent(replica('r1 two'), 100);
    for (let i = 0; i < 200; i++) {
      if (i % 20 === 0) b.ask();
      await pass(clock, 50);
      expect(a.perSecond() + b.perSecond(), `after ${i * 50} ms`).to.be.at.most(100);
    }
    expect(b.perSecond()).to.equal(100);
  });

  it('are not written twice within half a second, however late the store answers', async () => {
    // One exchange takes 800 ms, the next one no time.
    let calls = 0;
    const here = replica('r1', () => (Math.floor(calls++ / 4) % 2 === 0 ? 200 : 0));
    const [a, b] = [agent(here, 100), agent(here, 100)];
    let [before, writtenAtMs, shortestMs] = [0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let i = 0; i < 400; i++) {
      if (i % 20 === 0) a.ask('inventory|p', i % 200);
      if (i % 20 === 7) b.ask('inventory|p', 100);
      await pass(clock, 50);
      if (a.messages > before) {
        shortestMs = Math.min(shortestMs, clock.now() - writtenAtMs);
        [before, writtenAtMs] = [a.messages, clock.now()];
      }
    }
    expect(before).to.be.greaterThan(5);
    expect(shortestMs).to.be.at.least(500);
  });

  it('are granted by a store that takes five seconds to answer, or not at all, and block nothing', async () => {
    const slow = replica('r1', () => 2500);
    const a = agent(slow, 100);
    await live(12, [a]);
    expect(a.grant()).to.equal(undefined);
    expect(slow.counted.limits).to.equal(1);
  });

  it('cost the store nothing while nobody uses any, and little for each second of use', async () => {
    const here = replica();
    await pass(clock, 10_000);
    expect(board.asked).to.equal(0);
    const agents = Array.from({ length: 50 }, () => agent(here, 10));
    await live(4, agents);
    const before = board.asked;
    await live(10, agents);
    expect(board.asked - before).to.be.at.most(22);
    await live(10, []);
    const idle = board.asked;
    await live(10, []);
    expect(board.asked).to.equal(idle);
  });

  it('ignore what no policy says, and what is for other callers or callees', async () => {
    policies.put('other', { rate: 100 }, { to: 'inventory', from: 'mail' });
    const here = replica();
    const a = agent(here, 10);
    for (const id of ['inventory|unknown', 'inventory|other', 'payments|p', '', 'x'.repeat(1000)]) a.ask(id);
    expect(here.counted.ignored).to.equal(5);
    await live(2, []);
    expect(here.counted.limits).to.equal(0);
  });

  it('keep a thousand of one agent, ten thousand in all, and no more', async () => {
    const here = replica();
    const callees = Array.from({ length: 1100 }, (_, i) => `c${i}`);
    const a = agent(here, 10, callees);
    for (const callee of callees) a.ask(`${callee}|p`);
    expect(here.counted.ignored).to.equal(100);
    for (let i = 0; i < 12; i++) {
      const names = Array.from({ length: 1000 }, (_, j) => `d${i}-${j}`);
      const other = agent(here, 10, names);
      for (const callee of names) other.ask(`${callee}|p`);
    }
    expect(here.counted.ignored).to.equal(100 + 3000);
    await pass(clock, 1100);
    expect(here.counted.limits).to.equal(10_000);
    expect(a.grant('c0|p')).to.deep.include({ tokens: 100, agents: 1 });
    expect(a.grant('c1099|p')).to.equal(undefined);
  });

  it('are not talked up by an agent that says it is asked for more than there is', async () => {
    const here = replica();
    const [liar, honest] = [agent(here, 2 ** 32 - 1), agent(here, 40)];
    await live(3, [liar, honest]);
    expect(honest.perSecond()).to.equal(40);
    expect(liar.perSecond()).to.equal(60);
  });
});
