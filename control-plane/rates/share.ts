/**
 * How much of one limit a replica may give to its agents. Replicas never ask each other: each publishes what it claims, reads
 * what the others claim, and uses more only after a reading in which everything that is claimed fits under the limit.
 *
 * Why the parts never add up to more than the limit: what a replica uses is at no time more than what it has published. Take
 * the reading behind the last of all rises: there the others' claims, and so what they use, left room for it; since then
 * nobody's use has risen. It holds in whatever order replicas come, as long as the store tells what was written last. What is
 * no longer used, but may still be with agents, stays claimed by half, since agents together may exceed the limit by one
 * interval's grants. All figures are tokens per second. Pure: no IO, no clock.
 */

/** What one replica says of one limit. */
export interface Account {
  /** Agents that use the limit. */
  readonly agents: number;
  /** Calls they are asked for. */
  readonly demand: number;
  /** Of the limit, what nobody else may use. */
  readonly claim: number;
}

type Party = Pick<Account, 'agents' | 'demand'>;

export class Share {
  #used = 0;
  #claimed = 0;

  /** What may be granted. */
  get used(): number {
    return this.#used;
  }

  /** To be published. `exposure`: the sum of all grants that may be in force. */
  claim(exposure: number): number {
    this.#claimed = Math.max(this.#used, exposure / 2);
    return this.#claimed;
  }

  /** Others were read, after `claim` was published. Answers a claim to be published before more can be used, if any. */
  settle(limit: number, mine: Party, others: readonly Account[]): number | undefined {
    const target = shareOf(limit, mine, others);
    const room = Math.max(0, limit - others.reduce((sum, { claim }) => sum + claim, 0));
    // A use that is within its claim needs no room: those who have claimed too much won't use it.
    this.#used = Math.min(target, Math.max(this.#used, Math.min(this.#claimed, room)));
    const wanted = Math.min(target, room);
    if (wanted <= this.#claimed * (1 + PRECISION)) return undefined;
    this.#claimed = wanted;
    return wanted;
  }

  /** The store has been away for too long to know what others do. */
  lose(): void {
    this.#used = 0;
  }
}

const PRECISION = 1e-9;

/**
 * As the agents would share it if all were at one replica (`splitGrants`), but in fractions: everybody is sure of an even part;
 * what some leave over goes to those who lack, in proportion to what they lack, and the rest is spread evenly.
 */
export function shareOf(limit: number, mine: Party, others: readonly Party[]): number {
  const all = [mine, ...others];
  const agents = all.reduce((sum, party) => sum + party.agents, 0);
  if (agents === 0) return 0;
  const given = (party: Party) => Math.min(party.demand, (limit * party.agents) / agents);
  const lack = (party: Party) => Math.max(0, Math.min(party.demand, limit) - given(party));
  const left = Math.max(0, limit - all.reduce((sum, party) => sum + given(party), 0));
  const lacking = all.reduce((sum, party) => sum + lack(party), 0);
  if (left < lacking) return given(mine) + (left * lack(mine)) / lacking;
  return given(mine) + lack(mine) + ((left - lacking) * mine.agents) / agents;
}
