/**
 * What operators have decided of circuits, while its time lasts: overrides and the kill switch of the mirror's document. A decision
 * that was just written has all of its time before it, whatever the clocks of two machines say; one that was found in the store has
 * what the wall clock leaves of it; from there on the monotonic clock counts. One timer, for the decision that ends next.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Override } from '../core/coordination/contract.js';
import { type Decision, OVERRIDES_MAX } from '../core/coordination/overrides.js';
import { messageOf } from '../core/errors.js';
import type { Mirror, Overrides } from './ports.js';
import type { Logger } from './telemetry/logger.js';

/** Timers take no more than 2^31 ms, and an early look is harmless. */
const LOOK_AGAIN_MS = 3_600_000;
/** So long afterwards agents still hear that an override is over. */
const LATELY_MS = 60_000;

export interface OverridesOptions {
  readonly mirror: Pick<Mirror, 'overrides' | 'on'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createOverrides(options: OverridesOptions): Overrides {
  return new OverrideKeeper(options);
}

class OverrideKeeper implements Overrides {
  readonly #mirror: OverridesOptions['mirror'];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<(circuits: ReadonlySet<string>) => void>();
  readonly #stop: () => void;
  /** Also those whose time is over, until a write takes them out of the document. */
  #overrides: ReadonlyMap<string, Override> = new Map();
  #freeze: Omit<Override, 'state'> | undefined;
  /** When the decision of a change ends; of another dataset's the same number may be another decision. */
  #ends: ReadonlyMap<number, { readonly setAt: number; readonly endsAt: number }> = new Map();
  /** Circuits whose override holds, as was told last. */
  #told: ReadonlySet<string> = new Set();
  #toldFrozen = '';
  /** Circuits whose override is over, and when it ended. */
  #over: ReadonlyMap<string, number> = new Map();
  #lately: ReadonlySet<string> = new Set();
  #next: Timer | undefined;

  constructor({ mirror, clock, logger }: OverridesOptions) {
    this.#mirror = mirror;
    this.#clock = clock;
    this.#logger = logger;
    this.#stop = mirror.on('overrides', (how) => this.#take(how));
    if (mirror.overrides) this.#take('loaded');
  }

  override(circuit: string): Override | undefined {
    const found = this.#overrides.get(circuit);
    return found && this.#holds(found) ? found : undefined;
  }

  all(): ReadonlyMap<string, Override> {
    return new Map([...this.#overrides].filter(([, override]) => this.#holds(override)));
  }

  lately(): ReadonlySet<string> {
    return this.#lately;
  }

  frozen(): string {
    const freeze = this.freeze();
    return freeze ? `frozen by ${freeze.author}: ${freeze.reason}` : '';
  }

  freeze(): Omit<Override, 'state'> | undefined {
    return this.#freeze && this.#holds(this.#freeze) ? this.#freeze : undefined;
  }

  isOver(change: number): boolean {
    const end = this.#ends.get(change);
    return end !== undefined && !this.#holds(end);
  }

  onChange(listener: (circuits: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#stop();
    this.#next?.cancel();
    this.#listeners.clear();
  }

  #holds({ endsAt }: { readonly endsAt: number }): boolean {
    return this.#clock.now() < endsAt;
  }

  /** The mirror has another document. A decision that was there before keeps the end that it has. */
  #take(how: 'told' | 'loaded'): void {
    const setting = this.#mirror.overrides?.setting;
    const now = this.#clock.now();
    const wallNow = this.#clock.wallNow();
    const ends = new Map<number, { readonly setAt: number; readonly endsAt: number }>();
    const hold = ({ reason, author, ttlMs, setAt, change }: Decision): Omit<Override, 'state'> => {
      const passedMs = how === 'told' ? 0 : wallNow - setAt;
      const leftMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : Math.min(ttlMs, ttlMs - passedMs);
      const known = this.#ends.get(change);
      const endsAt = known?.setAt === setAt ? known.endsAt : now + Math.max(0, leftMs);
      ends.set(change, { setAt, endsAt });
      return { reason, author, revision: change, endsAt };
    };
    const before = this.#overrides;
    this.#overrides = new Map(
      [...(setting?.overrides ?? [])].map(([circuit, forced]) => [
        circuit,
        { state: forced.state, ...hold(forced) },
      ]),
    );
    this.#freeze = setting?.frozen && hold(setting.frozen);
    this.#ends = ends;
    const others = [...this.#overrides].filter(
      ([circuit, { revision }]) => before.get(circuit)?.revision !== revision,
    );
    this.#tell(new Set(others.map(([circuit]) => circuit)));
  }

  /** `changed`: said anew, beside what has begun or ended to hold since the last time. */
  #tell(changed: ReadonlySet<string>): void {
    const held = new Set(this.all().keys());
    const frozen = this.frozen();
    const circuits = new Set([...changed].filter((circuit) => held.has(circuit)));
    for (const circuit of held) if (!this.#told.has(circuit)) circuits.add(circuit);
    for (const circuit of this.#told) if (!held.has(circuit)) circuits.add(circuit);
    const any = circuits.size > 0 || frozen !== this.#toldFrozen;
    if (frozen !== this.#toldFrozen)
      this.#logger.warn({ frozen }, frozen === '' ? 'circuits may open again' : 'no circuit opens');
    this.#remember(held);
    this.#told = held;
    this.#toldFrozen = frozen;
    this.#awaitEnd();
    if (!any) return;
    for (const listener of this.#listeners)
      try {
        listener(circuits);
      } catch (error) {
        this.#logger.error({ error: messageOf(error) }, 'a listener of the overrides failed');
      }
  }

  /** At most as many as there may be overrides, the last ones. */
  #remember(held: ReadonlySet<string>): void {
    const now = this.#clock.now();
    const over = new Map([...this.#over].filter(([, at]) => now - at < LATELY_MS));
    for (const circuit of this.#told) if (!held.has(circuit)) over.set(circuit, now);
    for (const circuit of held) over.delete(circuit);
    this.#over = new Map([...over].slice(-OVERRIDES_MAX));
    this.#lately = new Set([...held, ...this.#over.keys()]);
  }

  #awaitEnd(): void {
    this.#next?.cancel();
    this.#next = undefined;
    const now = this.#clock.now();
    let leftMs = Number.POSITIVE_INFINITY;
    for (const { endsAt } of this.#ends.values()) if (endsAt > now) leftMs = Math.min(leftMs, endsAt - now);
    for (const at of this.#over.values()) leftMs = Math.min(leftMs, at + LATELY_MS - now);
    if (leftMs === Number.POSITIVE_INFINITY) return;
    this.#next = this.#clock.after(Math.ceil(Math.min(leftMs, LOOK_AGAIN_MS)), () => this.#tell(new Set()));
  }
}
