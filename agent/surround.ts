/**
 * What surrounds the attempts at a target: retries, hedges, fallbacks, what statuses count as, and the policies in shadow beside
 * it. Compiled with the plan, so that a call finds in one look whether there is any of it; most targets have none.
 */
import type {
  ClassifySpec,
  Effective,
  FallbackSpec,
  HedgeSpec,
  RetrySpec,
  Source,
} from '../core/policy/model.js';
import type { AttemptBudget } from '../core/resilience/budget.js';
import type { Shadow } from './shadow.js';

/** Fallbacks of a callee and policy under way at a time (Hystrix's default): a fallback that hangs must not become the outage. */
export const FALLBACKS_MAX = 10;

/** How many fallbacks of a callee and policy are under way. */
export class FallbackSlots {
  inUse = 0;
}

export interface Surround {
  readonly retry: { readonly value: RetrySpec; readonly source: Source } | undefined;
  readonly hedge: { readonly value: HedgeSpec; readonly source: Source } | undefined;
  /** Present if there are retries or hedges; shared by all calls of the callee and policy. */
  readonly budget: AttemptBudget | undefined;
  readonly idempotent: boolean;
  readonly fallback: { readonly value: readonly FallbackSpec[]; readonly source: Source } | undefined;
  readonly slots: FallbackSlots | undefined;
  readonly classify: ClassifySpec | undefined;
  readonly shadow: Shadow | undefined;
}

/** What of these policies surrounds attempts; undefined: nothing. */
export function surroundOf(
  { retry, hedge, idempotent, fallback, classify }: Effective,
  parts: { readonly budget: AttemptBudget | undefined; readonly slots: FallbackSlots | undefined },
  shadow: Shadow | undefined,
): Surround | undefined {
  if (!retry && !hedge && !fallback && !classify && !shadow) return undefined;
  return {
    retry,
    hedge,
    budget: parts.budget,
    idempotent: idempotent?.value === true,
    fallback,
    slots: parts.slots,
    classify: classify?.value,
    shadow,
  };
}
