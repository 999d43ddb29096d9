/**
 * gRFC A6 (client retries) through the agent's interceptor: the table of the decision, and the specification's examples with their
 * times, by what reaches the wire, when, with which `grpc-previous-rpc-attempts`, and by what the client is told. Where this project
 * decides otherwise the row begins with "ours". Random is even: of each backoff the middle.
 */
import { expect } from 'chai';
import { parsePolicy } from '../../../core/policy/index.js';
import type { RetrySpec } from '../../../core/policy/model.js';
import { pushbackCases, retryCases, retryPolicy, title } from '../../support/a6-cases.js';
import { type Intercepted, intercepted, metadataOf } from '../../support/intercepted.js';
import { type Answer, course, type ScriptOptions, scripted, silence } from '../../support/scripted-wire.js';
import { effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const failing: Answer = { status: 'UNAVAILABLE' };
const fine: Answer = { status: 'OK' };
const calls = (changes: Partial<RetrySpec> = {}, idempotent = true): Intercepted =>
  intercepted(effectiveOf({ retry: { ...retryPolicy, ...changes }, idempotent }));

/** Calls that take so many tokens: each fails once, and says not to try again. */
async function spend(made: Intercepted, tokens: number): Promise<void> {
  for (let i = 10; i > Math.floor(tokens); i--) await course(made, [{ ...failing, pushback: ['-1'] }]);
  for (let i = 0; i < Math.round((tokens % 1) * 10); i++) await course(made, [fine]);
  expect(made.target().surround?.budget?.tokens).to.equal(tokens);
}

/** What became of `of` attempts: the first says nothing of those before it, each further one how many they were. */
const inTurn = (of: number) => Array.from({ length: of }, (_, i) => (i === 0 ? undefined : String(i)));

describe('A6 on the wire: whether there is a retry', () => {
  for (const row of retryCases)
    it(title(row), async () => {
      const { status = 'UNAVAILABLE', pushback = [], attempts = 1, gives } = row;
      const made = calls({ on: row.on ?? retryPolicy.on }, !row.once);
      await spend(made, row.tokens ?? 10);
      const failed: Answer = {
        status,
        pushback,
        afterMs: 20,
        ...(row.headers ? { headersAfterMs: 10 } : {}),
        ...(row.unsent ? { details: 'No connection established' } : {}),
      };
      const script = [...Array<Answer>(attempts - 1).fill(failing), failed, fine];
      const { book } = made.target().tally;
      const before = book.entries.length;
      const seen = await course(made, script, row.late ? { deadlineMs: 20 } : {});
      const again = gives === 'retry';
      expect(seen.previous).to.deep.equal(inTurn(again ? attempts + 1 : attempts));
      expect(seen.told).to.deep.equal([again ? 'OK' : status]);
      const gaveUp = book.entries.slice(before).flatMap(({ kind, code }) => (kind === 'give-up' ? code : []));
      expect(gaveUp).to.deep.equal(again || gives === 'status' ? [] : [gives]);
      made.expectNothingLeft();
    });
});

describe('A6 on the wire: grpc-retry-pushback-ms', () => {
  for (const { says, values, gives } of pushbackCases)
    it(title({ section: 'Pushback', says }), async () => {
      const made = calls();
      const script = [{ ...failing, pushback: values }, fine];
      const seen = await course(made, script, { withinMs: 2_147_483_647 });
      const pauseMs = gives === 'none' ? 50 : gives;
      expect(seen.at).to.deep.equal(pauseMs === 'stop' ? [0] : [0, pauseMs]);
      expect(seen.told).to.deep.equal([pauseMs === 'stop' ? 'UNAVAILABLE' : 'OK']);
      made.expectNothingLeft();
    });
});

interface Row {
  readonly section: string;
  readonly says: string;
  readonly spec?: Partial<RetrySpec>;
  readonly script: readonly Answer[];
  readonly options?: ScriptOptions;
  readonly at: readonly number[];
  readonly told: readonly [string, number];
}

describe('A6 on the wire: when there is a retry, and when the call is over', () => {
  const rows: readonly Row[] = [
    {
      section: 'Exponential Backoff',
      says: 'four attempts at random(0, 100), (0, 200), (0, 400), and no fifth',
      script: [failing],
      at: [0, 50, 150, 350],
      told: ['UNAVAILABLE', 350],
    },
    {
      section: 'Exponential Backoff',
      says: 'no more than maxBackoff',
      spec: { backoff: { baseMs: 100, maxMs: 150 } },
      script: [failing],
      at: [0, 50, 125, 200],
      told: ['UNAVAILABLE', 200],
    },
    {
      section: 'Maximum Number of Retries',
      says: 'the one that succeeds is the last',
      script: [failing, failing, fine],
      at: [0, 50, 150],
      told: ['OK', 150],
    },
    {
      section: 'Limits on Retries and Hedges',
      says: 'five attempts are the most there can be',
      spec: { attempts: 5 },
      script: [failing],
      at: [0, 50, 150, 350, 750],
      told: ['UNAVAILABLE', 750],
    },
    {
      section: 'Maximum Number of Retries',
      says: 'the deadline ends the call while an attempt is under way, however many were configured',
      script: [failing, silence],
      options: { deadlineMs: 300 },
      at: [0, 50],
      told: ['DEADLINE_EXCEEDED', 300],
    },
    {
      section: 'Maximum Number of Retries',
      says: 'the deadline of an attempt is what was left of the call’s, which is not tried beyond though it is named',
      spec: { on: ['UNAVAILABLE', 'DEADLINE_EXCEEDED'] },
      script: [{ ...failing, afterMs: 100 }, silence],
      options: { deadlineMs: 300 },
      at: [0, 150],
      told: ['DEADLINE_EXCEEDED', 300],
    },
    {
      section: 'Maximum Number of Retries',
      says: 'ours: a pause that would outlast the deadline is not begun, and the call fails at once as its attempt did',
      script: [failing],
      options: { deadlineMs: 350 },
      at: [0, 50, 150],
      told: ['UNAVAILABLE', 150],
    },
    {
      section: 'Pushback',
      says: 'ours: a wait that would outlast the deadline is not begun either',
      script: [{ ...failing, pushback: ['5000'] }],
      options: { deadlineMs: 5_000 },
      at: [0],
      told: ['UNAVAILABLE', 0],
    },
    {
      section: 'Summary 5.1',
      says: 'pushback n waits exactly n, and the backoff after it is the initial one again',
      script: [failing, { ...failing, pushback: ['3000'] }, failing],
      at: [0, 50, 3_050, 3_100],
      told: ['UNAVAILABLE', 3_100],
    },
    {
      section: 'Pushback',
      says: 'a wait of nothing is a retry at once, and counts as an attempt',
      script: [{ ...failing, pushback: ['0'] }],
      at: [0, 0, 0, 0],
      told: ['UNAVAILABLE', 0],
    },
    {
      section: 'Pushback',
      says: '"don’t retry" ends a call that was retried before',
      script: [failing, { ...failing, pushback: ['-1'] }],
      at: [0, 50],
      told: ['UNAVAILABLE', 50],
    },
    {
      section: 'Pushback',
      says: 'one that comes with a fatal status makes it no less fatal',
      script: [{ status: 'INVALID_ARGUMENT', pushback: ['10'] }],
      at: [0],
      told: ['INVALID_ARGUMENT', 0],
    },
    {
      section: 'When Retries are Valid',
      says: 'a stream of responses is tried again until it has headers',
      script: [failing, { ...failing, headersAfterMs: 10, afterMs: 20 }],
      options: { responseStream: true },
      at: [0, 50],
      told: ['UNAVAILABLE', 70],
    },
    {
      section: 'When Retries are Valid',
      says: 'ours: a stream of requests is not buffered, and committed from its beginning',
      script: [failing],
      options: { requestStream: true },
      at: [0],
      told: ['UNAVAILABLE', 0],
    },
    {
      section: 'Retryable Status Codes',
      says: 'ours: what the callee shed by a policy of its own is not tried again, whatever wait it names',
      script: [{ ...failing, shed: true, pushback: ['10'] }],
      at: [0],
      told: ['UNAVAILABLE', 0],
    },
  ];
  for (const { section, says, spec, script, options, at, told } of rows)
    it(title({ section, says }), async () => {
      const made = calls(spec);
      const seen = await course(made, script, options);
      expect(seen.at).to.deep.equal(at);
      expect(seen.previous).to.deep.equal(inTurn(at.length));
      expect([...seen.told, ...seen.toldAt]).to.deep.equal(told);
      expect(seen.cancelled).to.deep.equal([]);
      if (options?.deadlineMs !== undefined)
        expect(seen.deadlines).to.deep.equal(at.map(() => options.deadlineMs));
      made.expectNothingLeft();
    });

  it('Limits on Retries and Hedges: ours: a policy of more than five attempts is refused, where A6 takes it for five', () => {
    const [five, six] = [5, 6].map((attempts) =>
      parsePolicy({ policy: 'inventory-default', match: { to: 'inventory' }, spec: { retry: { attempts } } }),
    );
    expect(five?.ok).to.equal(true);
    expect(six?.ok === false && six.issues.map(({ path }) => path)).to.deep.equal(['spec.retry.attempts']);
  });

  it('Exposed Retry Metadata: ours: a call that is itself a retry of somebody above counts anew, and takes a token', async () => {
    const made = calls();
    const metadata = metadataOf({ 'grpc-previous-rpc-attempts': '3' });
    const seen = scripted(made, [failing, silence], { metadata });
    made.clock.advance(50);
    expect(seen.previous).to.deep.equal(['3', '1']);
    expect(made.target().surround?.budget?.tokens).to.equal(8);
    seen.call.cancelWithStatus(1, 'Cancelled on client');
    await settled();
    expect(seen.told).to.deep.equal(['CANCELLED']);
    made.expectNothingLeft();
  });
});
