/**
 * The form of `spec.circuit`: when it opens, how it probes, and how a fleet decides together.
 */
import { defaults } from './defaults.js';
import { either, listOf } from './form.js';
import {
  choice,
  DAY_MS,
  duration,
  type Fault,
  type Fields,
  HOUR_MS,
  must,
  numberOf,
  rate,
  record,
  sense,
  senseOfList,
  whole,
} from './leaves.js';
import { isRecord } from './plain.js';
import { formatRate } from './units.js';

export function circuit() {
  const { halfOpen, cluster, ...own } = defaults.circuit;
  const window = either(
    [
      duration(10, HOUR_MS).transform((durationMs) => ({ kind: 'time' as const, durationMs })),
      record({ calls: whole(1, 10_000).describe('The last so many calls.') }).transform(({ calls }) => ({
        kind: 'count' as const,
        calls,
      })),
    ],
    must('a duration, for example 10s, or a number of calls, as { calls: 100 }'),
  );
  return record({
    window: window.usually(own.window).describe('What the rates are taken over: time, or the last calls.'),
    failureRate: rate(0, 1, { aboveMin: true })
      .usually(own.failureRate)
      .describe('Opens at this rate of failures, or above.'),
    slowCall: duration(1, DAY_MS)
      .optional()
      .describe('From here on a call counts as slow; absent: none does.'),
    slowRate: rate(0, 1, { aboveMin: true })
      .optional()
      .describe(`Opens at this rate of slow calls, or above; absent: ${own.slowRate}.`),
    minimumCalls: whole(1, 1_000_000)
      .usually(own.minimumCalls)
      .describe('Finished calls in the window below which nothing is decided.'),
    openFor: duration(1, HOUR_MS)
      .usually(own.openFor)
      .describe('Open at first for this long (±20 %), doubled at each re-opening up to 60s or itself.'),
    halfOpen: record({
      calls: whole(1, 1_000)
        .usually(halfOpen.calls)
        .describe('Probes per half-open period; they alone decide.'),
      maxWait: duration(1, HOUR_MS)
        .usually(halfOpen.maxWait)
        .describe('A probe without a deadline has failed after.'),
    })
      .usually({})
      .describe('Probing.'),
    per: choice(['service', 'method'])
      .usually(own.per)
      .describe('One circuit for the callee, or one for each method.'),
    scope: choice(['local', 'cluster'])
      .usually(own.scope)
      .describe('Decided by each agent, or by all together too.'),
    cluster: record({
      window: duration(100, HOUR_MS)
        .usually(cluster.window)
        .describe('What the pooled rates are taken over.'),
      quorum: rate(0, 1, { aboveMin: true })
        .usually(cluster.quorum)
        .describe('Of the active reporters must agree.'),
      minReporters: whole(1, 10_000).usually(cluster.minReporters).describe('Must agree in any case.'),
      ramp: listOf(
        rate(0, 1, { aboveMin: true }),
        must('a list of percentages, for example [5%, 25%, 100%]'),
        {
          least: [1, 'must have a step: the last one is 100%'],
          most: [20, 'must have at most 20 steps'],
        },
      )
        .check(senseOfList(ascending))
        .usually([...cluster.ramp])
        .describe('Admitted after closing, step by step.'),
      rampStep: duration(100, HOUR_MS)
        .usually(cluster.rampStep)
        .describe('Each step is held at least this long.'),
    })
      .usually({})
      .describe('Settings of `scope: cluster`.'),
  }).check(sense(circuitSense));
}

function circuitSense({ window, minimumCalls, slowCall, slowRate }: Fields, fault: Fault): void {
  const calls = isRecord(window) && window.kind === 'count' ? numberOf(window.calls) : undefined;
  const minimum = numberOf(minimumCalls);
  if (calls !== undefined && minimum !== undefined && minimum > calls) {
    // Whether it was written or filled in isn't known any more; this is true of both.
    const usual = minimum === defaults.circuit.minimumCalls ? ', which also holds where none is written' : '';
    fault(
      ['minimumCalls'],
      `must be at most the ${calls} calls of the window, or nothing is ever decided; got ${minimum}${usual}`,
    );
  }
  if (slowRate !== undefined && slowCall === undefined)
    fault(['slowRate'], 'decides nothing without slowCall: say from which duration a call is slow');
}

function ascending(ramp: readonly unknown[], fault: Fault): void {
  const steps = ramp.map(numberOf);
  for (const [i, step] of steps.entries()) {
    const before = steps[i - 1];
    if (step !== undefined && before !== undefined && step <= before)
      fault([i], `must be above the step before it (${formatRate(before)}); got ${formatRate(step)}`);
  }
  const last = steps.at(-1);
  if (last !== undefined && last !== 1)
    fault([steps.length - 1], `must be 100% in the last step; got ${formatRate(last)}`);
}
