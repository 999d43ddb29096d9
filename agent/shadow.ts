/**
 * Policies in shadow beside a target: everything that they would enforce and that isn't enforced already runs here on the real
 * calls, with circuits, bulkheads and rates of its own, and only tells what it would have done. It never delays, changes or
 * ends a call. A line would have made calls wait; here it counts as room: of a bulkhead with a number as that much more of it, of one
 * that finds its own limit as calls that the shadow lets pass without a permit.
 */
import type { Effective, Source } from '../core/policy/model.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { type Plan, WAITING } from '../core/resilience/plan.js';
import type { DecisionKind } from './decisions.js';

/** Who is told, and counts. */
export interface ShadowTeller {
  decide(kind: DecisionKind, source: Source | undefined, code: string, text: string): void;
}

const sectionOfCode: { readonly [code: string]: keyof Effective } = {
  circuit_open: 'circuit',
  bulkhead_full: 'bulkhead',
  rate_limited: 'rateLimit',
  overloaded: 'admission',
};

/** No permit of the shadow's: the call would have been rejected. */
const REJECTED = -1;
/** Nor here: it would have waited. */
const WOULD_WAIT = -2;

export class Shadow {
  readonly #plan: Plan;
  readonly #effective: Effective;
  #wouldWait = 0;

  /** `effective`: only the sections that the shadow changes. */
  constructor(plan: Plan, effective: Effective) {
    this.#plan = plan;
    this.#effective = effective;
  }

  /** An attempt starts. Answers what `end` needs. */
  begin(now: number, deadlineAt: number, rank: number, teller: ShadowTeller): number {
    const handle = this.#plan.admit(now, deadlineAt, rank);
    if (handle >= 0) return handle;
    if (handle === WAITING) {
      this.#plan.displaced(this.#plan.waiting, now);
      if (this.#wouldWait < (this.#effective.bulkhead?.value.maxQueue ?? 0)) {
        this.#wouldWait++;
        return WOULD_WAIT;
      }
    }
    const { code, text } = this.#plan.refusal(now);
    const section = sectionOfCode[code];
    const source = section && (this.#effective[section] ?? this.#effective.bulkhead)?.source;
    teller.decide('would-reject', source, code, text);
    return REJECTED;
  }

  /** The attempt ended. `status`: as `retry.on` names it. */
  end(
    handle: number,
    outcome: Outcome,
    status: string,
    startedAt: number,
    now: number,
    teller: ShadowTeller,
  ): void {
    if (handle === REJECTED) return;
    if (handle === WOULD_WAIT) this.#wouldWait--;
    else this.#plan.finish(handle, outcome, now);
    const { timeout, attemptTimeout, retry, hedge, fallback } = this.#effective;
    const tookMs = now - startedAt;
    for (const limit of [attemptTimeout, timeout])
      if (limit && tookMs >= limit.value)
        teller.decide('would-timeout', limit.source, 'deadline_exceeded', `took ${Math.round(tookMs)} ms`);
    const delay = hedge?.value.delay;
    if (hedge && delay?.kind === 'fixed' && tookMs >= delay.ms)
      teller.decide('would-hedge', hedge.source, 'slow', `took ${Math.round(tookMs)} ms`);
    if (outcome !== 'failure') return;
    if (retry?.value.on.includes(status))
      teller.decide('would-retry', retry.source, status, `ended ${status}`);
    const kind = fallback?.value[0]?.kind;
    if (fallback && kind !== undefined)
      teller.decide('would-degrade', fallback.source, kind, `ended ${status}`);
  }
}
