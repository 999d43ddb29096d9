/**
 * Which optional features are off: the operator's level of the mirror's setting, while its time lasts, or the rules' where that is
 * higher. Each replica works it out for itself over the whole mesh; they may differ for a second, and agents go by their own
 * replica's last word. A level that rules brought is told anew every 20 s and lapses at an agent after a minute without: nobody
 * stays dimmed by a control plane that is gone. One timer, of a second, and only while there are rules; one for the time.
 */
import { evaluate, noStates, standing, type Verdict } from '../core/brownout/rules.js';
import type { OperatorLevel, Rule } from '../core/brownout/setting.js';
import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Brownout as BrownoutMessage } from '../proto/messages.js';
import { type Observed, signalsOf } from './brownout-signals.js';
import type { Brownout, BrownoutChange, BrownoutSource, BrownoutView, Mirror } from './ports.js';
import type { Logger } from './telemetry/logger.js';

const EVALUATE_MS = 1000;
const RULE_TTL_MS = 60_000;
const RENEW_MS = 20_000;
/** Agents come back to a replica that starts, and report what is open, within so long. */
const GATHER_MS = 5000;

const noOperator: OperatorLevel = { level: 0, reason: '', author: '', ttlMs: undefined, setAt: undefined };
const noRules: readonly Rule[] = [];

export interface BrownoutOptions {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createBrownout(options: BrownoutOptions): Brownout {
  return new BrownoutKeeper(options);
}

class BrownoutKeeper implements Brownout {
  readonly #mirror: Mirror;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changes = new Set<(change: BrownoutChange) => void>();
  readonly #versions = new Set<() => void>();
  readonly #stops: (() => void)[];
  #observed: Observed | undefined;
  #operator = noOperator;
  /** Monotonic; undefined: the operator's level has no end. */
  #endsAtMs: number | undefined;
  #end: Timer | undefined;
  #verdict: Verdict = { level: 0, reason: '', states: noStates };
  #ticking: Timer | undefined;
  #evaluating = false;
  /** Until then a level of 0 may only mean that the rules have not seen enough yet; agents keep what they hold. */
  #gatheringUntilMs: number | undefined;
  #version = 0;
  #versionAtMs = Number.NEGATIVE_INFINITY;
  #last: { readonly level: number; readonly key: string };

  constructor({ mirror, clock, logger }: BrownoutOptions) {
    this.#mirror = mirror;
    this.#clock = clock;
    this.#logger = logger;
    this.#stops = [
      mirror.on('brownout', (how) => this.#take(how)),
      // The first load, or another dataset, has something to say also where nobody has set anything.
      mirror.on('reset', () => this.#tell()),
    ];
    this.#last = { level: 0, key: this.#key() };
    if (mirror.brownout) this.#take('loaded');
  }

  get version(): number | undefined {
    if (this.#mirror.dataset === '' || (this.#gathering && this.#level().level === 0)) return undefined;
    return this.#version;
  }

  message(): BrownoutMessage {
    const { level, source, reason, ttlMs = 0, setting } = this.view();
    return {
      level,
      features: [...(setting?.setting.features ?? [])].map(([name, off]) => ({ name, level: off })),
      ttlMs: source === 'rule' ? RULE_TTL_MS : Math.ceil(ttlMs),
      reason,
      revision: source === 'operator' ? (setting?.revision ?? 0) : 0,
    };
  }

  view(): BrownoutView {
    const setting = this.#mirror.brownout;
    const { states } = this.#verdict;
    return {
      ...this.#level(),
      ttlMs: this.#endsAtMs === undefined ? undefined : Math.max(0, this.#endsAtMs - this.#clock.now()),
      setting,
      rules: (setting?.setting.rules ?? noRules).map((rule) => {
        const { on = false, evidence = '' } = states.get(rule.key) ?? {};
        return { rule, on, evidence };
      }),
    };
  }

  onChange(listener: (change: BrownoutChange) => void): () => void {
    this.#changes.add(listener);
    return () => void this.#changes.delete(listener);
  }

  onVersion(listener: () => void): () => void {
    this.#versions.add(listener);
    return () => void this.#versions.delete(listener);
  }

  observe(roster: Observed['roster'], circuits: Observed['circuits']): void {
    this.#observed = { roster, circuits };
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#end?.cancel();
    this.#ticking?.cancel();
    this.#changes.clear();
    this.#versions.clear();
  }

  get #rules(): readonly Rule[] {
    return this.#mirror.brownout?.setting.rules ?? noRules;
  }

  get #gathering(): boolean {
    return this.#gatheringUntilMs !== undefined && this.#clock.now() < this.#gatheringUntilMs;
  }

  #level(): { level: number; source: BrownoutSource; reason: string } {
    const over = this.#endsAtMs !== undefined && this.#clock.now() >= this.#endsAtMs;
    const { level, reason } = over ? noOperator : this.#operator;
    if (level > 0 && level >= this.#verdict.level) return { level, source: 'operator', reason };
    if (this.#verdict.level === 0) return { level: 0, source: 'none', reason: '' };
    return { level: this.#verdict.level, source: 'rule', reason: this.#verdict.reason };
  }

  /** The mirror has another setting. */
  #take(how: 'told' | 'loaded'): void {
    const operator = this.#mirror.brownout?.setting.operator ?? noOperator;
    if (!sameLevel(operator, this.#operator)) {
      this.#operator = operator;
      this.#setEnd(how);
      if (how === 'told') this.#gatheringUntilMs = undefined;
    }
    const rules = this.#rules;
    this.#verdict = standing(rules, this.#verdict.states);
    if (rules.length === 0) {
      this.#ticking?.cancel();
      this.#ticking = undefined;
      this.#gatheringUntilMs = undefined;
    } else if (!this.#ticking) {
      this.#ticking = this.#clock.every(EVALUATE_MS, () => void this.#evaluate());
      if (how === 'loaded') {
        const longestMs = Math.max(...rules.map(({ forMs }) => forMs));
        this.#gatheringUntilMs = this.#clock.now() + Math.min(RULE_TTL_MS, longestMs + GATHER_MS);
      }
    }
    this.#tell();
  }

  /**
   * What was just written has all of its time before it, whatever the clocks of two machines say; what was found in the store
   * has what the wall clock leaves of it. From here on the monotonic clock counts.
   */
  #setEnd(how: 'told' | 'loaded'): void {
    this.#end?.cancel();
    const { ttlMs, setAt } = this.#operator;
    this.#endsAtMs = undefined;
    if (ttlMs === undefined) return;
    const now = this.#clock.now();
    const passedMs = how === 'told' || setAt === undefined ? 0 : this.#clock.wallNow() - setAt;
    const leftMs = Math.min(ttlMs, Math.max(0, ttlMs - passedMs));
    this.#endsAtMs = now + leftMs;
    this.#awaitEnd(leftMs);
  }

  /** A timer may come before its time, and then there is nothing to tell yet. */
  #awaitEnd(leftMs: number): void {
    this.#end = this.#clock.after(Math.ceil(leftMs), () => {
      const stillMs = (this.#endsAtMs ?? 0) - this.#clock.now();
      if (stillMs > 0) this.#awaitEnd(stillMs);
      else this.#tell();
    });
  }

  async #evaluate(): Promise<void> {
    const observed = this.#observed;
    if (!observed || this.#evaluating) return;
    this.#evaluating = true;
    try {
      const signals = await signalsOf(observed);
      this.#verdict = evaluate(this.#rules, signals, this.#clock.now(), this.#verdict.states);
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'the brownout rules could not be evaluated');
    } finally {
      this.#evaluating = false;
    }
    this.#tell();
  }

  /** Tells whoever listens, if there is anything to tell. */
  #tell(): void {
    const view = this.view();
    const { level, source, reason } = view;
    const key = this.#key();
    const now = this.#clock.now();
    const before = this.#last.level;
    const changed = key !== this.#last.key;
    this.#last = { level, key };
    const renew = source === 'rule' && now - this.#versionAtMs >= RENEW_MS;
    const gathered = this.#gatheringUntilMs !== undefined && !this.#gathering;
    if (gathered) this.#gatheringUntilMs = undefined;
    if (changed || renew || gathered) {
      this.#version += 1;
      this.#versionAtMs = now;
      for (const listener of this.#versions) this.#call(listener);
    }
    if (!changed) return;
    if (level !== before)
      // `level` is the line's own.
      this.#logger.info({ brownout: level, before, source, reason }, 'brownout: the level is another');
    for (const listener of this.#changes) this.#call(() => listener({ before, view }));
  }

  /** What a change of is told. */
  #key(): string {
    const { level, source, reason } = this.#level();
    return JSON.stringify([level, source, reason, this.#mirror.brownout?.revision]);
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'a listener of the brownout failed');
    }
  }
}

function sameLevel(a: OperatorLevel, b: OperatorLevel): boolean {
  return (
    a.level === b.level &&
    a.reason === b.reason &&
    a.author === b.author &&
    a.ttlMs === b.ttlMs &&
    a.setAt === b.setAt
  );
}
