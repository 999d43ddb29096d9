/** How replicas share one limit: what each should have, and that what they use never adds up to more, in whatever order. */
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeAccounts, encodeAccounts } from '../../../control-plane/rates/accounts.js';
import { type Account, Share, shareOf } from '../../../control-plane/rates/share.js';
import type { Random } from '../../../core/random.js';
import { splitGrants } from '../../../core/resilience/grants.js';
import { property, walks } from '../../support/property.js';

const party = fc.record({ agents: fc.integer({ min: 0, max: 5 }), demand: fc.integer({ min: 0, max: 400 }) });

describe('the share of a replica', () => {
  it('follows demand where the limit is enough', () => {
    const busy = { agents: 2, demand: 75 };
    const calm = { agents: 2, demand: 25 };
    expect(shareOf(100, busy, [calm])).to.equal(75);
    expect(shareOf(100, calm, [busy])).to.equal(25);
  });

  it('goes by the number of agents where all want more than there is', () => {
    const crowd = { agents: 9, demand: 10_000 };
    const one = { agents: 1, demand: 10_000 };
    expect(shareOf(100, crowd, [one])).to.be.closeTo(90, 1e-9);
    expect(shareOf(100, one, [crowd])).to.be.closeTo(10, 1e-9);
  });

  property(
    'is what one replica would give those agents, to a token each',
    fc.tuple(
      fc.integer({ min: 20, max: 300 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 10 }),
    ),
    ([limit, demands]) => {
      const twin = splitGrants(limit, new Map(demands.map((demand, i) => [`a${i}`, demand])));
      const parties = demands.map((demand) => ({ agents: 1, demand }));
      for (const [i, mine] of parties.entries()) {
        const others = parties.filter((_, j) => j !== i);
        const share = shareOf(limit, mine, others);
        expect(Math.abs(share - (twin.get(`a${i}`) ?? Number.NaN)), `share ${share}`).to.be.at.most(
          demands.length,
        );
      }
    },
  );

  property(
    'adds up to the limit as soon as anybody has an agent',
    fc.tuple(fc.integer({ min: 1, max: 300 }), fc.array(party, { minLength: 1, maxLength: 6 })),
    ([limit, given]) => {
      // Nobody asks where there is no agent.
      const parties = given.map(({ agents, demand }) => ({ agents, demand: agents === 0 ? 0 : demand }));
      const sum = parties.reduce((total, mine, i) => {
        return (
          total +
          shareOf(
            limit,
            mine,
            parties.filter((_, j) => j !== i),
          )
        );
      }, 0);
      const any = parties.some(({ agents }) => agents > 0);
      expect(sum).to.be.closeTo(any ? limit : 0, 1e-6);
    },
  );
});

/** One replica between two steps: it has published, or has read and not looked at it yet. */
interface Replica {
  readonly share: Share;
  agents: number;
  demand: number;
  state: 'idle' | 'published' | 'read';
  heard: Account[];
  said: Account;
}

const LIMIT = 100;

function step(random: Random, replicas: readonly Replica[], board: Map<number, Account>): void {
  const index = Math.floor(random.next() * replicas.length);
  const replica = replicas[index] as Replica;
  const { share } = replica;
  const publish = (claim: number) => {
    replica.said = { agents: replica.agents, demand: replica.demand, claim };
    board.set(index, replica.said);
    replica.state = 'published';
  };
  if (random.next() < 0.05) {
    share.lose();
    replica.state = 'idle';
  } else if (replica.state === 'idle') {
    if (random.next() < 0.2) replica.agents = Math.floor(random.next() * 4);
    if (random.next() < 0.4) replica.demand = replica.agents === 0 ? 0 : Math.floor(random.next() * 300);
    // What is with the agents is at most what may be granted, for a while longer than it is.
    publish(share.claim(share.used * (1 + random.next())));
  } else if (replica.state === 'published') {
    replica.heard = [...board].filter(([other]) => other !== index).map(([, account]) => account);
    replica.state = 'read';
  } else {
    const claim = share.settle(LIMIT, replica.said, replica.heard);
    replica.state = 'idle';
    // It may also be cut off before it can say so.
    if (claim !== undefined && random.next() < 0.9) publish(claim);
  }
}

describe('what replicas use together', () => {
  const start = (count: number): Replica[] =>
    Array.from({ length: count }, () => ({
      share: new Share(),
      agents: 2,
      demand: 50,
      state: 'idle',
      heard: [],
      said: { agents: 0, demand: 0, claim: 0 },
    }));
  const used = (replicas: readonly Replica[]) => replicas.reduce((sum, { share }) => sum + share.used, 0);

  walks('is never more than the limit, in whatever order they publish and read', 8, (random) => {
    const replicas = start(2 + Math.floor(random.next() * 4));
    const board = new Map<number, Account>();
    for (let i = 0; i < 5_000; i++) {
      step(random, replicas, board);
      expect(used(replicas), `after step ${i}`).to.be.at.most(LIMIT * (1 + 1e-9));
      for (const [index, { share }] of replicas.entries())
        expect(share.used).to.be.at.most((board.get(index)?.claim ?? 0) * (1 + 1e-9));
    }
  });

  walks('is all of it soon after they have come to rest', 4, (random) => {
    const replicas = start(2 + Math.floor(random.next() * 4));
    const board = new Map<number, Account>();
    for (let i = 0; i < 500; i++) step(random, replicas, board);
    for (const replica of replicas) Object.assign(replica, { agents: 2, demand: 70 });
    for (let round = 0; round < 6; round++)
      for (const [index, replica] of replicas.entries()) {
        let claim: number | undefined = replica.share.claim(replica.share.used);
        for (let tries = 0; claim !== undefined && tries < 2; tries++) {
          const mine = { agents: replica.agents, demand: replica.demand, claim };
          board.set(index, mine);
          const others = [...board].filter(([other]) => other !== index).map(([, account]) => account);
          claim = replica.share.settle(LIMIT, mine, others);
        }
      }
    expect(used(replicas)).to.be.closeTo(LIMIT, 1e-6);
  });
});

describe('a claim', () => {
  const mine = { agents: 1, demand: 200, claim: 0 };

  it('is used only after a reading in which it fits', () => {
    const share = new Share();
    expect(share.claim(0)).to.equal(0);
    expect(share.settle(LIMIT, mine, [{ agents: 1, demand: 200, claim: 70 }])).to.equal(30);
    expect(share.used).to.equal(0);
    // Somebody else was first.
    expect(share.settle(LIMIT, mine, [{ agents: 1, demand: 200, claim: 90 }])).to.equal(undefined);
    expect(share.used).to.equal(10);
    expect(share.settle(LIMIT, mine, [{ agents: 1, demand: 200, claim: 50 }])).to.equal(50);
    expect(share.used).to.equal(30);
  });

  it('is kept by half of what may still be in force', () => {
    const share = new Share();
    share.claim(0);
    share.settle(LIMIT, mine, []);
    share.settle(LIMIT, mine, []);
    expect(share.used).to.equal(LIMIT);
    share.settle(LIMIT, { agents: 0, demand: 0 }, [{ agents: 1, demand: 200, claim: 0 }]);
    expect(share.used).to.equal(0);
    expect(share.claim(LIMIT)).to.equal(LIMIT / 2);
    expect(share.claim(0)).to.equal(0);
  });
});

describe('the accounts of a replica', () => {
  it('are read back as they were written', () => {
    const accounts = new Map([['inventory|p', { agents: 3, demand: 12.5, claim: 33.333333333333336 }]]);
    expect(decodeAccounts(encodeAccounts(accounts))).to.deep.equal(accounts);
  });

  it('are taken with suspicion', () => {
    for (const body of [
      '',
      'null',
      '[]',
      '{"format":2,"limits":[]}',
      '{"format":1,"limits":7}',
      '{"format":1}',
    ])
      expect(decodeAccounts(body).size, body).to.equal(0);
    const rows = [7, null, [1, 2, 3, 4], ['a|p', 1e9, -5, null], ['b|p', 'x', Number.NaN, {}]];
    expect([...decodeAccounts(JSON.stringify({ format: 1, limits: rows }))]).to.deep.equal([
      ['a|p', { agents: 1_000_000, demand: 0, claim: 0 }],
      ['b|p', { agents: 0, demand: 0, claim: 0 }],
    ]);
    const many = Array.from({ length: 10_100 }, (_, i) => [`c${i}|p`, 1, 1, 1]);
    expect(decodeAccounts(JSON.stringify({ format: 1, limits: many })).size).to.equal(10_000);
  });
});
