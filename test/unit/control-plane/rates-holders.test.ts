/** What the agents of one replica may still hold of a limit, and what that leaves to grant. */
import { expect } from 'chai';
import { grantArrivesMs, grantHoldMs, Holders } from '../../../control-plane/rates/holders.js';

const second = { tokens: 100, intervalMs: 1000 };

function setUp() {
  const holders = new Holders<{ blocked: boolean }>();
  const grant = (share: number, now: number) => {
    for (const { holder, tokens } of holders.allot({ share, evenly: false }, second, now))
      holders.written(holder, tokens, now);
  };
  const tokens = (share: number, now: number) =>
    holders.allot({ share, evenly: false }, second, now).map((one) => one.tokens);
  return { holders, grant, tokens, asker: { blocked: false } };
}

describe('the holders of a limit', () => {
  it('hold a grant until it has run out, and the one before until it has arrived', () => {
    const { holders, grant, asker } = setUp();
    holders.heard('a', asker, 500, 0);
    holders.beat(0);
    grant(100, 0);
    grant(40, 1000);
    expect(holders.exposure(1000)).to.equal(100);
    expect(holders.exposure(1000 + grantArrivesMs)).to.equal(40);
    expect(holders.exposure(1000 + grantHoldMs - 1)).to.equal(40);
    expect(holders.exposure(1000 + grantHoldMs)).to.equal(0);
  });

  it('hold the more of the last two if the stream is blocked or breaks', () => {
    const { holders, grant, asker } = setUp();
    holders.heard('a', asker, 500, 0);
    holders.beat(0);
    grant(100, 0);
    grant(40, 1000);
    asker.blocked = true;
    expect(holders.exposure(2000)).to.equal(100);
    holders.gone('a', asker, false, 2000);
    expect(holders.size).to.equal(0);
    expect(holders.exposure(2000)).to.equal(100);
    expect(holders.exposure(1000 + grantHoldMs + 1000)).to.equal(0);
  });

  it('hold nothing once they have said that they stop', () => {
    const { holders, grant, asker } = setUp();
    holders.heard('a', asker, 500, 0);
    holders.beat(0);
    grant(100, 0);
    holders.gone('a', asker, true, 100);
    expect(holders.exposure(100)).to.equal(0);
  });

  it('keep what they hold when they are back on another stream, and the old one changes nothing more', () => {
    const { holders, grant, tokens, asker } = setUp();
    holders.heard('a', asker, 500, 0);
    holders.beat(0);
    grant(100, 0);
    const again = { blocked: false };
    holders.heard('a', again, 500, 500);
    holders.gone('a', asker, false, 600);
    expect(holders.size).to.equal(1);
    expect(holders.exposure(600)).to.equal(100);
    expect(tokens(100, 600)).to.deep.equal([100]);
  });

  it('are given no more than leaves room for what was left behind', () => {
    const { holders, grant, tokens, asker } = setUp();
    holders.heard('a', asker, 500, 0);
    holders.beat(0);
    grant(100, 0);
    holders.gone('a', asker, false, 100);
    const [b, c] = [{ blocked: false }, { blocked: false }];
    holders.heard('b', b, 500, 100);
    holders.beat(1000);
    expect(tokens(100, 1000)).to.deep.equal([100]);
    grant(100, 1000);
    holders.heard('c', c, 500, 1100);
    holders.beat(2000);
    // B gives half away, which may be on its way, and A's is still out.
    expect(tokens(100, 2000)).to.deep.equal([50, 0]);
    holders.heard('b', b, 500, 3900);
    holders.heard('c', c, 500, 3900);
    holders.beat(4000);
    expect(tokens(100, 4000)).to.deep.equal([50, 50]);
  });

  it('count a report that comes a little late as no drop', () => {
    const { holders, asker } = setUp();
    holders.heard('a', asker, 100, 0);
    holders.beat(1000);
    expect(holders.demand).to.equal(100);
    holders.beat(2000);
    expect(holders.demand).to.equal(50);
    holders.heard('a', asker, 200, 2010);
    holders.beat(3000);
    expect(holders.demand).to.equal(125);
  });
});
