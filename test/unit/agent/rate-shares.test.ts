/** What an agent takes of a limit of the mesh that it has no grant of: by what it was told, now or in a former life. */
import { expect } from 'chai';
import { Parts } from '../../../agent/parts.js';
import { RateShares } from '../../../agent/rate-shares.js';
import type { RateLimitSpec } from '../../../core/policy/model.js';
import { ADMITTED } from '../../../core/resilience/gate.js';
import { effectiveOf, evenRandom } from '../../support/specs.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const ID = 'inventory|limit';
const word = (agents: number, all = 20) => ({ shares: [{ id: ID, agents }], agents: all });

describe('shares of limits of the mesh', () => {
  it('are the whole of a limit while no control plane is there and none ever was', () => {
    expect(new RateShares(new VirtualClock(5)).of(ID)).to.deep.equal({ agents: 1, sinceMs: 5 });
  });

  it('are next to nothing from the connection on until the first word, which a lost connection does not wait for', () => {
    const shares = new RateShares(new VirtualClock());
    shares.online(true);
    expect(shares.of(ID).agents).to.equal(Number.POSITIVE_INFINITY);
    shares.online(false);
    expect(shares.of(ID).agents).to.equal(1);
  });

  it('are as told, for each method as well, and of what was not named by all agents of the mesh', () => {
    const clock = new VirtualClock(100);
    const shares = new RateShares(clock);
    shares.online(true);
    shares.take(word(8));
    clock.advance(500);
    expect(shares.of(ID)).to.deep.equal({ agents: 8, sinceMs: 100 });
    expect(shares.of(`${ID}|a.B/C`)).to.deep.equal({ agents: 8, sinceMs: 100 });
    expect(shares.of('mail|limit')).to.deep.equal({ agents: 20, sinceMs: 100 });
  });

  it('stay known when the number changes and when the control plane goes', () => {
    const clock = new VirtualClock(100);
    const shares = new RateShares(clock);
    shares.online(true);
    shares.take(word(8));
    clock.advance(500);
    shares.take(word(9));
    shares.online(false);
    expect(shares.of(ID)).to.deep.equal({ agents: 9, sinceMs: 100 });
  });

  it('are what a former process was told, until there is another word', () => {
    const former = new RateShares(new VirtualClock());
    former.take(word(8));
    const shares = new RateShares(new VirtualClock(7));
    shares.restore(JSON.parse(JSON.stringify(former.save())));
    shares.online(true);
    expect(shares.of(ID)).to.deep.equal({ agents: 8, sinceMs: 7 });
    expect(shares.of('mail|limit')).to.deep.equal({ agents: 20, sinceMs: 7 });
    shares.take({ shares: [], agents: 3 });
    expect(shares.of(ID).agents).to.equal(3);
  });
});

describe('parts under a limit of the mesh', () => {
  const rateLimit: RateLimitSpec = { rate: 80, perMs: 1_000, burst: 80, scope: 'cluster', by: 'service' };
  const limited = () => {
    const clock = new VirtualClock();
    const shares = new RateShares(clock);
    const parts = new Parts({ clock, random: evenRandom, onCircuit: () => {}, rateShares: shares });
    const id = 'inventory|inventory-default';
    const calls = () => {
      const [gate] = parts.gates('inventory', '', effectiveOf({ rateLimit }));
      let admitted = 0;
      for (let i = 0; i < 1_000; i++) if (gate?.admit(0, clock.now()) === ADMITTED) admitted++;
      return admitted;
    };
    return { clock, shares, calls, told: (agents: number) => ({ shares: [{ id, agents }], agents: 100 }) };
  };

  it('admit a share of it from the first word on, and never a full bucket at once', () => {
    const { clock, shares, calls, told } = limited();
    shares.online(true);
    expect(calls()).to.equal(1);
    clock.advance(500);
    expect(calls()).to.equal(0);
    shares.take(told(8));
    clock.advance(500);
    expect(calls()).to.equal(5);
    clock.advance(10_000);
    expect(calls()).to.equal(10);
  });

  it('find their share saved up when the first call comes a second after the word', () => {
    const { clock, shares, calls, told } = limited();
    shares.online(true);
    shares.take(told(8));
    clock.advance(1_000);
    expect(calls()).to.equal(10);
  });
});
