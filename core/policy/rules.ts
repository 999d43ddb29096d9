/**
 * Sections that contradict each other. The same rules hold within one document and for what several policies merge to, where
 * each document was right by itself. Some contradictions are refused in a document; others only make a field idle, which
 * explain says.
 */
import type { Effective, SectionName } from './model.js';
import { formatDuration } from './units.js';

/** What the rules look at; milliseconds. A value that is absent, removed or malformed is undefined. */
export interface Facts {
  readonly timeout?: number | undefined;
  readonly attemptTimeout?: number | undefined;
  readonly idempotent?: boolean | undefined;
  /** `delay` only if it is fixed. */
  readonly hedge?: { readonly delay?: number | undefined } | undefined;
  readonly slowCall?: number | undefined;
  readonly queueTimeout?: number | undefined;
  /** The longest first pause of a retry; only where there is one. */
  readonly backoffBase?: number | undefined;
}

export interface Breach {
  /** Below `spec`: the field to change first. */
  readonly path: readonly string[];
  /** The sections that together bring it about. */
  readonly sections: readonly SectionName[];
  /** What would be right. */
  readonly message: string;
  /** No single document may say so. */
  readonly refused: boolean;
}

interface Limit {
  readonly path: readonly [SectionName, ...string[]];
  readonly value: (facts: Facts) => number | undefined;
  readonly against: 'timeout' | 'attemptTimeout';
  /** Equal is a breach too. */
  readonly strict: boolean;
  readonly refused: boolean;
  readonly because: string;
}

const limits: readonly Limit[] = [
  {
    path: ['attemptTimeout'],
    value: ({ attemptTimeout }) => attemptTimeout,
    against: 'timeout',
    strict: true,
    refused: true,
    because: "an attempt can't outlast the call",
  },
  {
    path: ['circuit', 'slowCall'],
    value: ({ slowCall }) => slowCall,
    against: 'timeout',
    strict: false,
    refused: true,
    because: 'no call lasts that long',
  },
  {
    path: ['circuit', 'slowCall'],
    value: ({ slowCall }) => slowCall,
    against: 'attemptTimeout',
    strict: false,
    refused: false,
    because: 'no attempt lasts that long',
  },
  {
    path: ['bulkhead', 'queueTimeout'],
    value: ({ queueTimeout }) => queueTimeout,
    against: 'timeout',
    strict: false,
    refused: false,
    because: 'the call is over before its wait is',
  },
  {
    path: ['hedge', 'delay'],
    value: ({ hedge }) => hedge?.delay,
    against: 'timeout',
    strict: true,
    refused: true,
    because: 'the call is over before the hedge starts',
  },
  {
    path: ['hedge', 'delay'],
    value: ({ hedge }) => hedge?.delay,
    against: 'attemptTimeout',
    strict: true,
    refused: false,
    because: 'the attempt is over before the hedge starts',
  },
  {
    path: ['retry', 'backoff', 'base'],
    value: ({ backoffBase }) => backoffBase,
    against: 'timeout',
    strict: true,
    refused: false,
    because: 'most calls are over before their retry starts',
  },
];

export function breaches(facts: Facts): Breach[] {
  const found: Breach[] = [];
  for (const { path, value, against, strict, refused, because } of limits) {
    const given = value(facts);
    const limit = facts[against];
    if (given === undefined || limit === undefined || given < limit || (given === limit && !strict)) continue;
    const right = `must be ${strict ? 'below' : 'at most'} ${against} (${formatDuration(limit)})`;
    const message = `${right}; got ${formatDuration(given)}, and ${because}`;
    found.push({ path, sections: [path[0], against], message, refused });
  }
  if (facts.hedge && facts.idempotent !== true)
    found.push({
      path: ['hedge'],
      sections: ['hedge', 'idempotent'],
      message: 'needs idempotent: true beside it, since a hedge repeats calls that may be under way',
      refused: true,
    });
  return found;
}

export function factsOf(effective: Effective): Facts {
  const delay = effective.hedge?.value.delay;
  const retry = effective.retry?.value;
  return {
    timeout: effective.timeout?.value,
    attemptTimeout: effective.attemptTimeout?.value,
    idempotent: effective.idempotent?.value,
    hedge: delay && { delay: delay.kind === 'fixed' ? delay.ms : undefined },
    slowCall: effective.circuit?.value.slowCallMs,
    queueTimeout: effective.bulkhead?.value.queueTimeoutMs,
    backoffBase: retry && retry.attempts > 1 ? retry.backoff.baseMs : undefined,
  };
}
