/**
 * Policies in shadow beside a target: everything that they would enforce and that isn't enforced already runs here on the real
 * calls, with circuits, bulkheads and rates of its own, and only tells what it would have done. It never delays, changes or
 * ends a call. A line would have made calls wait; here it counts as room: of a bulkhead with a number as that much more of it, of one
 * that finds its own limit as calls that the shadow lets pass without a permit.
 */
import type { Effective, FallbackSpec, Source } from '../core/policy/model.js';
import { formatDuration } from '../core/policy/units.js';
import { hedgeDelayMs } from '../core/resilience/hedge.js';
import type { Outcome } from '../core/resilience/outcome.js';
import type { OutlierWatch } from '../core/resilience/outlier-watch.js';
import { type Plan, WAITING } from '../core/resilience/plan.js';
import type { RollingLatency } from '../core/resilience/rolling-latency.js';
import type { DecisionKind } from './decisions.js';
import { isInstance } from './endpoint-counts.js';

/** Who is told, and counts. */
export interface ShadowTeller {
  /** Where a hedge waits for a percentile, and there was a call. */
  readonly latency?: RollingLatency | undefined;
  decide(kind: DecisionKind, source: Source | undefined, code: string, text: string): void;
}

/** An attempt that has ended, as far as what would have followed is concerned. */
export interface Shadowed {
  /** The call can be made a second time: neither its request streams nor can its body be read only once. */
  readonly repeatable: boolean;
  /** Of a response that streams there are no copies. */
  readonly streams: boolean;
  /** It provably never reached the callee. */
  readonly unsent: boolean;
  /** Whether this entry of a fallback could say something here, as far as is known. */
  canAnswer(entry: FallbackSpec): boolean;
}

/** No permit of the shadow's: the call would have been rejected. */
const REJECTED = -1;
/** Nor here: it would have waited. */
const WOULD_WAIT = -2;

export class Shadow {
  readonly #plan: Plan;
  readonly #effective: Effective;
  readonly #outliers: OutlierWatch | undefined;
  readonly #idempotent: boolean;
  #wouldWait = 0;

  /** `effective`: only the sections that the shadow changes. `idempotent`: what is enforced says so. */
  constructor(plan: Plan, effective: Effective, outliers?: OutlierWatch, idempotent = false) {
    this.#plan = plan;
    this.#effective = effective;
    this.#outliers = outliers;
    this.#idempotent = effective.idempotent === undefined ? idempotent : effective.idempotent.value;
  }

  /** It has to be told how long calls take. */
  get hedgesByPercentile(): boolean {
    return this.#effective.hedge?.value.delay.kind === 'percentile';
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
    const { code, text, section } = this.#plan.refusal(now);
    const source = section === undefined ? undefined : this.#effective[section]?.source;
    teller.decide('would-reject', source, code, text);
    return REJECTED;
  }

  /** The attempt ended. `status`: as `retry.on` names it. `call`: undefined where only what admits is asked. */
  end(
    handle: number,
    outcome: Outcome,
    status: string,
    startedAt: number,
    now: number,
    teller: ShadowTeller,
    call?: Shadowed,
  ): void {
    if (handle === REJECTED) return;
    const counted = this.#classified(outcome, status);
    if (handle === WOULD_WAIT) this.#wouldWait--;
    else this.#plan.finish(handle, counted, now);
    if (call === undefined) return;
    this.#tellOfTime(now - startedAt, now, call, teller);
    if (counted === 'failure') this.#tellOfFailure(status, call, teller);
  }

  /** The response that an attempt had begun to stream is over, `tookMs` after the attempt began, or the call. */
  streamed(tookMs: number, teller: ShadowTeller): void {
    const { streamTimeout } = this.#effective;
    if (streamTimeout && tookMs >= streamTimeout.value)
      teller.decide('would-timeout', streamTimeout.source, 'deadline_exceeded', tookText(tookMs));
  }

  /** An attempt is over. `instance`: where it went; one that no connection took went nowhere, and counts for none. */
  left(instance: string, ok: boolean, now: number, teller: ShadowTeller): void {
    if (this.#outliers === undefined || !isInstance(instance)) return;
    const source = this.#effective.outlier?.source;
    for (const { address, forMs, failed, calls } of this.#outliers.record(instance, ok, now)) {
      const text = `${address} for ${formatDuration(forMs)}: ${failed} of ${calls} calls failed`;
      teller.decide('would-eject', source, 'failure_rate', text);
    }
  }

  /** By statuses of gRPC alone; what says nothing of the callee goes on saying nothing. */
  #classified(outcome: Outcome, status: string): Outcome {
    const { classify } = this.#effective;
    if (classify === undefined || outcome === 'neutral' || status === 'OK') return outcome;
    return Object.hasOwn(classify.value, status) ? (classify.value[status] ?? outcome) : outcome;
  }

  #tellOfTime(tookMs: number, now: number, { repeatable, streams }: Shadowed, teller: ShadowTeller): void {
    const { timeout, attemptTimeout, hedge } = this.#effective;
    const text = tookText(tookMs);
    for (const limit of [attemptTimeout, timeout])
      if (limit && tookMs >= limit.value)
        teller.decide('would-timeout', limit.source, 'deadline_exceeded', text);
    if (hedge === undefined || !this.#idempotent || !repeatable || streams) return;
    const delayMs = hedgeDelayMs(hedge.value, teller.latency, now);
    if (delayMs !== undefined && tookMs >= delayMs) teller.decide('would-hedge', hedge.source, 'slow', text);
  }

  #tellOfFailure(status: string, call: Shadowed, teller: ShadowTeller): void {
    const { retry, fallback } = this.#effective;
    const again = call.repeatable && (this.#idempotent || call.unsent);
    if (retry && again && retry.value.attempts > 1 && retry.value.on.includes(status))
      teller.decide('would-retry', retry.source, status, `ended ${status}`);
    const entry = fallback?.value.find((entry) => call.canAnswer(entry));
    if (fallback && entry) teller.decide('would-degrade', fallback.source, entry.kind, `ended ${status}`);
  }
}

function tookText(ms: number): string {
  return `took ${Math.round(ms)} ms`;
}
