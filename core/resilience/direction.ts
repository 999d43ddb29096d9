/**
 * What the mesh says of one agent's circuit, for as long as it says so. It only ever tightens: what it lets through, the circuit
 * itself still decides about. The one exception is a probe permit, which lets exactly one attempt through, past an open circuit too.
 *
 * Its time runs on this process's clock from receipt; then it says nothing any more.
 */
import type { ClusterDirective } from '../coordination/model.js';
import type { Random } from '../random.js';
import type { CircuitStateName } from './circuit-state.js';
import type { Refusal } from './gate.js';

/** Of a directive, what a circuit has to know. */
export type DirectionSpec = Pick<
  ClusterDirective,
  'state' | 'epoch' | 'admitPercent' | 'permits' | 'ttlMs' | 'reason'
>;

/** The mesh says when something changes, not when it will; callers come back after this. */
export const DIRECTED_RETRY_MS = 1_000;

export class Direction {
  readonly state: Exclude<DirectionSpec['state'], 'closed'>;
  readonly reason: string;
  readonly endsAt: number;
  readonly #admitPercent: number;

  constructor({ admitPercent, ttlMs, reason }: DirectionSpec, state: Direction['state'], now: number) {
    this.state = state;
    this.reason = reason;
    this.endsAt = now + ttlMs;
    this.#admitPercent = admitPercent;
  }

  /** It decides about no call. */
  get idle(): boolean {
    return this.state === 'forced-closed';
  }

  /** What callers get, of the mesh's state and the circuit's own: whichever lets less through. */
  over(local: CircuitStateName): CircuitStateName {
    const { state } = this;
    return local !== 'closed' && (state === 'ramping' || state === 'forced-closed') ? local : state;
  }

  /** Whether the circuit itself may decide about the next call. Probes are the permits' business. */
  lets(random: Random): boolean {
    if (this.state === 'ramping') return random.next() * 100 < this.#admitPercent;
    return this.state === 'forced-closed';
  }

  /** Why, in words, for who is told of the change. */
  get text(): string {
    const { state, reason } = this;
    if (state === 'ramping') return withReason(`the mesh lets ${this.#admitPercent} % through`, reason);
    return withReason(opening[state], reason);
  }

  refusal(): Refusal {
    const retry = `retry in ${DIRECTED_RETRY_MS} ms`;
    return {
      code: 'circuit_open',
      text: `${this.text}; ${retry}`,
      retryAfterMs: DIRECTED_RETRY_MS,
      section: 'circuit',
    };
  }
}

const opening = {
  open: 'the mesh opened it',
  'half-open': 'the mesh is probing',
  'forced-open': 'forced open for the whole mesh',
  'forced-closed': 'forced closed for the whole mesh',
} as const;

export function withReason(what: string, reason: string): string {
  return reason === '' ? what : `${what}: ${reason}`;
}
