/**
 * Holds what a run came to against the bounds of its scenario. A bound that fails is one line, with the place in the file, what
 * was seen and under which seed.
 */
import type { Metrics, Moment, Outcome } from './outcome.js';
import type { Expectation, Scenario } from './scenario.js';

export interface Run {
  readonly seed: number;
  readonly outcome: Outcome;
  /** With local circuits alone; absent: no bound asks for it. */
  readonly local?: Outcome;
}

/** Whether any bound compares with local circuits alone. */
export function comparesWithLocal({ expectations }: Scenario): boolean {
  return expectations.some((each) => each.kind === 'metric' && each.ofLocal);
}

/** Empty: all bounds hold. */
export function judge(scenario: Scenario, run: Run): string[] {
  return scenario.expectations.flatMap((expectation) => {
    const seen = fault(expectation, scenario, run);
    if (seen === undefined) return [];
    return `${scenario.name}.txt:${expectation.line}: ${expectation.text}: ${seen} (seed ${run.seed})`;
  });
}

/** What was seen instead; undefined: the bound holds. */
function fault(expectation: Expectation, scenario: Scenario, { outcome, local }: Run): string | undefined {
  const id = (circuit: string) => {
    const [callee, zone] = circuit.split('@');
    return `${callee}|${scenario.policy.name}${zone === undefined ? '' : `@${zone}`}`;
  };
  switch (expectation.kind) {
    case 'metric': {
      const { sign, value, ofLocal } = expectation;
      const metric = expectation.metric as keyof Metrics;
      const seen = outcome.metrics[metric];
      const bound = ofLocal ? value * (local?.metrics[metric] ?? Number.NaN) : value;
      const holds = sign === '<=' ? seen <= bound : sign === '>=' ? seen >= bound : seen === bound;
      return holds ? undefined : `it was ${rounded(seen)}, with a bound of ${rounded(bound)}`;
    }
    case 'state': {
      const moment = last(outcome.moments, id(expectation.circuit), expectation.atMs);
      const state = moment?.state ?? 'closed';
      return state === expectation.state
        ? undefined
        : `it was ${state}: ${moment?.reason ?? 'it has no record'}`;
    }
    case 'ejected': {
      const ejected = last(outcome.moments, id(expectation.callee), expectation.atMs)?.ejected ?? 0;
      return ejected === expectation.count ? undefined : `it was ${ejected}`;
    }
    case 'never': {
      const circuit = id(expectation.circuit);
      const moment = outcome.moments.find(
        (each) => each.circuit === circuit && each.state === expectation.state,
      );
      return moment && `it was so at ${rounded(moment.atMs)} ms: ${moment.reason}`;
    }
  }
}

function last(moments: readonly Moment[], circuit: string, atMs: number): Moment | undefined {
  return moments.findLast((each) => each.circuit === circuit && each.atMs <= atMs);
}

function rounded(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 10) / 10) : String(value);
}
