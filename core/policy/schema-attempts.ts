/**
 * The forms of `spec.retry`, `spec.hedge` and `spec.fallback`: what is tried again, beside, and instead.
 */
import * as z from 'zod';
import { defaults } from './defaults.js';
import {
  DAY_MS,
  duration,
  type Fault,
  type Fields,
  HOUR_MS,
  MINUTE_MS,
  must,
  name,
  numberOf,
  rate,
  record,
  sense,
  senseOfList,
  serviceRight,
  suggestion,
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
    attempts: whole(1, 5).prefault(attempts).describe('Attempts in all, the first included.'),
    on: z
      .array(status(), { error: must('a list of gRPC statuses, for example [UNAVAILABLE]') })
      .min(1, { error: 'must name at least one gRPC status; leave it out for [UNAVAILABLE]' })
      .max(statusNames.length, { error: 'must name each gRPC status once' })
      .check(senseOfList(distinct))
      .prefault([...on])
      .describe('gRPC statuses that are tried again.'),
    backoff: record({
      base: duration(1, MINUTE_MS).prefault(backoff.base).describe('Before the second attempt, at most.'),
      max: duration(1, HOUR_MS).prefault(backoff.max).describe('Before any attempt, at most.'),
    })
      .check(sense(growing))
      .prefault({})
      .describe('Exponential, with full jitter.'),
    budget: rate(0, 1)
      .prefault(budget)
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
  return z.enum(statusNames, {
    error: (issue) => must('a gRPC status other than OK, in capitals')(issue) + statusSuggestion(issue.input),
  });
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
  const percentile = z
    .string({ error: right })
    .regex(/^p(?:[5-9]\d)(?:\.\d)?$/, { error: right })
    .transform((text) => ({
      kind: 'percentile' as const,
      p: Math.round(Number(text.slice(1)) * 10) / 1_000,
    }));
  return record({
    delay: z
      .union([percentile, fixed], { error: right })
      .prefault(defaults.hedge.delay)
      .describe('Wait before the extra attempt: fixed, or a rolling percentile of the latency.'),
    extra: whole(1, 4).prefault(defaults.hedge.extra).describe('Attempts beside the first, at most.'),
  });
}

const fallbackKinds = ['cache', 'static', 'target', 'handler', 'error'] as const;

export function fallback() {
  const entry = record(
    {
      cache: record({ maxAge: duration(1, DAY_MS).describe('How old the answer may be.') })
        .exactOptional()
        .describe('The last good answer to the same request.'),
      static: z.unknown().exactOptional().describe('This answer, in JSON form.'),
      target: record({
        to: name(serviceNamePattern, serviceRight).describe('Another service.'),
        method: name(exactMethodPattern, 'one method, as pkg.Service/Method')
          .exactOptional()
          .describe('Another method; absent: the same.'),
      })
        .exactOptional()
        .describe('Another service or method.'),
      handler: name(handlerNamePattern, `the name of a function: ${handlerNameRight}`)
        .exactOptional()
        .describe('A function of the application, by name.'),
      error: record({
        status: status().describe('gRPC status.'),
        message: z
          .string({ error: must('text') })
          .max(1_000, { error: 'must have at most 1000 characters' })
          .exactOptional()
          .describe('Its message.'),
      })
        .exactOptional()
        .describe('This status.'),
    },
    { defer: 'deferring calls is not available yet; use cache, static, target, handler or error' },
  );
  return z
    .array(entry.check(sense(oneKind)), {
      error: must('a list of at most 3, for example [{ cache: { maxAge: 60s } }]'),
    })
    .min(1, { error: 'must have at least one entry; leave it out, or say null to remove it' })
    .max(3, { error: 'must have at most 3 entries' })
    .check(senseOfList(endsLast));
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
