/**
 * A fleet of agents that calls under one limit of the whole mesh, with everything but sockets: the limiters of the agents, the
 * replicas' grants and what they count and tell of each other, and streams and a store that take their time.
 */
import { Crowd } from '../../control-plane/rates/crowd.js';
import type { Rates } from '../../control-plane/rates/rates.js';
import type { RateLimitSpec } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import { ADMITTED } from '../../core/resilience/gate.js';
import { RateLimiter } from '../../core/resilience/rate.js';
import { Board, Policies, RateAgent, rateReplica, settle } from './rates.js';
import { VirtualClock } from './virtual-clock.js';

export const stepMs = 50;
const REPORT_MS = 1000;
const ID = 'inventory|p';

interface Place {
  readonly rates: Rates;
  readonly crowd: Crowd;
  /** As the others read it last. */
  published: number;
}

interface Caller {
  readonly agent: RateAgent;
  readonly place: Place;
  readonly limiter: RateLimiter;
  /** Of its reports. */
  readonly phaseMs: number;
  asked: number;
  told: number;
}

export class Fleet {
  readonly clock = new VirtualClock();
  /** Calls that were admitted in each step. */
  readonly admitted: number[] = [];
  readonly #callers: Caller[] = [];
  readonly #places: Place[] = [];
  readonly #random: Random;
  readonly #policies = new Policies();
  readonly #spec: RateLimitSpec;
  #owed = 0;

  constructor(random: Random, rateLimit: object, replicas: number) {
    this.#random = random;
    this.#policies.put('p', rateLimit);
    this.#spec = this.#policies.policy('p')?.policy.spec.rateLimit as RateLimitSpec;
    const board = new Board(this.clock);
    for (let i = 0; i < replicas; i++) {
      const crowd = new Crowd();
      const { rates } = rateReplica({
        clock: this.clock,
        policies: this.#policies,
        board,
        account: `r${i}`,
        delayMs: () => random.next() * 40,
        sharers: () => crowd.of({ callee: 'inventory', from: undefined }),
      });
      this.#places.push({ rates, crowd, published: 0 });
    }
  }

  get size(): number {
    return this.#callers.length;
  }

  /** Connects, and can be called from then on. */
  join(): void {
    const place = this.#places[this.size % this.#places.length] as Place;
    const agent = new RateAgent(`a${this.size}`, this.clock, () => this.#random.next() * 40).connect(
      place.rates,
    );
    const now = this.clock.now();
    const limiter = new RateLimiter(this.#spec, now, { agents: Number.POSITIVE_INFINITY, sinceMs: now });
    agent.onGrants = ({ grants, ttlMs }) => {
      for (const { tokens, intervalMs, agents } of grants)
        limiter.grant(tokens, intervalMs, ttlMs, agents, this.clock.now());
    };
    const phaseMs = this.#random.next() * REPORT_MS;
    this.#callers.push({ agent, place, limiter, phaseMs, asked: 0, told: 0 });
  }

  /** Each agent is asked for so many calls a second, or as many as it says itself. */
  async step(perSecond: (index: number) => number): Promise<void> {
    const now = this.clock.now();
    if (now % 1000 < stepMs) for (const place of this.#places) place.published = this.#at(place).length;
    for (const place of this.#places) this.#count(place, now);
    let admitted = 0;
    for (const [i, caller] of this.#callers.entries()) {
      this.#owed += (perSecond(i) * stepMs) / 1000;
      for (; this.#owed >= 1; this.#owed--) {
        caller.asked++;
        if (caller.limiter.admit(0, now) === ADMITTED) admitted++;
      }
      if ((now + caller.phaseMs) % REPORT_MS >= stepMs) continue;
      caller.agent.ask(ID, caller.asked);
      caller.asked = 0;
    }
    this.admitted.push(admitted);
    this.clock.advance(stepMs);
    await settle();
  }

  /** The most that was admitted within any second. */
  get worstSecond(): number {
    const steps = 1000 / stepMs;
    let worst = 0;
    for (let i = 0; i < this.admitted.length; i++)
      worst = Math.max(
        worst,
        this.admitted.slice(i, i + steps).reduce((sum, count) => sum + count, 0),
      );
    return worst;
  }

  async close(): Promise<void> {
    const closing = this.#places.map(({ rates }) => rates.close());
    for (let i = 0; i < 60; i++) {
      this.clock.advance(stepMs);
      await settle();
    }
    await Promise.all(closing);
  }

  #at(place: Place): Caller[] {
    return this.#callers.filter((caller) => caller.place === place);
  }

  #count(place: Place, now: number): void {
    const population = (agents: number) => [{ service: 'shop', agents, callees: new Set(['inventory']) }];
    const here = this.#at(place);
    const others = this.#places.filter((one) => one !== place);
    place.crowd.count(
      population(here.length),
      others.map(({ published }) => population(published)),
      now,
    );
    const agents = place.crowd.of({ callee: 'inventory', from: undefined });
    for (const caller of here) {
      if (caller.told === agents) continue;
      caller.told = agents;
      caller.limiter.share(agents, now);
    }
  }
}
