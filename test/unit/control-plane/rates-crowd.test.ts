/** How many agents could use a limit of the whole mesh: who counts, for how long, and what an agent is told of it. */
import { expect } from 'chai';
import { Crowd, type Population } from '../../../control-plane/rates/crowd.js';
import { Policies } from '../../support/rates.js';

const inventory = { callee: 'inventory', from: undefined };

function population(service: string, agents: number, ...callees: string[]): Population {
  return { service, agents, callees: new Set(callees) };
}

function crowdOf(policies: Policies): Crowd {
  const crowd = new Crowd();
  crowd.use(policies.policies());
  return crowd;
}

describe('the crowd of a limit', () => {
  it('is every agent whose service uses the callee and may, at any replica', () => {
    const crowd = new Crowd();
    const here = [population('shop', 3, 'inventory', 'mail'), population('jobs', 2, 'inventory')];
    crowd.count(here, [[population('shop', 4, 'inventory')], [population('tools', 9, 'mail')]], 0);
    crowd.count(here, [[population('shop', 40, 'inventory')], [population('tools', 9, 'mail')]], 40_000);
    expect(crowd.of(inventory)).to.equal(45);
    expect(crowd.of({ callee: 'inventory', from: 'jobs' })).to.equal(2);
    expect(crowd.of({ callee: 'mail', from: 'jobs' })).to.equal(0);
    expect(crowd.of({ callee: 'nobody', from: undefined })).to.equal(0);
  });

  it('takes as many to come to each other replica as come here, until those have said so', () => {
    const crowd = new Crowd();
    const none = [population('shop', 0)];
    crowd.count([population('shop', 3, 'inventory')], [none, none], 0);
    expect(crowd.of(inventory)).to.equal(9);
  });

  it('goes down half a minute after the agents have, and up at once', () => {
    const crowd = new Crowd();
    const counted = (agents: number, now: number) => {
      crowd.count(agents === 0 ? [] : [population('shop', agents, 'inventory')], [], now);
      return crowd.of(inventory);
    };
    expect([counted(8, 0), counted(0, 1_000), counted(1, 29_000), counted(1, 31_000)]).to.deep.equal([
      8, 8, 8, 1,
    ]);
    expect([counted(9, 32_000), counted(0, 33_000), counted(0, 70_000)]).to.deep.equal([9, 9, 0]);
    expect(crowd.agents).to.equal(0);
  });

  it('is rounded up to two digits where it is large, so that not each agent that comes is news', () => {
    const crowd = new Crowd();
    const rounded = [7, 99, 100, 101, 110, 111, 9_876].map((agents, i) => {
      crowd.count([population('shop', agents, 'inventory')], [], i);
      return crowd.of(inventory);
    });
    expect(rounded).to.deep.equal([7, 99, 100, 110, 110, 120, 9_900]);
  });

  it('is told for each callee and policy that an agent of the service may use, shadow or not', () => {
    const policies = new Policies()
      .put('all', { rate: 1 })
      .put('one', { rate: 1 }, { to: 'inventory', from: 'shop' })
      .put('other', { rate: 1 }, { to: 'inventory', from: 'jobs' })
      .put('unused', { rate: 1 }, { to: 'payments' })
      .put('local', { rate: 1, scope: 'local' });
    const crowd = crowdOf(policies);
    crowd.count([population('shop', 2, 'inventory', 'mail'), population('jobs', 3, 'inventory')], [], 0);
    expect(crowd.sharesOf('shop', new Set(['self', 'inventory', 'mail']))).to.have.deep.members([
      { id: 'inventory|all', agents: 5 },
      { id: 'mail|all', agents: 2 },
      { id: 'inventory|one', agents: 2 },
    ]);
    expect(crowd.agents).to.equal(5);
  });

  it('is told of a thousand limits, and no more', () => {
    const crowd = crowdOf(new Policies().put('a', { rate: 1 }).put('b', { rate: 1 }));
    const callees = Array.from({ length: 900 }, (_, i) => `c${i}`);
    crowd.count([population('shop', 1, ...callees)], [], 0);
    expect(crowd.sharesOf('shop', new Set(callees))).to.have.length(1000);
  });

  it('is nobody while no policy has such a limit', () => {
    expect(crowdOf(new Policies()).limited).to.equal(false);
    expect(crowdOf(new Policies().put('p', { rate: 1, scope: 'local' })).limited).to.equal(false);
    expect(crowdOf(new Policies().put('p', { rate: 1 })).limited).to.equal(true);
  });
});
