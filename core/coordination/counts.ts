/**
 * Counts of a part and of what is left without it.
 */
import type { Counts, Span } from './model.js';

const NOTHING: Counts = { calls: 0, failed: 0, slow: 0 };

export function minus(all: Counts, part: Counts): Counts {
  return {
    calls: Math.max(0, all.calls - part.calls),
    failed: Math.max(0, all.failed - part.failed),
    slow: Math.max(0, all.slow - part.slow),
  };
}

/** What the span has of these endpoints. */
export function ofEndpoints({ endpoints }: Span, names: ReadonlySet<string>): Counts {
  return endpoints
    .filter(({ name }) => names.has(name))
    .reduce(
      (sum, { calls, failed, slow }) => ({
        calls: sum.calls + calls,
        failed: sum.failed + failed,
        slow: sum.slow + slow,
      }),
      NOTHING,
    );
}

/** What the span is without them. */
export function without(span: Span, names: ReadonlySet<string>): Counts {
  return minus(span, ofEndpoints(span, names));
}
