/**
 * Three replicas, a store that is slow or away, agents that come, go, break off and stop reading: at no moment are grants in
 * force that come to more than the limit and one interval's grants; and once everything is calm, they come to the limit. A fleet
 * that starts all at once, and one that was idle, keeps to that from its first second on.
 */
import { expect } from 'chai';
import type { Rates } from '../../../control-plane/rates/rates.js';
import type { Random } from '../../../core/random.js';
import { Fleet, stepMs } from '../../support/fleet.js';
import { walks } from '../../support/property.js';
import { Board, Policies, pass, RateAgent, rateReplica, settle } from '../../support/rates.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const STEP_MS = 50;
const REPORT_MS = 1000;

interface Place {
  rates: Rates;
  away: boolean;
}

class Mesh {
  readonly clock = new VirtualClock();
  readonly agents: RateAgent[] = [];
  readonly places: Place[] = [];
  calm = false;
  readonly #random: Random;
  readonly #policies = new Policies();
  readonly #board = new Board(this.clock);
  #named = 0;
  #steps = 0;

  constructor(random: Random, rateLimit: object, replicas: number) {
    this.#random = random;
    this.#policies.put('p', rateLimit);
    for (let i = 0; i < replicas; i++) this.#start(i);
    for (let i = 0; i < 4; i++) this.join();
  }

  get grantedPerSecond(): number {
    return this.agents.reduce((sum, agent) => sum + agent.perSecond(), 0);
  }

  join(): void {
    const agent = new RateAgent(`a${++this.#named}`, this.clock, () => this.#random.next() * 400);
    agent.demand = this.#upTo(300);
    this.agents.push(agent);
    this.#connect(agent);
  }

  /** Something may happen; then a step of time passes, in which agents report. */
  async step(): Promise<void> {
    if (!this.calm) this.#happen();
    this.#steps++;
    for (const [i, agent] of this.agents.entries())
      if ((this.#steps * STEP_MS + i * 130) % REPORT_MS < STEP_MS) agent.ask();
    this.clock.advance(STEP_MS);
    await settle();
  }

  becomeCalm(): void {
    this.calm = true;
    for (const place of this.places) place.away = false;
    for (const agent of this.agents) {
      if (!agent.rates) this.#connect(agent);
      agent.blocked = false;
      agent.demand = 300;
    }
  }

  async close(): Promise<void> {
    const closing = this.places.map(({ rates }) => rates.close());
    await pass(this.clock, 3000);
    await Promise.all(closing);
  }

  #happen(): void {
    const agent = this.#one(this.agents);
    const place = this.#one(this.places);
    const what = this.#random.next();
    if (what < 0.1 && agent) agent.demand = this.#upTo(300);
    else if (what < 0.12 && this.agents.length < 12) this.join();
    else if (what < 0.14 && agent && this.agents.length > 2) {
      agent.leave(true);
      this.agents.splice(this.agents.indexOf(agent), 1);
    } else if (what < 0.17) agent?.leave(false);
    else if (what < 0.22) {
      if (agent && !agent.rates) this.#connect(agent);
    } else if (what < 0.24 && agent) agent.blocked = !agent.blocked;
    else if (what < 0.26 && place) place.away = !place.away;
    else if (what < 0.263) this.#crash(this.#upTo(this.places.length));
  }

  /** A replica dies without a word and is back as a new process. */
  #crash(index: number): void {
    const place = this.places[index];
    if (!place) return;
    for (const agent of this.agents) if (agent.rates === place.rates) agent.leave(false);
    place.away = true;
    void place.rates.close();
    this.#start(index);
  }

  #start(index: number): void {
    const place: { away: boolean } = { away: false };
    const delayMs = () => {
      if (place.away) return this.#random.next() < 0.5 ? undefined : Number.POSITIVE_INFINITY;
      return this.#random.next() * (!this.calm && this.#random.next() < 0.05 ? 1500 : 60);
    };
    const account = `r${index} ${++this.#named}`;
    const replica = { clock: this.clock, policies: this.#policies, board: this.#board, account, delayMs };
    this.places[index] = Object.assign(place, { rates: rateReplica(replica).rates });
  }

  #connect(agent: RateAgent): void {
    const place = this.#one(this.places);
    if (place) agent.connect(place.rates);
  }

  #one<T>(all: readonly T[]): T | undefined {
    return all[this.#upTo(all.length)];
  }

  #upTo(count: number): number {
    return Math.floor(this.#random.next() * count);
  }
}

describe('limits of the whole mesh, simulated', function () {
  this.timeout(60_000);
  for (const [limit, perSecond] of [
    [{ rate: 100 }, 100],
    [{ rate: 3000, per: '1m' }, 50],
    [{ rate: 5 }, 5],
  ] as const)
    for (const replicas of [1, 3])
      walks(
        `grants of ${perSecond}/s by ${replicas} never exceed the limit by more than themselves, and reach it`,
        3,
        async (random) => {
          const mesh = new Mesh(random, limit, replicas);
          const step = async () => {
            await mesh.step();
            const granted = mesh.grantedPerSecond;
            expect(granted, `at ${mesh.clock.now()}`).to.be.at.most(2 * perSecond * (1 + 1e-6));
            return granted;
          };
          for (let i = 0; i < 1200; i++) await step();
          mesh.becomeCalm();
          for (let i = 0; i < 500; i++) await step();
          let sum = 0;
          for (let i = 0; i < 100; i++) sum += await step();
          // Where one has one token more for a while and then another, both have it for the time that the message takes.
          // A replica's share comes down to whole tokens: little is lost of many, and up to one each of few.
          expect(sum / 100).to.be.within(perSecond * (perSecond < 10 ? 0.75 : 0.95), perSecond * 1.05);
          await mesh.close();
        },
      );
});

describe('a fleet under a limit of the whole mesh, simulated', function () {
  this.timeout(60_000);
  const LIMIT = 80;
  const seconds = async (fleet: Fleet, count: number, perSecond: (index: number) => number) => {
    for (let i = 0; i < (count * 1000) / stepMs; i++) await fleet.step(perSecond);
  };
  const busy = () => 200;
  const idle = () => 0;
  const kept = (fleet: Fleet, slack = 0) => {
    expect(fleet.worstSecond, 'the worst second').to.be.at.most(2 * LIMIT * (1 + slack));
    const last = fleet.admitted.slice(-2000 / stepMs).reduce((sum, count) => sum + count, 0);
    expect(last, 'the last two seconds').to.be.within(2 * LIMIT * 0.85, 2 * LIMIT * 1.1);
  };
  for (const replicas of [1, 3])
    for (const agents of [1, 8, 30]) {
      const name = `${agents} agents at ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`;
      const started = (random: Random) => {
        const fleet = new Fleet(random, { rate: LIMIT, burst: LIMIT }, replicas);
        for (let i = 0; i < agents; i++) fleet.join();
        return fleet;
      };

      walks(
        `${name} that start at once never exceed the limit by more than an interval's grants`,
        3,
        async (random) => {
          const fleet = started(random);
          await seconds(fleet, 8, busy);
          kept(fleet);
          await fleet.close();
        },
      );

      walks(`${name} don't either after they were idle, for however long`, 5, async (random) => {
        const fleet = started(random);
        await seconds(fleet, 4, busy);
        await seconds(fleet, 1 + Math.floor(random.next() * 12), idle);
        await seconds(fleet, 8, busy);
        // One that is called again just as it is given up for silent has what it saved, and others have its part already.
        kept(fleet, 0.05);
        await fleet.close();
      });

      walks(
        `${name} don't either when they are called for the first time long after they came`,
        3,
        async (random) => {
          const fleet = started(random);
          await seconds(fleet, 6, idle);
          await seconds(fleet, 8, busy);
          kept(fleet);
          await fleet.close();
        },
      );

      walks(`${name} don't either while they come one by one and are called at once`, 3, async (random) => {
        const fleet = new Fleet(random, { rate: LIMIT, burst: LIMIT }, replicas);
        while (fleet.size < agents) {
          fleet.join();
          await seconds(fleet, (stepMs / 1000) * Math.floor(random.next() * 8), busy);
        }
        await seconds(fleet, 8, busy);
        kept(fleet);
        await fleet.close();
      });
    }
});
