/**
 * What the mesh says of this agent's circuits. A directive holds for its TTL, on this process's clock from receipt, and only one that
 * isn't older than what was heard before is taken (`core/coordination/fence.ts`). Circuits that don't exist yet find theirs when they
 * are made, so that a service that starts during an outage makes no call that fails. A control plane that goes away ends nothing
 * at once: what it said lapses, and the local circuits rule.
 *
 * Bound: 10,000 circuits, of further ones nothing is kept; no timer of its own.
 */
import type { Clock } from '../core/clock.js';
import { Fence } from '../core/coordination/fence.js';
import type { Circuit, CircuitStateName } from '../core/resilience/circuit.js';
import type { DirectionSpec } from '../core/resilience/direction.js';
import type { Directive } from '../proto/messages.js';
import type { Logger } from './logger.js';
import { Expiry, type Timeouts } from './timeouts.js';

export interface DirectionsOptions {
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  readonly logger: Logger;
  /** A circuit that is enforced here; undefined: nobody has called yet. */
  find(id: string): Circuit | undefined;
}

const CIRCUITS_MAX = 10_000;
/** No word is believed for longer, whatever it says of itself. */
const TTL_MAX_MS = 3_600_000;

const states: ReadonlySet<string> = new Set<DirectionSpec['state']>([
  'closed',
  'open',
  'half-open',
  'ramping',
  'forced-open',
  'forced-closed',
]);

/** What was said of one circuit. */
class Said extends Expiry {
  constructor(
    readonly spec: DirectionSpec,
    readonly endsAt: number,
    private readonly lapse: () => void,
  ) {
    super();
  }

  override expire(): void {
    this.lapse();
  }
}

export class Directions {
  readonly #options: DirectionsOptions;
  readonly #fence = new Fence();
  readonly #said = new Map<string, Said>();
  #dataset = '';
  #complained = false;

  constructor(options: DirectionsOptions) {
    this.#options = options;
  }

  /** Circuits that the mesh says something of. */
  get size(): number {
    return this.#said.size;
  }

  /** The data that the control plane speaks of from now on: of other data, its numbers can't be compared with those from before. */
  use(dataset: string): void {
    if (dataset !== '') this.#dataset = dataset;
  }

  take(directives: readonly Directive[]): void {
    const now = this.#options.clock.now();
    for (const { circuit, state, circuitEpoch: epoch, ...rest } of directives) {
      if (!states.has(state)) continue;
      if (!this.#fence.accept(this.#dataset, { circuit, epoch, seq: rest.seq }, now)) continue;
      const { permits, reason } = rest;
      const admitPercent = Math.min(100, rest.admitPercent);
      const ttlMs = Math.min(TTL_MAX_MS, rest.ttlMs);
      const spec = { state: state as DirectionSpec['state'], epoch, admitPercent, permits, ttlMs, reason };
      this.#hold(circuit, spec, now);
    }
  }

  /** This circuit has just been made. */
  made(id: string, circuit: Circuit): void {
    const said = this.#said.get(id);
    const now = this.#options.clock.now();
    if (said && now < said.endsAt) circuit.direct({ ...said.spec, ttlMs: said.endsAt - now }, now);
  }

  /** What a circuit that doesn't exist yet will be; undefined: the mesh says nothing of it. */
  of(id: string): CircuitStateName | undefined {
    const said = this.#said.get(id);
    return said && this.#options.clock.now() < said.endsAt ? said.spec.state : undefined;
  }

  close(): void {
    for (const said of this.#said.values()) this.#options.timeouts.lift(said);
    this.#said.clear();
  }

  #hold(id: string, spec: DirectionSpec, now: number): void {
    const { timeouts, find } = this.#options;
    const former = this.#said.get(id);
    if (former) timeouts.lift(former);
    this.#said.delete(id);
    if (spec.state === 'closed' || spec.ttlMs === 0) {
      find(id)?.direct(spec.state === 'closed' ? spec : undefined, now);
      return;
    }
    if (this.#said.size >= CIRCUITS_MAX) {
      this.#complain(id);
      find(id)?.direct(undefined, now);
      return;
    }
    const said = new Said(spec, now + spec.ttlMs, () => this.#lapsed(id));
    this.#said.set(id, said);
    timeouts.set(said, now, spec.ttlMs);
    find(id)?.direct(spec, now);
  }

  #lapsed(id: string): void {
    this.#said.delete(id);
    this.#options.find(id)?.direct(undefined, this.#options.clock.now());
  }

  #complain(circuit: string): void {
    if (this.#complained) return;
    this.#complained = true;
    const text = 'the mesh directs too many circuits: further ones decide by themselves';
    this.#options.logger.warn({ circuit, circuits: CIRCUITS_MAX }, text);
  }
}
