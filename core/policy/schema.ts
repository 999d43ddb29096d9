/**
 * The form of a policy document, field by field: type, range, default, and what it is for. The parser reads with it, and
 * OpenAPI and docs/policies.md are held to it. What is read keeps the document's own names (so that faults have its paths);
 * `build.ts` turns it into the model. Built at first use.
 */
import { defaults } from './defaults.js';
import { later, type Read } from './form.js';
import {
  choice,
  DAY_MS,
  duration,
  type Fault,
  type Fields,
  flag,
  name,
  numberOf,
  record,
  sense,
  serviceRight,
  whole,
} from './leaves.js';
import { calleePattern, methodPattern, policyNamePattern, SELF, serviceNamePattern } from './names.js';
import { isList, isRecord } from './plain.js';
import { breaches, type Facts } from './rules.js';
import { fallback, hedge, retry } from './schema-attempts.js';
import { circuit } from './schema-circuit.js';
import { admission, bulkhead, rateLimit } from './schema-limits.js';
import { classify, outlier } from './schema-outlier.js';

const methodRight = 'a method as pkg.Service/Method, or pkg.Service/* for all of a service';

function match() {
  return record({
    to: name(calleePattern, `${serviceRight}, or "*"`).describe(
      'Callee service, guard resource, or `*` for all.',
    ),
    from: name(serviceNamePattern, `${serviceRight}; leave it out for every caller`)
      .optional()
      .describe('Caller service; absent: every caller.'),
    method: name(methodPattern, `${methodRight}; leave it out for every method`)
      .optional()
      .describe('`pkg.Service/Method`, or `pkg.Service/*`; absent: every method.'),
  });
}

function spec() {
  const limit = () => duration(1, DAY_MS).nullable().optional();
  return record({
    timeout: limit().describe('The whole call; of a streamed response, until its first message.'),
    attemptTimeout: limit().describe('Each attempt.'),
    streamTimeout: limit().describe('The whole of a streaming call.'),
    idempotent: flag()
      .nullable()
      .optional()
      .describe('Harmless to repeat: allows retries of what may have been executed, and hedging.'),
    retry: later(retry).nullable().optional().describe('Trying again.'),
    hedge: later(hedge).nullable().optional().describe('Trying a second time before the first has answered.'),
    circuit: later(circuit).nullable().optional().describe('Stops calling what fails.'),
    bulkhead: later(bulkhead).nullable().optional().describe('Bounds calls under way.'),
    rateLimit: later(rateLimit).nullable().optional().describe('Bounds calls per time.'),
    admission: later(admission)
      .nullable()
      .optional()
      .describe('Sends fewer calls to what fails, at random, by its rate of successes.'),
    outlier: later(outlier)
      .nullable()
      .optional()
      .describe('Leaves out the instances that fail; of `mesh.client` alone.'),
    classify: later(classify)
      .nullable()
      .optional()
      .describe('Statuses and errors that count as something else than usual.'),
    fallback: later(fallback).nullable().optional().describe('What is answered instead, in turn.'),
  }).check(
    sense((fields, fault) => {
      for (const { path, message, refused } of breaches(factsOfFields(fields)))
        if (refused) fault(path, message);
    }),
  );
}

/** Of a spec that may be wrong in parts. */
function factsOfFields(spec: Fields): Facts {
  const { hedge, circuit, bulkhead } = spec;
  return {
    timeout: numberOf(spec.timeout),
    attemptTimeout: numberOf(spec.attemptTimeout),
    idempotent: spec.idempotent === true,
    hedge: isRecord(hedge)
      ? { delay: isRecord(hedge.delay) ? numberOf(hedge.delay.ms) : undefined }
      : undefined,
    slowCall: isRecord(circuit) ? numberOf(circuit.slowCall) : undefined,
    queueTimeout: isRecord(bulkhead) ? numberOf(bulkhead.queueTimeout) : undefined,
  };
}

function document() {
  return record({
    policy: name(
      policyNamePattern,
      'a name of a-z, 0-9 and . _ - (at most 128, the first a letter or digit)',
    ).describe('Unique name of the policy.'),
    match: match().describe('The calls it is about.'),
    mode: choice(['enforce', 'shadow', 'off'])
      .usually(defaults.mode)
      .describe('Enforced, only watched, or as if absent.'),
    priority: whole(-1_000, 1_000)
      .usually(defaults.priority)
      .describe('Among equally specific policies the higher one prevails.'),
    spec: spec().usually({}).describe('What it says; null removes what more general policies say.'),
    rollout: record({
      percent: whole(0, 100)
        .usually(defaults.rollout.percent)
        .describe('Of the instances, by a stable hash.'),
    })
      .usually({})
      .describe('Staged rollout.'),
  })
    .check(sense(elsewhere))
    .check(sense(ownRate));
}

/** The mesh knows a shared rate by its callee, and every service is `self` to itself. */
function ownRate({ match, spec }: Fields, fault: Fault): void {
  if (!isRecord(match) || !isRecord(spec) || !isRecord(spec.rateLimit)) return;
  if (match.to === SELF && match.from === undefined && spec.rateLimit.scope === 'cluster')
    fault(
      ['spec', 'rateLimit', 'scope'],
      'must be local where match.to is self, or match.from must name the service: else all services would share one rate',
    );
}

/** A call that falls back to itself would fail again, at best. */
function elsewhere({ match, spec }: Fields, fault: Fault): void {
  if (!isRecord(match) || !isRecord(spec) || !isList(spec.fallback)) return;
  for (const [i, entry] of spec.fallback.entries()) {
    const target = isRecord(entry) ? entry.target : undefined;
    if (!isRecord(target) || target.to !== match.to) continue;
    if (target.method === undefined || target.method === match.method)
      fault(
        ['spec', 'fallback', i, 'target'],
        'must be another service or method than the one that is called',
      );
  }
}

export type Written = Read<ReturnType<typeof document>>;

let built: ReturnType<typeof document> | undefined;

export function documentSchema(): ReturnType<typeof document> {
  built ??= document();
  return built;
}
