/**
 * A called service: instances that answer, fail or take long, by themselves or for the callers of one zone, and how many calls a
 * second it can stand. What it did to each attempt is all that a caller sees of it.
 */
import type { Loop } from './loop.js';

export type Fate =
  | { readonly kind: 'healthy' }
  /** UNAVAILABLE at once. */
  | { readonly kind: 'dead' }
  | { readonly kind: 'slow'; readonly ms: number }
  /** This fraction of its calls fails. */
  | { readonly kind: 'fails'; readonly rate: number };

const healthy: Fate = { kind: 'healthy' };
/** As long as a caller waits for a connection that is refused. */
const DEAD_MS = 1;
const SECOND_MS = 1_000;

export class Callee {
  /** Of the attempt that `answer` was asked for last. */
  failed = false;
  tookMs = 0;
  /** Attempts that a sick instance, or a sick whole, has been asked: since when it is sick, undefined: it is well. */
  sickSince: number | undefined;
  readonly #fates: Fate[];
  readonly #zones = new Map<string, Fate>();
  /** Calls a second that it can stand; Infinity: any. */
  #capacity = Number.POSITIVE_INFINITY;
  #tokens = 0;
  #filledAt = 0;

  constructor(
    readonly name: string,
    readonly endpoints: readonly string[],
    private readonly latencyMs: number,
    private readonly loop: Loop,
  ) {
    this.#fates = endpoints.map(() => healthy);
  }

  /** `from` to `to` of its instances, from 0. */
  become(fate: Fate, from = 0, to = this.endpoints.length - 1): void {
    for (let at = from; at <= to; at++) this.#fates[at] = fate;
    this.#noteHealth();
  }

  becomeFor(zone: string, fate: Fate): void {
    if (fate.kind === 'healthy') this.#zones.delete(zone);
    else this.#zones.set(zone, fate);
    this.#noteHealth();
  }

  /** Calls beyond so many a second fail; a tenth of a second's worth may come at once. */
  stand(callsPerSecond: number): void {
    this.#capacity = callsPerSecond;
    this.#tokens = callsPerSecond / 10;
    this.#filledAt = this.loop.now;
  }

  /** What becomes of an attempt now: in `failed` and `tookMs`. */
  answer(endpoint: number, zone: string): void {
    const fate = this.#zones.get(zone) ?? (this.#fates[endpoint] as Fate);
    this.failed = fate.kind === 'dead' || (fate.kind === 'fails' && this.loop.random.next() < fate.rate);
    if (this.#capacity !== Number.POSITIVE_INFINITY && !this.failed) this.failed = !this.#takeToken();
    if (fate.kind === 'slow') this.tookMs = fate.ms * (0.9 + 0.2 * this.loop.random.next());
    else this.tookMs = this.failed ? DEAD_MS : this.latencyMs * (0.5 + this.loop.random.next());
  }

  #takeToken(): boolean {
    const { now } = this.loop;
    const filled = ((now - this.#filledAt) * this.#capacity) / SECOND_MS;
    this.#tokens = Math.min(this.#capacity / 10, this.#tokens + filled);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #noteHealth(): void {
    const sick = this.#zones.size > 0 || this.#fates.some(({ kind }) => kind !== 'healthy');
    if (!sick) this.sickSince = undefined;
    else this.sickSince ??= this.loop.now;
  }
}
