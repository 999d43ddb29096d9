/**
 * What the parser refuses, as a table: the spec, and the faults with their paths, word for word where a person has to act on them.
 */
import { expect } from 'chai';
import { faultsOf, faultsOfSpec, type Refusal, refusedFor } from './helpers.js';

const table: readonly Refusal[] = [
  [
    'a number for a duration',
    { timeout: 800 },
    'spec.timeout: must be a duration with its unit (ms, s, m, h), for example 250ms or 5s, from 1ms to 24h; got the number 800',
  ],
  ['a duration of nothing', { timeout: '0ms' }, 'spec.timeout: must be a duration'],
  ['a duration beyond its range', { timeout: '25h' }, 'spec.timeout: must be a duration'],
  [
    'a list for a duration',
    { timeout: ['1s'] },
    'spec.timeout: must be a duration with its unit (ms, s, m, h), for example 250ms or 5s, from 1ms to 24h; got a list',
  ],
  [
    'an object for a duration',
    { timeout: {} },
    'spec.timeout: must be a duration with its unit (ms, s, m, h), for example 250ms or 5s, from 1ms to 24h; got an object',
  ],
  [
    'a number for a rate',
    { circuit: { failureRate: 0.5 } },
    'spec.circuit.failureRate: must be a percentage, for example 50%, above 0% to 100%; got the number 0.5',
  ],
  [
    'a rate above 100 %',
    { circuit: { failureRate: '101%' } },
    'spec.circuit.failureRate: must be a percentage',
  ],
  ['a rate of nothing', { circuit: { failureRate: '0%' } }, 'spec.circuit.failureRate: must be a percentage'],
  ['text for yes', { idempotent: 'yes' }, 'spec.idempotent: must be true or false; got "yes"'],
  ['an unknown section', { circut: {} }, 'spec.circut: unknown field; did you mean circuit?'],
  [
    'an unknown section like none',
    { qqq: {} },
    'spec.qqq: unknown field; known here: timeout, attemptTimeout,',
  ],
  [
    'a section of another case',
    { rateLimIT: { rate: 1 } },
    'spec.rateLimIT: unknown field; did you mean rateLimit?',
  ],
  [
    'an unknown field two levels down',
    { circuit: { halfOpen: { cals: 3 } } },
    'spec.circuit.halfOpen.cals: unknown field; did you mean calls?',
  ],
  ['a key that needs quotes', { 'a b': 1 }, 'spec["a b"]: unknown field'],
  [
    'null inside a section',
    { circuit: { window: null } },
    'spec.circuit.window: must be a duration, for example 10s, or a number of calls, as { calls: 100 }; got null',
  ],
  [
    'a window of no calls',
    { circuit: { window: { calls: 0 } } },
    'spec.circuit.window.calls: must be a whole number from 1 to 10000; got the number 0',
  ],
  [
    'a window of both',
    { circuit: { window: { calls: 100, time: '10s' } } },
    'spec.circuit.window.time: unknown field',
  ],
  ['a window of nothing', { circuit: { window: {} } }, 'spec.circuit.window.calls: is required'],
  [
    'a window that is a number',
    { circuit: { window: 10 } },
    'spec.circuit.window: must be a duration, for example 10s, or a number of calls',
  ],
  [
    'more minimum calls than the window holds',
    { circuit: { window: { calls: 10 }, minimumCalls: 11 } },
    'spec.circuit.minimumCalls: must be at most the 10 calls of the window, or nothing is ever decided; got 11',
  ],
  [
    'the default of minimum calls above the window',
    { circuit: { window: { calls: 10 } } },
    'spec.circuit.minimumCalls: must be at most the 10 calls of the window, or nothing is ever decided; got 20, which also holds where none is written',
  ],
  [
    'the default of minimum calls, written out',
    { circuit: { window: { calls: 10 }, minimumCalls: 20 } },
    'spec.circuit.minimumCalls: must be at most the 10 calls of the window, or nothing is ever decided; got 20, which also holds where none is written',
  ],
  [
    'a slow rate without a slow call',
    { circuit: { slowRate: '50%' } },
    'spec.circuit.slowRate: decides nothing without slowCall',
  ],
  [
    'a slow call above the timeout',
    { timeout: '1s', circuit: { slowCall: '1001ms' } },
    'spec.circuit.slowCall: must be at most timeout (1s); got 1001ms',
  ],
  [
    'a word that is no scope',
    { circuit: { scope: 'Cluster' } },
    'spec.circuit.scope: must be one of local, cluster; got "Cluster"; did you mean cluster?',
  ],
  [
    'a ramp that falls',
    { circuit: { cluster: { ramp: ['50%', '25%', '100%'] } } },
    'spec.circuit.cluster.ramp[1]: must be above the step before it (50%); got 25%',
  ],
  [
    'a ramp that stays',
    { circuit: { cluster: { ramp: ['50%', '50%', '100%'] } } },
    'spec.circuit.cluster.ramp[1]: must be above the step before it (50%); got 50%',
  ],
  [
    'a ramp that ends early',
    { circuit: { cluster: { ramp: ['5%', '90%'] } } },
    'spec.circuit.cluster.ramp[1]: must be 100% in the last step; got 90%',
  ],
  [
    'a ramp of nothing',
    { circuit: { cluster: { ramp: [] } } },
    'spec.circuit.cluster.ramp: must have a step',
  ],
  [
    'a quorum of nobody',
    { circuit: { cluster: { quorum: '0%' } } },
    'spec.circuit.cluster.quorum: must be a percentage',
  ],
  [
    'an attempt as long as the call',
    { timeout: '300ms', attemptTimeout: '300ms' },
    'spec.attemptTimeout: must be below timeout (300ms); got 300ms',
  ],
  [
    'six attempts',
    { retry: { attempts: 6 } },
    'spec.retry.attempts: must be a whole number from 1 to 5; got the number 6',
  ],
  ['no attempt', { retry: { attempts: 0 } }, 'spec.retry.attempts: must be a whole number from 1 to 5'],
  [
    'a status in small letters',
    { retry: { on: ['unavailable'] } },
    'spec.retry.on[0]: must be a gRPC status other than OK, in capitals; got "unavailable"; did you mean UNAVAILABLE?',
  ],
  [
    'a status by number',
    { retry: { on: [14] } },
    'spec.retry.on[0]: must be a gRPC status other than OK, in capitals; got the number 14; did you mean UNAVAILABLE?',
  ],
  [
    'a retry of what went well',
    { retry: { on: ['OK'] } },
    'spec.retry.on[0]: must be a gRPC status other than OK',
  ],
  ['a status twice', { retry: { on: ['ABORTED', 'ABORTED'] } }, 'spec.retry.on[1]: is there twice: ABORTED'],
  ['no status', { retry: { on: [] } }, 'spec.retry.on: must name at least one gRPC status'],
  [
    'a backoff that shrinks',
    { retry: { backoff: { base: '1s' } } },
    'spec.retry.backoff.base: must be at most backoff.max (250ms); got 1s',
  ],
  ['a hedge of what is not idempotent', { hedge: {} }, 'spec.hedge: needs idempotent: true beside it'],
  [
    'a hedge of what is expressly not idempotent',
    { hedge: {}, idempotent: false },
    'spec.hedge: needs idempotent: true beside it',
  ],
  [
    'a hedge after the call',
    { idempotent: true, hedge: { delay: '1s' }, timeout: '1s' },
    'spec.hedge.delay: must be below timeout (1s); got 1s',
  ],
  [
    'a percentile that is none',
    { idempotent: true, hedge: { delay: 'p100' } },
    'spec.hedge.delay: must be a duration, for example 50ms, or a percentile of the latency',
  ],
  ['a spec that is a list', [], 'spec: must be an object with any of timeout'],
  ['a spec that is null', null, 'spec: must be an object with any of timeout'],
];

describe('a policy is refused for', () => {
  refusedFor(table);

  const p = { policy: 'p', match: { to: 'x' } };
  for (const [title, document, fault] of [
    ['no name', { match: { to: 'x' } }, 'policy: is required: a name of a-z, 0-9 and . _ -'],
    ['a name with capitals', { ...p, policy: 'Inventory' }, 'policy: must be a name of a-z, 0-9 and . _ -'],
    ['a name of 129 letters', { ...p, policy: 'a'.repeat(129) }, 'policy: must be a name of a-z'],
    ['a name with a line break', { ...p, policy: 'a\n' }, 'policy: must be a name of a-z'],
    ['no callee', { policy: 'p', match: {} }, 'match.to: is required'],
    ['no match', { policy: 'p' }, 'match: is required: an object with any of to, from, method'],
    ['a pattern for a callee', { ...p, match: { to: 'inv*' } }, 'match.to: must be a name of letters'],
    [
      'a caller for everybody',
      { ...p, match: { to: 'x', from: '*' } },
      'match.from: must be a name of letters, digits and . _ : - (at most 128); leave it out for every caller; got "*"',
    ],
    [
      'a method for everything',
      { ...p, match: { to: 'x', method: '*' } },
      'match.method: must be a method as pkg.Service/Method, or pkg.Service/* for all of a service; leave it out for every method; got "*"',
    ],
    [
      'a method with a slash before it',
      { ...p, match: { to: 'x', method: '/a.B/C' } },
      'match.method: must be a method',
    ],
    [
      'a method of part of a name',
      { ...p, match: { to: 'x', method: 'a.B/Get*' } },
      'match.method: must be a method',
    ],
    [
      'an unknown mode',
      { ...p, mode: 'enforced' },
      'mode: must be one of enforce, shadow, off; got "enforced"; did you mean enforce?',
    ],
    [
      'a rollout in text',
      { ...p, rollout: { percent: '50%' } },
      'rollout.percent: must be a whole number from 0 to 100; got "50%"',
    ],
    [
      'a rollout beyond everybody',
      { ...p, rollout: { percent: 101 } },
      'rollout.percent: must be a whole number from 0 to 100',
    ],
    ['an unknown field', { ...p, specs: {} }, 'specs: unknown field; did you mean spec?'],
    ['a list', [], ': must be an object with any of policy, match'],
    ['null', null, ': must be an object with any of policy, match'],
    ['text', 'x', ': must be an object with any of policy, match'],
    ['nothing', undefined, ': must be JSON; got nothing'],
  ] as const)
    it(title, () => {
      const found = faultsOf(document);
      expect(found, found.join('\n')).to.have.length(1);
      expect(found[0]?.slice(0, fault.length)).to.equal(fault);
    });
});

describe('faults', () => {
  it('of form and of sense come together, in one section and across sections', () => {
    const found = faultsOf({
      policy: 'P',
      match: { to: 'x' },
      spec: {
        timeout: '1s',
        attemptTimeout: '2s',
        streamTimeout: 5,
        circuit: { window: { calls: 10 }, failureRate: '150%', slowCall: '3s' },
        bulkhead: { maxConcurrent: 'many', queueTimeout: '1s' },
      },
    }).map((fault) => fault.split(': ')[0]);
    expect(found).to.have.members([
      'policy',
      'spec.streamTimeout',
      'spec.attemptTimeout',
      'spec.circuit.failureRate',
      'spec.circuit.minimumCalls',
      'spec.circuit.slowCall',
      'spec.bulkhead.maxConcurrent',
      'spec.bulkhead.queueTimeout',
    ]);
  });

  it('follow from nothing that is itself malformed', () => {
    expect(faultsOfSpec({ timeout: 'soon', attemptTimeout: '2s' })).to.have.length(1);
    expect(faultsOfSpec({ circuit: { window: { calls: 'x' }, minimumCalls: 500 } })).to.have.length(1);
  });

  it('are at most 100, and the rest counted', () => {
    const spec = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`x${i}`, 1]));
    const found = faultsOfSpec(spec);
    expect(found).to.have.length(101);
    expect(found[100]).to.equal(': and 50 more');
  });

  it('never repeat a long text whole', () => {
    const [fault = ''] = faultsOfSpec({ timeout: 'x'.repeat(10_000) });
    expect(fault.length).to.be.below(250);
    const [unknown = ''] = faultsOfSpec({ ['y'.repeat(10_000)]: 1 });
    expect(unknown.length).to.be.below(350);
  });
});
