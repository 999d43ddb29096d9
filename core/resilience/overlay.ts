/**
 * What lies over a circuit's own machine, and may keep a call from it: whether it is enforced at all, who holds it open, and what the
 * mesh says of it. Each has its own owner and its own end; none touches what the machine has decided, which shows again once they
 * are gone. Most circuits never have any and share one that is bare.
 */
import type { Random } from '../random.js';
import type { CircuitMode, CircuitStateName } from './circuit-state.js';
import { DIRECTED_RETRY_MS, Direction, type DirectionSpec, withReason } from './direction.js';
import type { Refusal } from './gate.js';
import { Holds } from './holds.js';
import { ProbePermits } from './probe-permits.js';

/** The machine decides; nobody lets the call through; it has a probe permit of the mesh. */
export type Passage = 'machine' | 'none' | { readonly permit: number };

const noHolds = new Holds();

export class Overlay {
  #holds: Holds = noHolds;
  #direction: Direction | undefined = undefined;
  /** Made by the first direction that has permits. */
  #probes: ProbePermits | undefined = undefined;

  constructor(public mode: CircuitMode) {}

  /** What the machine says is what callers get. */
  get plain(): boolean {
    const { mode } = this;
    return mode === 'enforce' && this.#holds.size === 0 && (this.#direction?.idle ?? true);
  }

  /** The state that callers get, over a machine in state `local`. */
  shown(local: CircuitStateName, now: number): CircuitStateName {
    if (this.mode === 'disabled') return 'disabled';
    return now < this.#holds.endsAt ? 'forced-open' : this.directed(local, now);
  }

  /** The same, of the mesh alone. */
  directed(local: CircuitStateName, now: number): CircuitStateName {
    return this.#directed(now)?.over(local) ?? local;
  }

  /** Which way the next call goes. What has run out must have been dropped. */
  passage(random: Random): Passage {
    if (this.#holds.size > 0) return 'none';
    if (this.#direction === undefined) return 'machine';
    if (this.#direction.state === 'half-open') {
      const permit = this.#probes?.draw();
      return permit === undefined ? 'none' : { permit };
    }
    return this.#direction.lets(random) ? 'machine' : 'none';
  }

  /** `localMs`: until the machine itself has a chance for a call. */
  retryAfterMs(localMs: number, now: number): number {
    if (now < this.#holds.endsAt) return Math.ceil(this.#holds.endsAt - now);
    const state = this.#directed(now)?.state;
    if (state === 'open' || state === 'forced-open') return DIRECTED_RETRY_MS;
    if (state === 'half-open') return this.#probes?.available ? 0 : DIRECTED_RETRY_MS;
    return localMs;
  }

  /** Why it, or the machine, has just turned a call away. */
  refusal(localMs: number, now: number): Refusal {
    const direction = now < this.#holds.endsAt ? undefined : this.#directed(now);
    if (direction && !direction.idle && !(direction.state === 'ramping' && localMs > 0))
      return direction.refusal();
    const retryAfterMs = this.retryAfterMs(localMs, now);
    if (!Number.isFinite(retryAfterMs))
      return { code: 'circuit_open', text: 'forced open until it is released', section: 'circuit' };
    return { code: 'circuit_open', text: `retry in ${retryAfterMs} ms`, retryAfterMs, section: 'circuit' };
  }

  /** What the mesh says of it at present, in words; undefined: nothing. */
  saying(now: number): string | undefined {
    return this.#directed(now)?.text;
  }

  hold(endsAt: number): number {
    if (this.#holds === noHolds) this.#holds = new Holds();
    return this.#holds.add(endsAt);
  }

  release(hold: number): boolean {
    return this.#holds.remove(hold);
  }

  /** Takes the place of what the mesh said before; undefined: nothing any more. Answers why what it shows may change. */
  direct(spec: DirectionSpec | undefined, now: number): string {
    if (spec === undefined || spec.state === 'closed') {
      this.#undirected();
      return spec === undefined ? LAPSED : withReason('the mesh closed it', spec.reason);
    }
    this.#direction = new Direction(spec, spec.state, now);
    if (spec.state === 'half-open') this.#probing().offer(spec.epoch, spec.permits);
    else this.#probes?.withdraw();
    return this.#direction.text;
  }

  /** Drops what the mesh said, if its time is over by `now`. Answers why what it shows may change; undefined: it isn't. */
  lapse(now: number): string | undefined {
    if (this.#direction === undefined || now < this.#direction.endsAt) return undefined;
    this.#undirected();
    return LAPSED;
  }

  /** Drops holds that have run out by `now`; the same answer, once the last of them has. */
  expire(now: number): string | undefined {
    if (this.#holds.size === 0) return undefined;
    this.#holds.expire(now);
    return this.#holds.size === 0 ? 'the hold ran out' : undefined;
  }

  /** The attempt in `row` was let through by this permit; `epoch` of the machine, 0 if that counts it not. */
  probeBegan(row: number, permit: number, epoch: number): void {
    this.#probing().began(row, { permit, epoch });
  }

  probeEnded(row: number): { readonly permit: number; readonly epoch: number } | undefined {
    return this.#probes?.ended(row);
  }

  #probing(): ProbePermits {
    this.#probes ??= new ProbePermits();
    return this.#probes;
  }

  #undirected(): void {
    this.#direction = undefined;
    this.#probes?.withdraw();
  }

  #directed(now: number): Direction | undefined {
    const direction = this.#direction;
    return direction !== undefined && now < direction.endsAt ? direction : undefined;
  }
}

const LAPSED = 'the mesh says nothing of it any more';

/** Enforcing, and nothing over it: of all circuits that never had anything. Nobody may change it. */
export const bare = new Overlay('enforce');
