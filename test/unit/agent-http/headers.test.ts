/**
 * What a request carries besides its own headers.
 */
import { expect } from 'chai';
import { withinContext } from '../../../agent/context.js';
import { addHeaders, headersOf, inherit, withoutHeaders } from '../../../agent/http/headers.js';

const context = (attempt: number, deadline?: number) => ({
  attempt,
  deadline,
  signal: new AbortController().signal,
});

describe('the headers of an HTTP call', () => {
  it('are its own, where there is nothing to say', () => {
    const own = inherit();
    expect(headersOf(context(1), 0, own)).to.equal(own);
    expect(own).to.deep.equal([]);
    const given = { accept: 'text/plain' };
    expect(addHeaders(given, own)).to.equal(given);
  });

  it('say how long the caller waits and which attempt this is', () => {
    expect(headersOf(context(3, 1_500.2), 1_000, [])).to.deep.equal([
      ['x-switchgear-deadline-ms', '501'],
      ['switchgear-previous-attempts', '2'],
    ]);
    expect(headersOf(context(1, 900), 1_000, [])).to.deep.equal([['x-switchgear-deadline-ms', '1']]);
  });

  it('pass on the trace and the criticality of the call that is answered, which can only be lowered', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const parent = {
      deadlineAt: 1,
      rank: 2,
      trace: [['traceparent', traceparent] as const, ['grpc-trace-bin', Buffer.of(1)] as const],
    };
    expect(withinContext(parent, () => inherit())).to.deep.equal([
      ['switchgear-criticality', 'sheddable-plus'],
      ['traceparent', traceparent],
    ]);
    expect(withinContext(parent, () => inherit('critical-plus'))[0]).to.deep.equal([
      'switchgear-criticality',
      'sheddable-plus',
    ]);
    expect(withinContext(parent, () => inherit('sheddable'))[0]?.[1]).to.equal('sheddable');
    expect(inherit('critical-plus')).to.deep.equal([['switchgear-criticality', 'critical-plus']]);
  });

  const ours = [
    ['traceparent', 'ours'],
    ['x-switchgear-deadline-ms', '5'],
  ] as const;

  for (const [form, given, expected] of [
    ['none', null, { traceparent: 'ours', 'x-switchgear-deadline-ms': '5' }],
    [
      'an object',
      { TraceParent: 'theirs', a: ['1', '2'] },
      { 'x-switchgear-deadline-ms': '5', TraceParent: 'theirs', a: ['1', '2'] },
    ],
    [
      'a flat list',
      ['Traceparent', 'theirs', 'a', 'b'],
      ['Traceparent', 'theirs', 'a', 'b', 'x-switchgear-deadline-ms', '5'],
    ],
    [
      'an iterable',
      new Map<string, unknown>([
        ['traceparent', 'theirs'],
        ['a', ['1', '2']],
      ]),
      ['traceparent', 'theirs', 'a', ['1', '2'], 'x-switchgear-deadline-ms', '5'],
    ],
    [
      'a Headers',
      new Headers({ a: 'b' }),
      ['a', 'b', 'traceparent', 'ours', 'x-switchgear-deadline-ms', '5'],
    ],
  ] as const)
    it(`are added to ${form}, and replace nothing`, () => {
      expect(addHeaders(given, ours)).to.deep.equal(expected);
    });

  for (const [form, given, expected] of [
    ['none', undefined, undefined],
    ['an object', { TraceParent: 'ours', a: 'b' }, { a: 'b' }],
    ['a flat list', ['a', 'traceparent', 'TraceParent', 'ours'], ['a', 'traceparent']],
    ['an iterable', new Headers({ traceparent: 'ours', a: 'b' }), ['a', 'b']],
  ] as const)
    it(`can be taken away again, from ${form}`, () => {
      expect(withoutHeaders(given, new Set(['traceparent']))).to.deep.equal(expected);
    });
});
