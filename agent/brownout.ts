/**
 * Which optional features run in this process, as the control plane last said. Asked on the way of calls, so an answer is one look
 * into a map and reads no clock: the end of a level is a timer's business. A control plane that goes away changes nothing before
 * that end, and nothing at all where there is none.
 *
 * Bound: the 1,000 features that the wire lets through, 1,000 that were only asked for here, one timer.
 */
import { levelOfUnknown } from '../core/brownout/schema.js';
import type { Clock, Timer } from '../core/clock.js';
import type { Brownout as BrownoutMessage } from '../proto/messages.js';
import type { BrownoutEvent, BrownoutStatus } from './events.js';
import type { Snapshot } from './snapshot.js';

export interface BrownoutOptions {
  readonly clock: Clock;
  /** The level or its reason is another. */
  onChange(event: BrownoutEvent): void;
}

/** Names of a caller's making must not fill the memory. */
const ASKED_MAX = 1000;
const FEATURE_LENGTH_MAX = 128;

const nothing: BrownoutMessage = { level: 0, features: [], ttlMs: 0, reason: '', revision: 0 };

export class Brownout {
  readonly #clock: Clock;
  readonly #onChange: (event: BrownoutEvent) => void;
  #level = 0;
  #reason = '';
  /** From which level on each is off: those that were named, and those that were asked for. */
  #features = new Map<string, number>();
  /** Asked for here while nobody had named them. */
  readonly #asked = new Set<string>();
  #said = nothing;
  /** Monotonic; undefined: until the next word. */
  #endsAtMs: number | undefined;
  #end: Timer | undefined;

  constructor({ clock, onChange }: BrownoutOptions) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** True: the feature should run. */
  runs(feature: string): boolean {
    return this.#level < (this.#features.get(feature) ?? this.#meet(feature));
  }

  /** One that nobody has named. */
  #meet(feature: string): number {
    if (this.#asked.size < ASKED_MAX && feature.length <= FEATURE_LENGTH_MAX) {
      this.#asked.add(feature);
      this.#features.set(feature, levelOfUnknown);
    }
    return levelOfUnknown;
  }

  /** The whole of it; it replaces what was said before. */
  take(said: BrownoutMessage): void {
    const { level, features, ttlMs, reason } = said;
    this.#end?.cancel();
    this.#end = undefined;
    this.#said = said;
    this.#features = new Map(features.map(({ name, level: off }) => [name, Math.max(1, off)]));
    for (const feature of this.#asked)
      if (!this.#features.has(feature)) this.#features.set(feature, levelOfUnknown);
    this.#endsAtMs = ttlMs === 0 ? undefined : this.#clock.now() + ttlMs;
    if (ttlMs > 0) this.#end = this.#clock.after(ttlMs, () => this.lift());
    this.#set(level, reason);
  }

  /** Everything runs again, until the next word. */
  lift(): void {
    this.take({ ...this.#said, level: 0, ttlMs: 0, reason: '', revision: 0 });
  }

  status(): BrownoutStatus {
    const off = [...this.#features].flatMap(([feature, from]) => (this.#level < from ? [] : [feature]));
    return { level: this.#level, reason: this.#reason, ttlMs: this.#leftMs(), off };
  }

  /** For the disk; undefined: everything runs. */
  save(): Snapshot['brownout'] {
    if (this.#level === 0) return undefined;
    const { level, reason, revision } = this.#said;
    const leftMs = this.#leftMs();
    return {
      ...{ level, reason, revision },
      features: [...this.#said.features],
      // Zero has a meaning of its own.
      ttlMs: leftMs === undefined ? 0 : Math.max(1, leftMs),
    };
  }

  /** Goes on from what a former process saved so long ago; a time that is over by then ended it. */
  restore(saved: NonNullable<Snapshot['brownout']>, awayMs: number): void {
    if (saved.ttlMs === 0) this.take(saved);
    else if (awayMs < saved.ttlMs) this.take({ ...saved, ttlMs: Math.ceil(saved.ttlMs - awayMs) });
  }

  close(): void {
    this.#end?.cancel();
  }

  /** Whole, and never over before its end. */
  #leftMs(): number | undefined {
    if (this.#endsAtMs === undefined) return undefined;
    return Math.max(0, Math.ceil(this.#endsAtMs - this.#clock.now()));
  }

  #set(level: number, reason: string): void {
    const changed = level !== this.#level || reason !== this.#reason;
    this.#level = level;
    this.#reason = reason;
    if (changed) this.#onChange({ level, reason });
  }
}
