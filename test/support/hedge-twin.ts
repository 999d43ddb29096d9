/**
 * A hedged call and its budget as their rules read, with nothing kept but what happened: every question is answered by reading
 * the whole history anew. Slow and obviously right, for comparison with `HedgePlan` and `AttemptBudget`.
 */
import type { HedgeConditions, HedgeStart, HedgeVerdict } from '../../core/resilience/hedge.js';
import type { AttemptFailure } from '../../core/resilience/retry.js';

type Deed =
  | { readonly what: 'sent' | 'refused' | 'succeeded'; readonly at: number }
  | { readonly what: 'failed'; readonly at: number; readonly failure: AttemptFailure };

type BudgetDeed =
  | 'extra'
  | 'extra-ended'
  | 'call'
  | 'call-ended'
  | 'retry-from-above'
  | 'retry-from-above-ended'
  | 'success'
  | 'failure';

/** Ten tokens, extras above five alone; at most max(3, budget × the calls under way that nobody above has tried before). */
export class BudgetTwin {
  readonly deeds: BudgetDeed[] = [];

  constructor(readonly budget: number) {}

  get tokens(): number {
    let thousandths = 10_000;
    const gain = Math.min(100, Math.round(this.budget * 5_000) / 10);
    for (const deed of this.deeds) {
      if (deed === 'failure' || deed === 'retry-from-above') thousandths = Math.max(0, thousandths - 1_000);
      if (deed === 'success') thousandths = Math.min(10_000, thousandths + gain);
    }
    return thousandths / 1_000;
  }

  get extras(): number {
    return (
      this.#count('extra') -
      this.#count('extra-ended') +
      this.#count('retry-from-above') -
      this.#count('retry-from-above-ended')
    );
  }

  get verdict(): 'ok' | 'budget' | 'throttled' {
    const fresh = this.#count('call') - this.#count('call-ended');
    if (this.extras >= 3 && this.extras >= this.budget * fresh) return 'budget';
    return this.tokens > 5 ? 'ok' : 'throttled';
  }

  #count(what: BudgetDeed): number {
    return this.deeds.filter((deed) => deed === what).length;
  }
}

export class HedgeTwin {
  readonly #deeds: Deed[] = [];

  constructor(
    readonly extra: number,
    readonly delayMs: number,
    readonly nonFatal: readonly string[],
    readonly begunAt: number,
    readonly budget: BudgetTwin,
  ) {}

  get running(): number {
    const of = (what: Deed['what']) => this.#deeds.filter((deed) => deed.what === what).length;
    return 1 + of('sent') - of('failed');
  }

  get over(): boolean {
    return this.running === 0 && this.nextAt === Number.POSITIVE_INFINITY;
  }

  get nextAt(): number {
    const turns = this.#deeds.filter(({ what }) => what === 'sent' || what === 'refused').length;
    if (turns >= this.extra || this.#stopped()) return Number.POSITIVE_INFINITY;
    const last = this.#deeds.at(-1);
    if (last === undefined) return this.begunAt + this.delayMs;
    // A failure brings the next copy forward, as far as no callee has asked for quiet.
    if (last.what === 'failed') return Math.max(last.at, ...this.#deeds.map(quietUntil));
    return last.at + this.delayMs;
  }

  start(now: number, { halfOpen, remainingMs }: HedgeConditions): HedgeStart {
    const waitMs = Math.max(0, this.nextAt - now);
    if (waitMs === Number.POSITIVE_INFINITY) return 'not-due';
    // Whoever waits alone for a turn that comes when the call is over is told so now.
    if (waitMs > 0 && (this.running > 0 || waitMs < remainingMs)) return 'not-due';
    const verdict = remainingMs <= waitMs ? 'deadline' : halfOpen ? 'half-open' : this.budget.verdict;
    this.#deeds.push({ what: verdict === 'ok' ? 'sent' : 'refused', at: now });
    if (verdict !== 'ok') return verdict;
    this.budget.deeds.push('extra');
    return 'started';
  }

  failed(failure: AttemptFailure, now: number): HedgeVerdict {
    const counts = this.nonFatal.includes(failure.status) || failure.pushback.kind === 'stop';
    if (counts && !failure.local) this.budget.deeds.push('failure');
    this.#deeds.push({ what: 'failed', at: now, failure });
    return this.#isFatal(failure) || this.over ? 'over' : 'wait';
  }

  succeeded(now: number): void {
    this.#deeds.push({ what: 'succeeded', at: now });
  }

  #isFatal({ local, shed, status }: AttemptFailure): boolean {
    return !local && !shed && !this.nonFatal.includes(status);
  }

  /** Whether anything so far forbids every further copy. */
  #stopped(): boolean {
    let running = 1;
    for (const deed of this.#deeds) {
      if (deed.what === 'sent') running++;
      if (deed.what === 'succeeded' || (deed.what === 'refused' && running === 0)) return true;
      if (deed.what !== 'failed') continue;
      running--;
      const { local, shed, pushback } = deed.failure;
      if (local || shed || pushback.kind === 'stop' || this.#isFatal(deed.failure)) return true;
    }
    return false;
  }
}

function quietUntil(deed: Deed): number {
  const pushback = deed.what === 'failed' ? deed.failure.pushback : undefined;
  return pushback?.kind === 'wait' ? deed.at + pushback.ms : Number.NEGATIVE_INFINITY;
}
