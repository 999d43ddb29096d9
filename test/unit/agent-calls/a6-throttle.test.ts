/**
 * gRFC A6, "Throttling Retry Attempts and Hedged RPCs", through the agent's interceptor: maxTokens 10, tokenRatio 0.1, by how many
 * attempts reach the wire for each call of a row, in order; and which calls share one `token_count`. Where this project decides
 * otherwise the row begins with "ours".
 */
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { retryPolicy } from '../../support/a6-cases.js';
import { type Intercepted, intercepted, metadataOf } from '../../support/intercepted.js';
import { type Answer, course, type ScriptOptions } from '../../support/scripted-wire.js';
import { effectiveOf } from '../../support/specs.js';

const SECTION = 'Throttling Retry Attempts and Hedged RPCs';
const hedge = { delay: { kind: 'fixed', ms: 500 }, extra: 2 } as const;
const retried = effectiveOf({ retry: retryPolicy, idempotent: true });
const hedged = effectiveOf({ hedge, idempotent: true });

const failing: Answer = { status: 'UNAVAILABLE' };
const fine: Answer = { status: 'OK' };
const fatal: Answer = { status: 'INVALID_ARGUMENT' };
const stop: Answer = { status: 'UNAVAILABLE', pushback: ['-1'] };
const times = <T>(count: number, each: T): T[] => Array.from({ length: count }, () => each);

/** One call: how each of its attempts is answered, and how many there are. */
type Step = readonly [script: readonly Answer[] | Answer, attempts: number, options?: ScriptOptions];

async function follow(made: Intercepted, steps: readonly Step[]): Promise<void> {
  const attempts: number[] = [];
  for (const [script, , options] of steps) {
    const seen = await course(made, Array.isArray(script) ? script : [script as Answer], options);
    attempts.push(seen.at.length);
    // Nobody is made to wait for tokens.
    expect(seen.told).to.have.lengthOf(1);
  }
  expect(attempts).to.deep.equal(steps.map(([, count]) => count));
}

describe('A6 on the wire: token_count', () => {
  const rows: { says: string; effective?: Effective; steps: readonly Step[]; tokens: number }[] = [
    {
      says: 'every attempt that fails takes 1: of failing calls alone four attempts and one are made, then one for each',
      steps: [
        [failing, 4],
        [failing, 1],
        [failing, 1],
      ],
      tokens: 4,
    },
    {
      says: 'there are none below 0, and from there the next failure is tried again after 61 successes',
      steps: [[failing, 4], ...times<Step>(12, [failing, 1]), ...times<Step>(61, [fine, 1]), [failing, 2]],
      tokens: 4.1,
    },
    {
      says: 'is a call throttled whose failure brings them to half, and not one whose failure leaves a tenth more',
      steps: [
        ...times<Step>(4, [stop, 1]),
        [failing, 1],
        ...times<Step>(10, [fine, 1]),
        [failing, 1],
        ...times<Step>(11, [fine, 1]),
        [[failing, fine], 2],
      ],
      tokens: 5.2,
    },
    {
      says: 'successes add nothing beyond maxTokens',
      steps: [...times<Step>(50, [fine, 1]), [failing, 4], [failing, 1]],
      tokens: 5,
    },
    {
      says: 'a fatal status takes none, so other failures are tried again as before',
      steps: [...times<Step>(20, [fatal, 1]), [[failing, fine], 2]],
      tokens: 9.1,
    },
    {
      says: 'pushback "don’t retry" takes 1, whatever the status',
      steps: [...times<Step>(5, [{ ...fatal, pushback: ['-1'] }, 1]), [failing, 1]],
      tokens: 4,
    },
    {
      says: 'a wait that the server names takes 1 as well, and does not get around the throttle',
      steps: [
        [{ ...failing, pushback: ['0'] }, 4],
        [{ ...failing, pushback: ['0'] }, 1],
      ],
      tokens: 5,
    },
    {
      says: 'a failure after the headers takes 1, though it is not tried again',
      steps: [...times<Step>(5, [{ ...failing, headersAfterMs: 0, afterMs: 1 }, 1]), [failing, 1]],
      tokens: 4,
    },
    {
      says: 'ours: a call that is a retry of somebody above takes 1 for that',
      steps: [
        ...times<Step>(4, [fine, 1, { metadata: metadataOf({ 'grpc-previous-rpc-attempts': '1' }) }]),
        [failing, 2],
      ],
      tokens: 4.4,
    },
    {
      says: 'hedges: the first is always sent, others only above half; thirty failing calls are 33 attempts (grpc-js: 90)',
      effective: hedged,
      steps: [[failing, 3], [failing, 2], ...times<Step>(28, [failing, 1])],
      tokens: 0,
    },
    {
      says: 'hedges: those that are due while tokens lack are not sent later',
      effective: hedged,
      steps: [
        ...times<Step>(5, [stop, 1]),
        [{ ...fine, afterMs: 10_000 }, 1],
        ...times<Step>(20, [fine, 1]),
        [{ ...fine, afterMs: 10_000 }, 3],
      ],
      tokens: 7.2,
    },
  ];
  for (const { says, effective = retried, steps, tokens } of rows)
    it(`${SECTION}: ${says}`, async () => {
      const made = intercepted(effective);
      await follow(made, steps);
      expect(made.target().surround?.budget?.tokens).to.equal(tokens);
      made.expectNothingLeft();
    });
});

describe('A6 on the wire: whose token_count it is', () => {
  const other = { path: '/shop.v1.Inventory/List' };
  const ofService = { path: '/shop.v1.Warehouse/Get' };
  const drained: readonly Step[] = [
    [failing, 4],
    [failing, 1],
  ];

  for (const [says, options] of [
    ['another method', other],
    ['another service', ofService],
  ] as const)
    it(`${SECTION}: of a server name, not of a method or service: ${says} of the callee is throttled with it`, async () => {
      const made = intercepted(retried);
      await follow(made, [...drained, [failing, 1, options], ...times<Step>(21, [fine, 1, options])]);
      // What the one earns the other may spend.
      await follow(made, [[[failing, fine], 2]]);
      made.expectNothingLeft();
    });

  it(`${SECTION}: another server name has its own`, async () => {
    const made = intercepted(retried);
    const interceptor = createInterceptor(made.targets, 'payments');
    await follow(made, [...drained, [failing, 4, { interceptor }], [failing, 1, { interceptor }]]);
    expect(made.targets.get('payments', 'shop.v1.Inventory/Get').surround?.budget?.tokens).to.equal(5);
    made.expectNothingLeft();
  });

  it(`${SECTION}: two channels to one server name share it`, async () => {
    const made = intercepted(retried);
    const interceptor = createInterceptor(made.targets, 'inventory');
    await follow(made, [...drained, [failing, 1, { interceptor }]]);
    made.expectNothingLeft();
  });

  it(`${SECTION}: ours: of callee and policy, so methods under another policy have their own`, async () => {
    const made = intercepted(retried);
    const apart = effectiveOf({ retry: retryPolicy, idempotent: true }, { policy: 'list', revision: 1 });
    made.policies = (_to, method) => (method.endsWith('/List') ? apart : retried);
    await follow(made, [...drained, [failing, 4, other], [failing, 1], [failing, 1, other]]);
    made.expectNothingLeft();
  });

  it(`${SECTION}: hedged calls and retried ones of one policy draw on the same`, async () => {
    const made = intercepted(retried);
    const both = effectiveOf({ retry: retryPolicy, hedge, idempotent: true });
    made.policies = (_to, method) => (method.endsWith('/List') ? both : retried);
    await follow(made, [
      [failing, 4],
      [failing, 1, other],
      [failing, 1],
    ]);
    made.expectNothingLeft();
  });
});
