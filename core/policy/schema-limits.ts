/**
 * The forms of `spec.bulkhead` and `spec.rateLimit`: how many calls at a time, and per time.
 */
import { z } from 'zod';
import { defaults } from './defaults.js';
import { choice, DAY_MS, duration, HOUR_MS, must, record, sense, whole } from './leaves.js';

export function bulkhead() {
  const maxConcurrent = z.union([whole(1, 1_000_000), z.literal('auto')], {
    error: must('a whole number from 1 to 1000000, or auto'),
  });
  return record({
    maxConcurrent: maxConcurrent.describe('Calls under way, at most; `auto`: an adaptive limit.'),
    maxQueue: whole(0, 1_000_000)
      .prefault(defaults.bulkhead.maxQueue)
      .describe('Calls waiting for their turn, at most.'),
    queueTimeout: duration(1, HOUR_MS)
      .exactOptional()
      .describe("Waiting, at most; absent: the call's remaining time."),
  }).check(
    sense(({ maxQueue, queueTimeout }, fault) => {
      if (queueTimeout !== undefined && maxQueue === 0)
        fault(['queueTimeout'], 'decides nothing without a queue: set maxQueue to at least 1');
    }),
  );
}

export function rateLimit() {
  return record({
    rate: whole(1, 1_000_000_000).describe('Calls admitted in each `per`.'),
    per: duration(1, DAY_MS).prefault(defaults.rateLimit.per).describe('The interval of `rate`.'),
    burst: whole(1, 1_000_000_000)
      .exactOptional()
      .describe('Calls admitted at once, at most; absent: `rate`.'),
    scope: choice('local', 'cluster')
      .prefault(defaults.rateLimit.scope)
      .describe('Of each agent, or of all together.'),
  });
}
