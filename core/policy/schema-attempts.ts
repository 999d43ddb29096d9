/**
 * The forms of `spec.retry`, `spec.hedge` and `spec.fallback`: what is tried again, beside, and instead.
 */
import { defaults } from './defaults.js';
import { anything, either, listOf } from './form.js';
import {
  choice,
  DAY_MS,
  duration,
  type Fault,
  type Fields,
  HOUR_MS,
  MINUTE_MS,
  matching,
  must,
  name,
  numberOf,
  rate,
  record,
  sense,
  senseOfList,
  serviceRight,
  suggestion,
  text,
  whole,
} from './leaves.js';
import {
  exactMethodPattern,
  handlerNamePattern,
  handlerNameRight,
  serviceNamePattern,
  statusNames,
} from './names.js';
import { isRecord } from './plain.js';
import { formatDuration } from './units.js';

export function retry() {
  const { attempts, on, backoff, budget } = defaults.retry;
  return record({
    attempts: whole(1, 5).usually(attempts).describe('Attempts in all, the first included.'),
    on: listOf(status(), must('a list of gRPC statuses, for example [UNAVAILABLE]'), {
      least: [1, 'must name at least one gRPC status; leave it out for [UNAVAILABLE]'],
      most: [statusNames.length, 'must name each gRPC status once'],
    })
      .check(senseOfList(distinct))
      .usually([...on])
      .describe('gRPC statuses that are tried again.'),
    backoff: record({
      base: duration(1, MINUTE_MS).usually(backoff.base).describe('Before the second attempt, at most.'),
      max: duration(1, HOUR_MS).usually(backoff.max).describe('Before any attempt, at most.'),
    })
      .check(sense(growing))
      .usually({})
      .describe('Exponential, with full jitter.'),
    budget: rate(0, 1)
      .usually(budget)
      .describe('Retries and hedges under way, of the active calls, at most.'),
  });
}

function growing({ base, max }: Fields, fault: Fault): void {
  const first = numberOf(base);
  const most = numberOf(max);
  if (first !== undefined && most !== undefined && first > most)
    fault(['base'], `must be at most backoff.max (${formatDuration(most)}); got ${formatDuration(first)}`);
}

function distinct(items: readonly unknown[], fault: Fault): void {
  // More than there are statuses is refused anyway.
  for (const [i, item] of items.slice(0, 2 * statusNames.length).entries())
    if (items.indexOf(item) < i) fault([i], `is there twice: ${String(item)}`);
}

function status() {
  return choice(statusNames, must('a gRPC status other than OK, in capitals'), statusSuggestion);
}

function statusSuggestion(input: unknown): string {
  if (typeof input !== 'number') return suggestion(input, statusNames);
  const meant = statusNames[input - 1];
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

export function hedge() {
  const right = must(
    'a duration, for example 50ms, or a percentile of the latency, for example p95 (p50 to p99.9)',
  );
  const fixed = duration(1, HOUR_MS).transform((ms) => ({ kind: 'fixed' as const, ms }));
  const percentile = matching(/^p(?:[5-9]\d)(?:\.\d)?$/, right).transform((text) => ({
    kind: 'percentile' as const,
    p: Math.round(Number(text.slice(1)) * 10) / 1_000,
  }));
  return record({
    delay: either([percentile, fixed], right)
      .usually(defaults.hedge.delay)
      .describe('Wait before the extra attempt: fixed, or a rolling percentile of the latency.'),
    extra: whole(1, 4).usually(defaults.hedge.extra).describe('Attempts beside the first, at most.'),
  });
}

const fallbackKinds = ['cache', 'static', 'target', 'handler', 'error'] as const;

export function fallback() {
  const entry = record(
    {
      cache: record({ maxAge: duration(1, DAY_MS).describe('How old the answer may be.') })
        .optional()
        .describe('The last good answer to the same request.'),
      static: anything().optional().describe('This answer, in JSON form.'),
      target: record({
        to: name(serviceNamePattern, serviceRight).describe('Another service.'),
        method: name(exactMethodPattern, 'one method, as pkg.Service/Method')
          .optional()
          .describe('Another method; absent: the same.'),
      })
        .optional()
        .describe('Another service or method.'),
      handler: name(handlerNamePattern, `the name of a function: ${handlerNameRight}`)
        .optional()
        .describe('A function of the application, by name.'),
      error: record({
        status: status().describe('gRPC status.'),
        message: text(must('text'), [1_000, 'must have at most 1000 characters'])
          .optional()
          .describe('Its message.'),
      })
        .optional()
        .describe('This status.'),
    },
    { defer: 'deferring calls is not available yet; use cache, static, target, handler or error' },
  );
  return listOf(
    entry.check(sense(oneKind)),
    must('a list of at most 3, for example [{ cache: { maxAge: 60s } }]'),
    {
      least: [1, 'must have at least one entry; leave it out, or say null to remove it'],
      most: [3, 'must have at most 3 entries'],
    },
  ).check(senseOfList(endsLast));
}

function endsLast(chain: readonly unknown[], fault: Fault): void {
  for (const [i, entry] of chain.slice(0, -1).entries()) {
    const kind = isRecord(entry) && (['static', 'error'] as const).find((name) => entry[name] !== undefined);
    if (kind) fault([i], `${kind} always answers: it must be the last entry`);
  }
}

function oneKind(entry: Fields, fault: Fault, strange: boolean): void {
  const kinds = Object.keys(entry);
  // Whatever stands there in place of a kind has been named.
  if (kinds.length === 1 || (kinds.length === 0 && strange)) return;
  const got = kinds.length === 0 ? 'none' : kinds.join(', ');
  fault([], `must have exactly one of ${fallbackKinds.join(', ')}; got ${got}`);
}
