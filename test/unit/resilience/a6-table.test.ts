/**
 * gRFC A6 (client retries) as a table: the specification's own examples and rules, case by case, each with its section, held
 * against the decision alone (on the wire: `agent-calls/a6-retry.test.ts`); its hedges have a table of their own beside this. Where
 * this project decides otherwise the row says so: A6's transparent retries and its buffer are the transport's, and retries need
 * a method that may be repeated besides.
 */
import { expect } from 'chai';
import { seededRandom } from '../../../core/random.js';
import { backoffMs } from '../../../core/resilience/backoff.js';
import type { AttemptBudget } from '../../../core/resilience/budget.js';
import { parsePushback } from '../../../core/resilience/pushback.js';
import {
  decideRetry,
  isUpstreamRetry,
  previousAttempts,
  type RetryState,
} from '../../../core/resilience/retry.js';
import { pushbackCases, retryCases, retryPolicy, title } from '../../support/a6-cases.js';
import { budgetWithTokens, failure, pushedBack, retryState } from '../../support/retrying.js';
import { evenRandom } from '../../support/specs.js';

function decide(changes: Partial<RetryState>, budget: AttemptBudget = budgetWithTokens(10)) {
  return decideRetry(retryState({ spec: retryPolicy, ...changes }), budget, evenRandom);
}

describe('A6: whether there is a retry', () => {
  for (const row of retryCases)
    it(title(row), () => {
      const { status = 'UNAVAILABLE', unsent = false, pushback = [], tokens = 10, on = retryPolicy.on } = row;
      const state = {
        spec: { ...retryPolicy, on },
        idempotent: !row.once,
        failure: failure({ status, unsent, pushback: parsePushback(pushback) }),
        attempts: row.attempts ?? 1,
        committed: row.headers === true,
        remainingMs: row.late ? 0 : Number.POSITIVE_INFINITY,
      };
      const decision = decide(state, budgetWithTokens(tokens));
      expect(decision.kind === 'stop' ? decision.why : 'retry').to.equal(row.gives);
    });
});

describe('A6: when there is a retry', () => {
  const ranges = [
    { n: 1, upToMs: 100, formula: 'random(0, initialBackoff)' },
    { n: 2, upToMs: 200, formula: 'random(0, initialBackoff × 2)' },
    { n: 3, upToMs: 400, formula: 'random(0, initialBackoff × 4)' },
    { n: 4, upToMs: 800, formula: 'random(0, initialBackoff × 8)' },
    { n: 5, upToMs: 1_000, formula: 'random(0, maxBackoff)' },
  ];
  for (const { n, upToMs, formula } of ranges)
    it(title({ section: 'Exponential Backoff', says: `retry ${n} at ${formula}` }), () => {
      const random = seededRandom(n);
      const drawn = Array.from({ length: 1_000 }, () => backoffMs(retryPolicy.backoff, n, random));
      expect(Math.min(...drawn)).to.be.within(0, upToMs * 0.05);
      expect(Math.max(...drawn)).to.be.within(upToMs * 0.95, upToMs);
    });

  it('Summary 5.1: pushback n waits exactly n, and the backoff after it is the initial one again', () => {
    const first = decide({ attempts: 1 });
    expect(first).to.deep.equal({ kind: 'retry', afterMs: 50, backoffs: 1 });
    const second = decide({ attempts: 2, backoffs: 1, failure: pushedBack('3000') });
    expect(second).to.deep.equal({ kind: 'retry', afterMs: 3_000, backoffs: 0 });
    const third = decide({ attempts: 3, backoffs: 0 });
    expect(third).to.deep.equal({ kind: 'retry', afterMs: 50, backoffs: 1 });
  });

  it('Pushback: 0 is a wait of nothing', () => {
    expect(decide({ failure: pushedBack('0') })).to.include({ kind: 'retry', afterMs: 0 });
  });
});

describe('A6: grpc-retry-pushback-ms', () => {
  for (const { says, values, gives } of pushbackCases)
    it(title({ section: 'Pushback', says }), () => {
      const { kind, ...rest } = parsePushback(values);
      expect(kind).to.equal(typeof gives === 'number' ? 'wait' : gives);
      if (typeof gives === 'number') expect(rest).to.deep.equal({ ms: gives });
    });
});

describe('A6: token_count with maxTokens 10 and tokenRatio 0.1', () => {
  type Event = 'ok' | Partial<RetryState>;
  const retryable: Event = {};
  const rows: { says: string; from: number; events: Event[]; tokens: number }[] = [
    { says: 'begins at maxTokens', from: 10, events: [], tokens: 10 },
    { says: 'a retryable failure takes 1', from: 10, events: [retryable], tokens: 9 },
    {
      says: 'the attempt after the last one takes 1 as well',
      from: 10,
      events: [{ attempts: 4 }],
      tokens: 9,
    },
    { says: 'a success adds tokenRatio', from: 8, events: ['ok'], tokens: 8.1 },
    { says: 'ten successes make up for one failure', from: 9, events: Array(10).fill('ok'), tokens: 10 },
    { says: 'never above maxTokens', from: 10, events: ['ok', 'ok'], tokens: 10 },
    { says: 'never below 0', from: 1, events: [retryable, retryable, 'ok'], tokens: 0.1 },
    {
      says: 'INVALID_ARGUMENT takes none',
      from: 10,
      events: [{ failure: failure({ status: 'INVALID_ARGUMENT' }) }],
      tokens: 10,
    },
    {
      says: 'pushback "don’t retry" takes 1 whatever the status',
      from: 10,
      events: [{ failure: { ...pushedBack('-1'), status: 'INVALID_ARGUMENT' } }],
      tokens: 9,
    },
    {
      says: 'pushback n with a retryable status takes 1',
      from: 10,
      events: [{ failure: pushedBack('5') }],
      tokens: 9,
    },
    {
      says: 'ours: a rejection of our own takes none, it never was an RPC',
      from: 10,
      events: [{ failure: failure({ local: true }) }],
      tokens: 10,
    },
  ];
  for (const { says, from, events, tokens } of rows)
    it(title({ section: 'Throttling Retry Attempts and Hedged RPCs', says }), () => {
      const budget = budgetWithTokens(from);
      for (const event of events)
        if (event === 'ok') budget.succeeded();
        else decide(event, budget);
      expect(budget.tokens).to.equal(tokens);
    });

  it('Throttling Configuration: of failing calls alone, four are retried, and then none until tokens rise over half', () => {
    const budget = budgetWithTokens(10);
    const retried = () => {
      const { kind } = decide({}, budget);
      if (kind === 'retry') budget.extraEnded();
      return kind === 'retry';
    };
    expect([1, 2, 3, 4, 5, 6].map(retried)).to.deep.equal([true, true, true, true, false, false]);
    expect(budget.tokens).to.equal(4);
    for (let i = 0; i < 20; i++) budget.succeeded();
    expect(budget.tokens).to.equal(6);
    expect(retried()).to.equal(false);
    for (let i = 0; i < 11; i++) budget.succeeded();
    expect(budget.tokens).to.equal(6.1);
    expect(retried()).to.equal(true);
  });
});

describe('A6: grpc-previous-rpc-attempts', () => {
  const rows: { says: string; made: number; value: string | undefined }[] = [
    { says: 'not present on the first RPC', made: 0, value: undefined },
    { says: '1 for the second RPC', made: 1, value: '1' },
    { says: '2 for the third', made: 2, value: '2' },
    { says: '4 for the fifth, the last there can be', made: 4, value: '4' },
  ];
  for (const { says, made, value } of rows)
    it(title({ section: 'Exposed Retry Metadata', says }), () => {
      expect(previousAttempts(made)).to.equal(value);
      expect(isUpstreamRetry(value === undefined ? [] : [value])).to.equal(made > 0);
    });
});
