/**
 * The form of the brownout setting, field by field: type, range, default, and what it is for. Its parser reads with it, and OpenAPI is
 * held to it. Built at first use.
 */
import { listOf, mapOf } from '../policy/form.js';
import {
  DAY_MS,
  duration,
  HOUR_MS,
  must,
  name,
  number,
  rate,
  reason,
  record,
  sense,
  text,
  whole,
} from '../policy/leaves.js';
import { serviceNamePattern } from '../policy/names.js';

export const levelMax = 4;
/** Of a feature that nobody has named. */
export const levelOfUnknown = 2;

const FEATURES_MAX = 1000;
const RULES_MAX = 50;
const REASON_LENGTH_MAX = 500;
const PERCENTILES_MAX = 10;
const percentilePattern = /^p[5-9]\d(?:\.\d)?$/;

const words = 'slowRate, failureRate or latency';
const nameRight = 'a name of letters, digits and . _ : - (at most 128)';

function latency() {
  const right = must('an object of percentiles and durations, as { p99: 800ms } (p50 to p99.9)');
  return mapOf(duration(1, HOUR_MS), right)
    .check(
      sense((limits, fault) => {
        const names = Object.keys(limits);
        if (names.length === 0) fault([], 'must name a percentile, as { p99: 800ms }');
        if (names.length > PERCENTILES_MAX) fault([], `must have at most ${PERCENTILES_MAX} percentiles`);
        for (const percentile of names.slice(0, PERCENTILES_MAX))
          if (!percentilePattern.test(percentile))
            fault([percentile], 'must be a percentile from p50 to p99.9, for example p95');
      }),
    )
    .transform((limits) =>
      Object.entries(limits).map(([written, limitMs]) => ({
        name: written,
        p: Math.round(Number(written.slice(1)) * 10) / 1_000,
        limitMs,
      })),
    );
}

function when() {
  return record({
    openCircuits: whole(1, 10_000).optional().describe('Circuits open somewhere in the mesh, at least.'),
    circuit: name(serviceNamePattern, nameRight).optional().describe('A callee of which a circuit is open.'),
    agents: whole(1, 100_000).optional().describe('Beside `circuit`: at so many agents; absent: 1.'),
    callee: name(serviceNamePattern, nameRight)
      .optional()
      .describe('A service, for the rates and the latency of its calls over the last 10 s.'),
    slowRate: rate(0, 1, { aboveMin: true }).optional().describe('Of its calls slow, at least.'),
    failureRate: rate(0, 1, { aboveMin: true }).optional().describe('Of its calls failed, at least.'),
    latency: latency()
      .optional()
      .describe('Percentiles of how long its calls took, each with a limit that is reached or passed.'),
    minimumCalls: whole(1, 1_000_000)
      .usually(20)
      .describe('Calls below which its rates and its latency say nothing.'),
  }).check(
    sense(({ openCircuits, circuit, agents, callee, slowRate, failureRate, latency: limits }, fault) => {
      const figures = { slowRate, failureRate, latency: limits };
      const [first] = Object.entries(figures).flatMap(([field, value]) =>
        value === undefined ? [] : [field],
      );
      if (openCircuits === undefined && circuit === undefined && callee === undefined && first === undefined)
        fault([], `must name a condition: openCircuits, circuit, or callee with ${words}`);
      if (agents !== undefined && circuit === undefined)
        fault(['agents'], 'needs circuit beside it: the callee whose circuit is open at so many agents');
      if (first !== undefined && callee === undefined)
        fault([first], 'needs callee beside it: calls to whom');
      if (callee !== undefined && first === undefined)
        fault(['callee'], `needs ${words} beside it, for example slowRate: 50%`);
    }),
  );
}

function rule() {
  return record({
    level: whole(1, levelMax).describe('The level while it is on.'),
    when: when().describe('What has to hold, all of it.'),
    for: duration(0, HOUR_MS).usually('10s').describe('It turns on when that has held for so long.'),
    clearAfter: duration(0, DAY_MS)
      .usually('60s')
      .describe('It turns off when that has not held for so long.'),
  });
}

function fields() {
  const featuresRight = must('an object of feature names and levels, as { recommendations: 2 }');
  const rulesRight = must('a list of rules, each { level, when, for, clearAfter }');
  return {
    level: whole(0, levelMax).optional().describe("The operator's level; 0: rules alone decide."),
    reason: reason(REASON_LENGTH_MAX, must('a text that says why'))
      .optional()
      .describe('Why; needed above level 0.'),
    ttl: duration(1000, 7 * DAY_MS)
      .optional()
      .describe('After which the level is 0 again; absent: until somebody says so.'),
    features: mapOf(whole(1, levelMax), featuresRight)
      .optional()
      .check(
        sense((features, fault) => {
          const names = Object.keys(features);
          if (names.length > FEATURES_MAX) fault([], `must have at most ${FEATURES_MAX} features`);
          for (const feature of names.slice(0, FEATURES_MAX))
            if (!serviceNamePattern.test(feature)) fault([feature], `must be called by ${nameRight}`);
        }),
      )
      .describe(`The level that switches each feature off; one that is not named: ${levelOfUnknown}.`),
    rules: listOf(rule(), rulesRight, { most: [RULES_MAX, `must be at most ${RULES_MAX} rules`] })
      .optional()
      .describe('Raise the level by themselves.'),
  };
}

function sentForm() {
  return record(fields()).check(
    sense(({ level, reason, ttl }, fault) => {
      if (typeof level === 'number' && level > 0 && reason === undefined)
        fault(['reason'], 'is required above level 0: people have to see why features are off');
      if (reason !== undefined && level === undefined)
        fault(['level'], 'is required beside a reason: the level that it is the reason of');
      if (ttl !== undefined && level === undefined)
        fault(['level'], 'is required beside a ttl: the level that ends with it');
      if (ttl !== undefined && level === 0) fault(['ttl'], 'has no meaning at level 0: leave it out');
    }),
  );
}

function storedForm() {
  return record({
    ...fields(),
    author: text().optional(),
    setAt: number().optional(),
  });
}

let sent: ReturnType<typeof sentForm> | undefined;
let stored: ReturnType<typeof storedForm> | undefined;

/** What a person sends. */
export function sentSchema() {
  sent ??= sentForm();
  return sent;
}

/** What the store holds: the same, and who said it when. */
export function storedSchema() {
  stored ??= storedForm();
  return stored;
}
