/**
 * What lies between: how long a message takes, whether it gets there, and in which order. Streams are TCP: what one side sends
 * arrives in order, a lost packet comes later and holds up what follows, and a cut is noticed by silence alone.
 */
import type { Loop } from './loop.js';

/** Milliseconds one way: at least `min`, mostly little more, at most `max`. */
export interface Latency {
  readonly min: number;
  readonly max: number;
}

/** A lost packet is sent again after so long. */
const RETRANSMIT_MS = 200;
const RETRANSMISSIONS_MAX = 5;

export class Network {
  /** Replicas that no agent reaches, and replicas that don't reach the store. */
  readonly cutFromAgents = new Set<number>();
  readonly cutFromStore = new Set<number>();
  /** Fraction of packets. */
  loss = 0;

  constructor(
    private readonly loop: Loop,
    private readonly agents: Latency,
    private readonly store: Latency,
  ) {}

  /** Between an agent and its replica. */
  agentDelay(): number {
    return this.#delay(this.agents);
  }

  storeDelay(): number {
    return this.#delay(this.store);
  }

  #delay({ min, max }: Latency): number {
    const spread = max - min;
    let delay = spread > 0 ? min + Math.min(spread, this.loop.exponential(spread / 4)) : min;
    for (let lost = 0; this.loss > 0 && lost < RETRANSMISSIONS_MAX; lost++) {
      if (this.loop.random.next() >= this.loss) break;
      delay += RETRANSMIT_MS * 2 ** lost;
    }
    return delay;
  }
}
