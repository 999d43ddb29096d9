/**
 * What the agents of this process hear of the mesh's circuits, and what of it they accept: wrapped around the real parts, which go on
 * as before. A test that uses it lifts it again.
 */
import { Directions } from '../../agent/directions.js';
import { Fence } from '../../core/coordination/fence.js';
import type { Directive } from '../../proto/messages.js';

export interface Accepted {
  /** One of each agent. */
  readonly fence: Fence;
  readonly dataset: string;
  readonly circuit: string;
  readonly epoch: number;
  readonly seq: number;
  /** `performance.now()`. */
  readonly at: number;
}

export class HeardDirectives {
  readonly accepted: Accepted[] = [];
  /** Permits that any agent was given, by circuit and half-open epoch. */
  readonly permits = new Map<string, Map<number, Set<number>>>();
  readonly #accept = Fence.prototype.accept;
  readonly #take = Directions.prototype.take;

  constructor() {
    const { accepted } = this;
    const accept = this.#accept;
    const take = this.#take;
    Fence.prototype.accept = function (this: Fence, dataset, directive, now) {
      const is = accept.call(this, dataset, directive, now);
      const { circuit, epoch, seq } = directive;
      if (is) accepted.push({ fence: this, dataset, circuit, epoch, seq, at: performance.now() });
      return is;
    };
    const given = (directives: readonly Directive[]) => this.#given(directives);
    Directions.prototype.take = function (this: Directions, directives) {
      given(directives);
      take.call(this, directives);
    };
  }

  lift(): void {
    Fence.prototype.accept = this.#accept;
    Directions.prototype.take = this.#take;
  }

  /** How many half-open periods of a circuit agents have heard of that had permits for them. */
  periods(circuit: string): number {
    return this.permits.get(circuit)?.size ?? 0;
  }

  /** The most permits of any one period of any circuit. */
  get mostPermits(): number {
    const sizes = [...this.permits.values()].flatMap((epochs) =>
      [...epochs.values()].map(({ size }) => size),
    );
    return Math.max(0, ...sizes);
  }

  /** What an agent accepted although it had accepted something greater of the same data. */
  get backwards(): string[] {
    const last = new Map<string, Accepted>();
    const found: string[] = [];
    const fences = new Map<Fence, number>();
    for (const each of this.accepted) {
      const { fence, dataset, circuit, epoch, seq } = each;
      if (!fences.has(fence)) fences.set(fence, fences.size);
      const key = `${fences.get(fence)} ${dataset} ${circuit}`;
      const before = last.get(key);
      if (before && (epoch < before.epoch || (epoch === before.epoch && seq < before.seq)))
        found.push(`${circuit}: (${epoch}, ${seq}) after (${before.epoch}, ${before.seq})`);
      last.set(key, each);
    }
    return found;
  }

  /** The smallest epoch of a circuit that any agent has accepted since then. */
  leastEpochSince(circuit: string, at: number): number {
    const since = this.accepted.filter((each) => each.circuit === circuit && each.at >= at);
    return Math.min(Number.POSITIVE_INFINITY, ...since.map(({ epoch }) => epoch));
  }

  #given(directives: readonly Directive[]): void {
    for (const { circuit, state, circuitEpoch, permits } of directives) {
      if (state !== 'half-open' || permits.length === 0) continue;
      const epochs = this.permits.get(circuit) ?? new Map<number, Set<number>>();
      const all = epochs.get(circuitEpoch) ?? new Set();
      for (const permit of permits) all.add(permit);
      this.permits.set(circuit, epochs.set(circuitEpoch, all));
    }
  }
}
