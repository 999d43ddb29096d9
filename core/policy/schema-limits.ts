/**
 * The forms of `spec.bulkhead`, `spec.rateLimit` and `spec.admission`: how many calls at a time, per time, and how few while the
 * callee fails.
 */
import { criticalities } from '../criticality.js';
import { defaults } from './defaults.js';
import { either } from './form.js';
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
  whole,
} from './leaves.js';
import { formatRate } from './units.js';

export function bulkhead() {
  const maxConcurrent = either(
    [whole(1, 1_000_000), choice(['auto'])],
    must('a whole number from 1 to 1000000, or auto'),
  );
  return record({
    maxConcurrent: maxConcurrent.describe('Calls under way, at most; `auto`: an adaptive limit.'),
    maxQueue: whole(0, 1_000_000)
      .usually(defaults.bulkhead.maxQueue)
      .describe('Calls waiting for their turn, at most.'),
    queueTimeout: duration(1, HOUR_MS)
      .optional()
      .describe("Waiting, at most; absent: the call's remaining time."),
    shares: record({
      'critical-plus': share('critical-plus'),
      critical: share('critical'),
      'sheddable-plus': share('sheddable-plus'),
      sheddable: share('sheddable'),
    })
      .check(sense(atMostWhole))
      .optional()
      .describe('Parts of the limit guaranteed to each criticality; idle parts are lent out.'),
    per: choice(['service', 'method'])
      .usually(defaults.bulkhead.per)
      .describe('One limit for the callee, or one for each method.'),
  }).check(
    sense(({ maxQueue, queueTimeout }, fault) => {
      if (queueTimeout !== undefined && maxQueue === 0)
        fault(['queueTimeout'], 'decides nothing without a queue: set maxQueue to at least 1');
    }),
  );
}

function share(criticality: string) {
  return rate(0, 1, { aboveMin: true }).optional().describe(`Of calls that are ${criticality}.`);
}

function atMostWhole(shares: Fields, fault: Fault): void {
  let total = 0;
  for (const name of criticalities) {
    const part = numberOf(shares[name]) ?? 0;
    // A number without its percent sign has a fault of its own.
    if (part <= 1) total += part;
  }
  if (total > 1 + 1e-9) fault([], `must come to at most 100% together; got ${formatRate(total)}`);
}

export function admission() {
  const { successRate, maxRejection, window } = defaults.admission;
  return record({
    window: duration(100, HOUR_MS).usually(window).describe('What the rate is taken over.'),
    successRate: rate(0, 1, { aboveMin: true })
      .usually(successRate)
      .describe('Below this rate of successes calls begin to be rejected.'),
    maxRejection: rate(0, 1, { aboveMin: true })
      .usually(maxRejection)
      .describe('Of the calls, rejected at most.'),
  });
}

export function rateLimit() {
  return record({
    rate: whole(1, 1_000_000_000).describe('Calls admitted in each `per`.'),
    per: duration(1, DAY_MS).usually(defaults.rateLimit.per).describe('The interval of `rate`.'),
    burst: whole(1, 1_000_000_000).optional().describe('Calls admitted at once, at most; absent: `rate`.'),
    scope: choice(['local', 'cluster'])
      .usually(defaults.rateLimit.scope)
      .describe('Of each agent, or of all together.'),
    by: choice(['service', 'method'])
      .usually(defaults.rateLimit.by)
      .describe('One rate for the callee, or one for each method.'),
  });
}
