/**
 * The rate limiter: what it admits when, how it says so, and that it agrees to the token with a twin in exact fractions.
 */
import { expect } from 'chai';
import type { RateLimitSpec } from '../../../core/policy/model.js';
import { ADMITTED } from '../../../core/resilience/gate.js';
import { grantIntervalMs, RateLimiter } from '../../../core/resilience/rate.js';
import { walks } from '../../support/property.js';

const ROW = 0;

function spec(changes: Partial<RateLimitSpec> = {}): RateLimitSpec {
  return { rate: 10, perMs: 1_000, burst: 10, scope: 'local', by: 'service', ...changes };
}

/** How many of `asked` attempts are admitted at once. */
function admitted(limiter: RateLimiter, now: number, asked = 1_000): number {
  let count = 0;
  for (let i = 0; i < asked; i++) if (limiter.admit(ROW, now) === ADMITTED) count++;
  return count;
}

describe('rate limiter', () => {
  it('starts full, admits the burst, and then one for each token that comes', () => {
    const limiter = new RateLimiter(spec({ burst: 4 }), 0);
    expect([0, 99, 100, 150, 350, 10_000].map((now) => admitted(limiter, now))).to.deep.equal([
      4, 0, 1, 0, 2, 4,
    ]);
  });

  it('says when the next token is there, and it is', () => {
    const limiter = new RateLimiter(spec({ rate: 500, burst: 7 }), 0);
    admitted(limiter, 0.5);
    expect(limiter.refusal(1)).to.deep.equal({
      code: 'rate_limited',
      text: 'at most 500 calls per 1s; retry in 2 ms',
      retryAfterMs: 2,
      section: 'rateLimit',
    });
    expect([admitted(limiter, 2), admitted(limiter, 3)]).to.deep.equal([0, 1]);
  });

  it('gives the token of an attempt that never started back, never above the burst', () => {
    const limiter = new RateLimiter(spec({ burst: 2 }), 0);
    admitted(limiter, 0, 1);
    for (let i = 0; i < 5; i++) limiter.undo();
    expect(admitted(limiter, 0)).to.equal(2);
  });

  it('gains nothing by a clock that stands still or jumps back', () => {
    const limiter = new RateLimiter(spec(), 5_000);
    admitted(limiter, 5_000);
    expect([5_000, 1_000, 0, 5_000, 5_099].map((now) => admitted(limiter, now))).to.deep.equal([
      0, 0, 0, 0, 0,
    ]);
    expect(admitted(limiter, 5_100)).to.equal(1);
  });

  it('does not drift: a million small steps make as many tokens as one large one', () => {
    const limiter = new RateLimiter(spec({ rate: 7, perMs: 3_000, burst: 2 }), 0);
    let count = 0;
    for (let step = 0; step <= 1_200_000; step++) count += admitted(limiter, step * 0.25, 2);
    expect(count).to.equal(2 + (300_000 * 7) / 3_000);
  });

  it('keeps its level under new settings, as far as the bucket holds it', () => {
    const limiter = new RateLimiter(spec(), 0);
    admitted(limiter, 0, 4);
    limiter.reconfigure(spec({ burst: 100 }), 0);
    expect(admitted(limiter, 0)).to.equal(6);
    limiter.reconfigure(spec({ rate: 100, burst: 100 }), 0);
    limiter.reconfigure(spec({ rate: 100, burst: 3 }), 1_000);
    expect(admitted(limiter, 1_000)).to.equal(3);
  });

  it('counts what it was asked for since the last time', () => {
    const limiter = new RateLimiter(spec({ burst: 2 }), 0);
    admitted(limiter, 0, 5);
    expect([limiter.takeDemand(), limiter.takeDemand()]).to.deep.equal([5, 0]);
  });
});

describe('rate limiter of a cluster', () => {
  const shared = spec({ rate: 100, burst: 100, scope: 'cluster' });

  it('takes its even part of the limit until it is granted something', () => {
    const limiter = new RateLimiter(shared, 0, { agents: 4, sinceMs: 0 });
    expect([0, 480, 10_000].map((now) => admitted(limiter, now))).to.deep.equal([1, 12, 25]);
  });

  it('starts with one token, and with its share saved up where that has been its own for an interval', () => {
    const first = (sinceMs: number) =>
      admitted(new RateLimiter(shared, 10_000, { agents: 4, sinceMs }), 10_000);
    expect([20_000, 10_000, 9_800, 9_000, 0].map(first)).to.deep.equal([1, 1, 6, 25, 25]);
  });

  it('takes a token each interval while nobody has said among how many the limit is divided', () => {
    const limiter = new RateLimiter(shared, 0, { agents: Number.POSITIVE_INFINITY, sinceMs: 0 });
    expect([0, 999, 1_000, 60_000].map((now) => admitted(limiter, now))).to.deep.equal([1, 0, 1, 1]);
    limiter.share(10, 60_000);
    expect([60_500, 70_000].map((now) => admitted(limiter, now))).to.deep.equal([5, 10]);
  });

  it('is not held up by being told among how many the limit is divided, and is none the richer', () => {
    const limiter = new RateLimiter(shared, 0, { agents: 4, sinceMs: -1_000 });
    limiter.share(2, 0);
    expect(admitted(limiter, 0)).to.equal(25);
    limiter.share(20, 0);
    expect(admitted(limiter, 1_000)).to.equal(5);
    limiter.grant(40, 1_000, 5_000, 2, 1_000);
    limiter.share(100, 1_000);
    expect(admitted(limiter, 2_000)).to.equal(40);
  });

  it('fills by its grant, and saves up no more than an interval of it', () => {
    const limiter = new RateLimiter(shared, 0);
    limiter.grant(40, 1_000, 5_000, 1, 0);
    expect([0, 500, 4_000].map((now) => admitted(limiter, now))).to.deep.equal([1, 20, 40]);
    expect(limiter.refusal(4_000).text).to.equal(
      'at most 100 calls per 1s in the mesh, 40 per 1s of them here; retry in 25 ms',
    );
  });

  it('falls back to an even part among those who used the limit when its grant is cut off, and not before', () => {
    const limiter = new RateLimiter(shared, 0, { agents: 50, sinceMs: 0 });
    limiter.grant(40, 1_000, 2_000, 10, 0);
    admitted(limiter, 1_900);
    // 100 ms by the grant make 4, 400 ms by the even part make 4.
    expect(admitted(limiter, 2_400)).to.equal(8);
    expect(admitted(limiter, 60_000)).to.equal(10);
  });

  it('falls back to an even part among all when its grant ran out because it asked for nothing', () => {
    const limiter = new RateLimiter(shared, 0, { agents: 50, sinceMs: 0 });
    limiter.grant(100, 1_000, 5_000, 1, 0);
    admitted(limiter, 1_900);
    expect(admitted(limiter, 60_000)).to.equal(2);
  });

  it('waits for the next grant when it was granted nothing', () => {
    const limiter = new RateLimiter(shared, 0);
    limiter.grant(0, 1_000, 5_000, 1, 0);
    expect(admitted(limiter, 500)).to.equal(0);
    expect(limiter.refusal(500).retryAfterMs).to.equal(1_000);
    limiter.grant(10, 1_000, 5_000, 1, 1_000);
    expect(admitted(limiter, 1_500)).to.equal(5);
  });

  it('takes no grant without an interval', () => {
    const limiter = new RateLimiter(shared, 0);
    for (const [tokens, intervalMs] of [
      [0, 0],
      [10, 0],
      [0, Number.NaN],
    ] as const)
      limiter.grant(tokens, intervalMs, 5_000, 1, 0);
    admitted(limiter, 6_000);
    expect(admitted(limiter, 7_000)).to.equal(100);
    expect(limiter.refusal(7_000).text).to.equal('at most 100 calls per 1s; retry in 10 ms');
  });

  it('has one token per interval at least, where the limit has fewer than agents', () => {
    const slow = spec({ rate: 6, perMs: 60_000, burst: 6, scope: 'cluster' });
    expect(grantIntervalMs(slow)).to.equal(10_000);
    const limiter = new RateLimiter(slow, 0, { agents: 50, sinceMs: 0 });
    expect([0, 9_999, 10_000, 60_000].map((now) => admitted(limiter, now))).to.deep.equal([1, 0, 1, 1]);
  });

  it('forgets the grant when the limit becomes local', () => {
    const limiter = new RateLimiter(shared, 0);
    limiter.grant(40, 1_000, 5_000, 1, 0);
    limiter.reconfigure(spec(), 0);
    limiter.grant(40, 1_000, 5_000, 1, 0);
    expect([admitted(limiter, 0), admitted(limiter, 1_000)]).to.deep.equal([1, 10]);
  });
});

/** The level as one fraction with a denominator of its own: exact, and nothing lazy about it. */
class Twin {
  #level: bigint;
  #at: bigint;
  constructor(
    public spec: RateLimitSpec,
    now: number,
  ) {
    this.#level = this.#units(spec.burst);
    this.#at = ticks(now);
  }

  /** Units of a token: 1 per `perMs` in ticks. */
  #units(tokens: number): bigint {
    return BigInt(tokens) * BigInt(this.spec.perMs) * 1_000n;
  }

  #fill(now: number): void {
    const at = ticks(now);
    if (at <= this.#at) return;
    this.#level = least(this.#units(this.spec.burst), this.#level + (at - this.#at) * BigInt(this.spec.rate));
    this.#at = at;
  }

  admit(now: number): boolean {
    this.#fill(now);
    if (this.#level < this.#units(1)) return false;
    this.#level -= this.#units(1);
    return true;
  }

  undo(): void {
    this.#level = least(this.#units(this.spec.burst), this.#level + this.#units(1));
  }

  reconfigure(rate: number, burst: number, now: number): void {
    this.#fill(now);
    this.spec = { ...this.spec, rate, burst };
    this.#level = least(this.#units(burst), this.#level);
  }
}

function ticks(now: number): bigint {
  return BigInt(Math.floor(now * 1_000));
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

describe('rate limiter and its dumb twin', () => {
  walks('agree about every attempt, over 5,000 random deeds', 20, (random) => {
    const whole = (max: number) => 1 + Math.floor(random.next() * max);
    // Rates that have no divisor in common with the interval, too; changes keep to such, as a part is rounded when units change.
    const perMs = [1, 7, 1_000, 60_000][Math.floor(random.next() * 4)] as number;
    const prime = 1_009;
    const first = spec({ rate: prime, perMs, burst: whole(40) });
    const limiter = new RateLimiter(first, 0);
    const twin = new Twin(first, 0);
    const tokenMs = perMs / prime;
    let now = 0;
    for (let i = 0; i < 5_000; i++) {
      const deed = random.next();
      now += random.next() < 0.02 ? -random.next() * 100 * tokenMs : random.next() * 2 * tokenMs;
      if (deed < 0.9) expect(limiter.admit(ROW, now) === ADMITTED).to.equal(twin.admit(now));
      else if (deed < 0.97) {
        limiter.undo();
        twin.undo();
      } else {
        const [rate, burst] = [prime * (random.next() < 0.5 ? 1 : 11), whole(40)];
        limiter.reconfigure(spec({ rate, perMs, burst }), now);
        twin.reconfigure(rate, burst, now);
      }
    }
  });

  walks('agree that a refused caller finds a token when it was told to come back', 5, (random) => {
    const limiter = new RateLimiter(spec({ rate: 1 + Math.floor(random.next() * 5_000), burst: 5 }), 0);
    let now = 0;
    for (let i = 0; i < 1_000; i++) {
      now += Math.floor(random.next() * 8) / 8;
      if (limiter.admit(ROW, now) === ADMITTED) continue;
      const { retryAfterMs = 0 } = limiter.refusal(now);
      expect(retryAfterMs).to.be.at.least(1);
      now += retryAfterMs;
      expect(limiter.admit(ROW, now)).to.equal(ADMITTED);
    }
  });
});
