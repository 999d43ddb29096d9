/**
 * How a circuit does that is on its way back: the calls of a while held against the policy, of all agents, none of which weighs too
 * much, or of one zone's.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Counts, Span } from './model.js';
import { winsorised } from './pool.js';
import { atLeast, faultOf } from './thresholds.js';

/** What the calls of a while say: how many there were, and the fault in words; empty: there is none. */
export interface Trial {
  readonly calls: number;
  readonly fault: string;
}

/** Of the spans that began no longer than `sinceMs` ago; of the shortest, if all are longer: the window began anew with the trial. */
export function trial(
  spans: readonly Span[],
  zone: string | undefined,
  spec: CircuitSpec,
  sinceMs: number,
): Trial {
  const within = spans.filter(({ ms }) => ms <= sinceMs);
  const looked = within.length > 0 ? within : spans.slice(0, 1);
  // As few as the probes that brought it here, where the policy would wait for more: at 5 % of the calls it might wait for ever.
  const enough = Math.min(spec.minimumCalls, spec.halfOpen.calls);
  let calls = 0;
  let fault = '';
  for (const span of looked) {
    const counts = countsOf(span, zone);
    calls = Math.max(calls, counts.calls);
    if (fault === '' && atLeast(counts.calls, enough)) fault = inWords(counts, spec);
  }
  return { calls: Math.round(calls), fault };
}

function countsOf(span: Span, zone: string | undefined): Counts {
  if (zone === undefined) return winsorised(span);
  return span.zones.find(({ name }) => name === zone) ?? { calls: 0, failed: 0, slow: 0 };
}

function inWords(counts: Counts, spec: CircuitSpec): string {
  const of = `of ${Math.round(counts.calls)} calls`;
  switch (faultOf(spec, counts)) {
    case 'failed':
      return `${Math.round(counts.failed)} ${of} failed`;
    case 'slow':
      return `${Math.round(counts.slow)} ${of} took ${spec.slowCallMs} ms or more`;
    case undefined:
      return '';
  }
}
