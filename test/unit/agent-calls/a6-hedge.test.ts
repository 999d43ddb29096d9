/**
 * gRFC A6 (client retries), the hedging half, through the agent's interceptor: the specification's examples by when each copy
 * reaches the wire, with which `grpc-previous-rpc-attempts` and which deadline, which are cancelled, and what the client is told.
 * Where this project decides otherwise the row begins with "ours".
 */
import { expect } from 'chai';
import { parsePolicy } from '../../../core/policy/index.js';
import { title } from '../../support/a6-cases.js';
import { intercepted } from '../../support/intercepted.js';
import { retrySpec } from '../../support/retrying.js';
import { type Answer, course, type ScriptOptions, silence } from '../../support/scripted-wire.js';
import { effectiveOf } from '../../support/specs.js';

/** "hedgingPolicy": maxAttempts 4, hedgingDelay .5s, nonFatalStatusCodes [UNAVAILABLE, INTERNAL, ABORTED]. */
const hedgingPolicy = { extra: 3, delayMs: 500, nonFatal: ['UNAVAILABLE', 'INTERNAL', 'ABORTED'] };

const after = (afterMs: number, status: Answer['status'], ...pushback: string[]): Answer => ({
  status,
  afterMs,
  pushback,
});

interface Row {
  readonly section: string;
  readonly says: string;
  readonly policy?: Partial<typeof hedgingPolicy>;
  /** The policy's `timeout`. */
  readonly timeout?: number;
  readonly script: readonly Answer[];
  readonly options?: ScriptOptions;
  /** When each copy reaches the wire. */
  readonly at: readonly number[];
  readonly cancelled: readonly number[];
  /** Undefined: nothing, for a minute. */
  readonly told?: readonly [string, number];
}

const DEADLINE = 'Hedging Policy, one deadline';
const PUSHBACK = 'Pushback';

const rows: readonly Row[] = [
  {
    section: 'Hedging Policy',
    says: 'one outstanding after 1 ms, two after 501, three after 1001, four after 1501, and no fifth',
    script: [silence],
    at: [0, 500, 1_000, 1_500],
    cancelled: [],
  },
  {
    section: 'Configuration Language',
    says: 'ours: a hedgingDelay is at least 1 ms (a policy of 0 is refused), so four are sent nearly at once',
    policy: { delayMs: 1 },
    script: [silence],
    at: [0, 1, 2, 3],
    cancelled: [],
  },
  {
    section: 'Summary 1.2',
    says: 'a success within the delay is the only attempt',
    script: [after(499, 'OK')],
    at: [0],
    cancelled: [],
    told: ['OK', 499],
  },
  {
    section: 'Summary 1.2',
    says: 'the first success, of whichever copy, cancels previous hedges and pending ones',
    script: [silence, after(600, 'OK'), silence],
    at: [0, 500, 1_000],
    cancelled: [0, 2],
    told: ['OK', 1_100],
  },
  {
    section: 'Summary 2.2',
    says: 'a non-fatal status sends the next hedge at once, the following ones resume at hedgingDelay',
    script: [after(100, 'ABORTED'), silence],
    at: [0, 100, 600, 1_100],
    cancelled: [],
  },
  {
    section: 'Hedging Policy',
    says: 'when all have failed there is no further attempt, and the last failure is returned',
    script: [after(700, 'UNAVAILABLE'), after(10, 'INTERNAL'), after(0, 'ABORTED'), after(90, 'UNAVAILABLE')],
    at: [0, 500, 510, 510],
    cancelled: [],
    told: ['UNAVAILABLE', 700],
  },
  {
    section: 'Summary 3.2',
    says: 'a fatal status ends the call, previous hedges and pending ones',
    script: [silence, after(10, 'INVALID_ARGUMENT')],
    at: [0, 500],
    cancelled: [0],
    told: ['INVALID_ARGUMENT', 510],
  },
  {
    section: 'Hedging Policy, non-fatal status codes',
    says: 'a status that the policy doesn’t name is fatal, UNAVAILABLE too',
    policy: { nonFatal: ['INTERNAL'] },
    script: [after(100, 'UNAVAILABLE')],
    at: [0],
    cancelled: [],
    told: ['UNAVAILABLE', 100],
  },
  {
    section: DEADLINE,
    says: 'the caller’s applies to the entire chain: whoever runs then is over, and none is sent after',
    script: [silence],
    options: { deadlineMs: 1_200 },
    at: [0, 500, 1_000],
    cancelled: [1, 2],
    told: ['DEADLINE_EXCEEDED', 1_200],
  },
  {
    section: DEADLINE,
    says: 'so does the policy’s',
    timeout: 1_200,
    script: [silence],
    at: [0, 500, 1_000],
    cancelled: [1, 2],
    told: ['DEADLINE_EXCEEDED', 1_200],
  },
  {
    section: DEADLINE,
    says: 'no copy is sent at the very deadline',
    script: [silence],
    options: { deadlineMs: 1_000 },
    at: [0, 500],
    cancelled: [1],
    told: ['DEADLINE_EXCEEDED', 1_000],
  },
  {
    section: DEADLINE,
    says: 'ends the chain, though DEADLINE_EXCEEDED be named non-fatal and copies be left',
    policy: { nonFatal: ['DEADLINE_EXCEEDED'] },
    script: [silence],
    options: { deadlineMs: 1_000 },
    at: [0, 500],
    cancelled: [],
    told: ['DEADLINE_EXCEEDED', 1_000],
  },
  {
    section: DEADLINE,
    says: 'a wait that the server names beyond it sends no more, and the call is over by it',
    script: [after(100, 'UNAVAILABLE', '5000')],
    options: { deadlineMs: 1_000 },
    at: [0],
    cancelled: [],
    told: ['UNAVAILABLE', 100],
  },
  ...[
    ['"don’t retry"', '-1'],
    ['an unparseable value', 'abc'],
    ['a value beyond 32 bits', '2147483648'],
  ].map(
    ([what, value = '']): Row => ({
      section: 'Summary 4.2',
      says: `${what} sends no more hedges, and one under way may still succeed (grpc-js kills it)`,
      script: [after(700, 'OK'), after(10, 'UNAVAILABLE', value)],
      at: [0, 500],
      cancelled: [],
      told: ['OK', 700],
    }),
  ),
  {
    section: 'Summary 4.2',
    says: '"don’t retry" of the only one under way returns its failure',
    script: [after(100, 'UNAVAILABLE', '-1')],
    at: [0],
    cancelled: [],
    told: ['UNAVAILABLE', 100],
  },
  {
    section: 'Summary 4.2',
    says: '"don’t retry" with a fatal status ends the call',
    script: [silence, after(10, 'INVALID_ARGUMENT', '-1')],
    at: [0, 500],
    cancelled: [0],
    told: ['INVALID_ARGUMENT', 510],
  },
  {
    section: 'Summary 5.2',
    says: 'pushback n sends the next hedge in n ms, the following ones at n + hedgingDelay',
    script: [after(100, 'UNAVAILABLE', '2000'), silence],
    at: [0, 2_100, 2_600, 3_100],
    cancelled: [],
  },
  {
    section: 'Summary 5.2',
    says: 'n may be shorter than hedgingDelay',
    script: [after(100, 'UNAVAILABLE', '50'), silence],
    at: [0, 150, 650, 1_150],
    cancelled: [],
  },
  {
    section: PUSHBACK,
    says: 'of 0 sends the next hedge at once',
    script: [after(100, 'UNAVAILABLE', '0'), silence],
    at: [0, 100, 600, 1_100],
    cancelled: [],
  },
  {
    section: PUSHBACK,
    says: 'of n holds back a hedge that was due sooner while another copy runs',
    script: [silence, after(10, 'UNAVAILABLE', '1000'), silence],
    at: [0, 500, 1_510, 2_010],
    cancelled: [],
  },
  {
    section: PUSHBACK,
    says: 'ours: a failure that names no wait doesn’t shorten what another copy was told',
    script: [after(700, 'UNAVAILABLE'), after(10, 'UNAVAILABLE', '1000'), silence],
    at: [0, 500, 1_510, 2_010],
    cancelled: [],
  },
  {
    section: 'Limits on Retries and Hedges',
    says: 'five attempts are the most there can be',
    policy: { extra: 4 },
    script: [after(0, 'UNAVAILABLE')],
    at: [0, 0, 0, 0, 0],
    cancelled: [],
    told: ['UNAVAILABLE', 0],
  },
  {
    section: 'Limits on Retries and Hedges',
    says: 'ours: of the call alone three copies are under way at a time, whatever the policy names',
    policy: { extra: 4 },
    script: [silence],
    at: [0, 500, 1_000, 1_500],
    cancelled: [],
  },
  {
    section: 'When Retries are Valid',
    says: 'ours: headers of a hedged copy are held back until its status, and so commit to nothing',
    script: [{ ...after(200, 'UNAVAILABLE'), headersAfterMs: 100 }, after(0, 'OK')],
    at: [0, 200],
    cancelled: [],
    told: ['OK', 200],
  },
  {
    section: 'When Retries are Valid',
    says: 'ours: a stream of responses is not hedged',
    script: [silence],
    options: { responseStream: true },
    at: [0],
    cancelled: [],
  },
  {
    section: 'Hedging Policy',
    says: 'ours: what the callee shed by a policy of its own sends no more hedges, those under way may finish',
    script: [after(700, 'OK'), { ...after(10, 'UNAVAILABLE'), shed: true }],
    at: [0, 500],
    cancelled: [],
    told: ['OK', 700],
  },
];

describe('A6 on the wire: hedging', () => {
  for (const { section, says, policy, timeout, script, options, at, cancelled, told = [] } of rows)
    it(title({ section, says }), async () => {
      const { extra, delayMs, nonFatal } = { ...hedgingPolicy, ...policy };
      const made = intercepted(
        effectiveOf({
          hedge: { delay: { kind: 'fixed', ms: delayMs }, extra },
          retry: retrySpec({ on: nonFatal }),
          idempotent: true,
          ...(timeout === undefined ? {} : { timeout }),
        }),
      );
      const seen = await course(made, script, options);
      expect(seen.at).to.deep.equal(at);
      expect(seen.previous).to.deep.equal(at.map((_, i) => (i === 0 ? undefined : String(i))));
      expect(seen.cancelled).to.have.members(cancelled);
      expect([...seen.told, ...seen.toldAt]).to.deep.equal(told);
      const wholeMs = options?.deadlineMs ?? timeout;
      expect(seen.deadlines).to.deep.equal(at.map(() => wholeMs));
      // Whatever runs then is cancelled with the call, once.
      seen.call.cancelWithStatus(1, 'Cancelled on client');
      await new Promise(setImmediate);
      if (told.length === 0) expect(seen.told).to.deep.equal(['CANCELLED']);
      else expect(seen.told).to.have.lengthOf(1);
      made.expectNothingLeft();
    });

  it('Limits on Retries and Hedges: ours: a policy of more than four copies, or of no delay, is refused', () => {
    const refused = [{ extra: 5 }, { delay: '0ms' }, { extra: 4, delay: '1ms' }].map((hedge) => {
      const spec = { hedge, idempotent: true };
      const read = parsePolicy({ policy: 'inventory-default', match: { to: 'inventory' }, spec });
      return read.ok ? [] : read.issues.map(({ path }) => path);
    });
    expect(refused).to.deep.equal([['spec.hedge.extra'], ['spec.hedge.delay'], []]);
  });
});
