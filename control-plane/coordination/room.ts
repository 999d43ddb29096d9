/**
 * The circuits of the mesh, this replica's part with everything around it: what agents report goes into the coordinator, once a
 * second it exchanges with the other replicas through the store, and what follows goes to agents, people and figures.
 */

import type { Clock } from '../../core/clock.js';
import type { ClusterTransition, ClusterView, Override } from '../../core/coordination/contract.js';
import { Coordinator } from '../../core/coordination/coordinator.js';
import type { Random } from '../../core/random.js';
import type { Circuits, Mirror } from '../ports.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';

export interface CircuitRoomOptions {
  readonly mirror: Pick<Mirror, 'dataset' | 'policy' | 'policies' | 'instances' | 'on'>;
  readonly store: Pick<Store, 'exchangeHealth' | 'putRecord' | 'hintCircuits'>;
  readonly replica: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What an operator says of this circuit at present; absent: nothing. */
  readonly override?: (circuit: string) => Override | undefined;
  /** The kill switch, in words; empty or absent: circuits may open. */
  readonly frozen?: () => string;
}

export class CircuitRoom implements Circuits {
  readonly #options: CircuitRoomOptions;
  readonly #coordinator: Coordinator;
  readonly #listeners = new Set<(change: ClusterTransition) => void>();

  constructor(options: CircuitRoomOptions) {
    this.#options = options;
    const { replica, random, override = () => undefined, frozen = () => '' } = options;
    this.#coordinator = new Coordinator({ replica, random, governed: () => undefined, override, frozen });
  }

  get frozen(): string {
    return this.#options.frozen?.() ?? '';
  }

  views(): readonly ClusterView[] {
    return this.#coordinator.views(this.#options.clock.now());
  }

  ejected(callee: string): ReadonlySet<string> {
    return this.#coordinator.ejected(callee, this.#options.clock.now());
  }

  onTransition(listener: (change: ClusterTransition) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  wake(): void {}

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
