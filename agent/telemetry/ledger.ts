/**
 * What telemetry has read off the targets' tallies so far. Each look takes what was counted since the last one and enters it under
 * the policies and the circuit that hold now; looks come with each collection, before policies change, and when a target has to
 * make room, so that what is told adds up and never goes down. No call pays for any of it.
 */
import type { Attributes } from '@opentelemetry/api';
import type { Source } from '../../core/policy/model.js';
import type { DecisionKind } from '../decisions.js';
import type { Target } from '../target.js';
import { attributeNames, codeAttributes, type MetricName } from './metrics.js';
import type { Series } from './series.js';

/** Of a tally, when it was looked at. */
interface Seen {
  readonly ok: number;
  readonly failed: number;
  readonly neutral: number;
  readonly slow: number;
  readonly queued: number;
  readonly queuedMs: number;
}

const nothing: Seen = { ok: 0, failed: 0, neutral: 0, slow: 0, queued: 0, queuedMs: 0 };

/** Where a decision counts. */
const metricOf: { readonly [K in DecisionKind]: { metric: MetricName; kind?: string } } = {
  reject: { metric: 'rejections' },
  timeout: { metric: 'timeouts' },
  retry: { metric: 'retries' },
  'give-up': { metric: 'giveUps' },
  hedge: { metric: 'hedges' },
  degrade: { metric: 'fallbacks' },
  'would-reject': { metric: 'shadowDecisions', kind: 'reject' },
  'would-timeout': { metric: 'shadowDecisions', kind: 'timeout' },
  'would-retry': { metric: 'shadowDecisions', kind: 'retry' },
  'would-hedge': { metric: 'shadowDecisions', kind: 'hedge' },
  'would-degrade': { metric: 'shadowDecisions', kind: 'degrade' },
  'would-eject': { metric: 'shadowDecisions', kind: 'eject' },
};

export class Ledger {
  readonly #series: Series;
  readonly #seen = new WeakMap<Target, Seen>();

  constructor(series: Series) {
    this.#series = series;
  }

  /** Enters what this target has counted since the last time. */
  settle(target: Target): void {
    const base = placeOf(target.callee, target.rpc ? target.method : '');
    this.#decisions(target, base);
    const { ok, failed, neutral, slow, queued, queuedMs } = target.tally;
    const seen = { ok, failed, neutral, slow, queued, queuedMs };
    const last = this.#seen.get(target) ?? nothing;
    this.#seen.set(target, seen);
    this.#calls(target, base, {
      success: ok - last.ok,
      failure: failed - last.failed,
      neutral: neutral - last.neutral,
    });
    const { circuit, bulkhead } = target.effective;
    this.#add('slowCalls', by(base, circuit?.source), slow - last.slow);
    const line = by(base, bulkhead?.source);
    this.#add('queueCalls', line, queued - last.queued);
    this.#add('queueTime', line, (queuedMs - last.queuedMs) / 1_000);
  }

  #calls(
    { callee, method, rpc, effective }: Target,
    base: Attributes,
    counts: { [outcome: string]: number },
  ): void {
    const { circuit } = effective;
    const policies = new Set(Object.values(effective).map(({ source }) => source.policy));
    for (const [word, count] of Object.entries(counts)) {
      if (count === 0) continue;
      const outcome = { [attributeNames.outcome]: word };
      this.#add('calls', { ...base, ...outcome }, count);
      for (const policy of policies)
        this.#add(
          'policyCalls',
          { ...placeOf(callee, ''), [attributeNames.policy]: policy, ...outcome },
          count,
        );
      if (!circuit) continue;
      const where = placeOf(callee, rpc && circuit.value.per === 'method' ? method : '');
      this.#add(
        'circuitCalls',
        { ...where, [attributeNames.policy]: circuit.source.policy, ...outcome },
        count,
      );
    }
  }

  #decisions({ tally }: Target, base: Attributes): void {
    for (const entry of tally.book.entries) {
      const count = entry.count - entry.told;
      if (count === 0) continue;
      entry.told = entry.count;
      const { metric, kind } = metricOf[entry.kind];
      // Of a limit of time there is one code.
      const code = metric === 'timeouts' ? {} : { [codeAttributes[entry.kind]]: entry.code };
      this.#add(
        metric,
        {
          ...base,
          ...(kind === undefined ? {} : { [attributeNames.decision]: kind }),
          ...code,
          ...(entry.policy === '' ? {} : { [attributeNames.policy]: entry.policy }),
        },
        count,
      );
    }
  }

  #add(metric: MetricName, attributes: Attributes, amount: number): void {
    if (amount > 0) this.#series.add(metric, attributes, amount);
  }
}

function by(place: Attributes, source: Source | undefined): Attributes {
  return source === undefined ? place : { ...place, [attributeNames.policy]: source.policy };
}

/** A callee, and the method that gRPC called; empty: the callee as a whole, whatever keys it has. */
export function placeOf(callee: string, method: string): Attributes {
  const whole = { [attributeNames.callee]: callee };
  return method === '' ? whole : { ...whole, [attributeNames.method]: method };
}
