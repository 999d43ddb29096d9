/**
 * What answers of HTTP say of their callee.
 */
import { expect } from 'chai';
import { judgeAnswer } from '../../../agent/http/judge.js';

const NOW = Date.UTC(2026, 0, 1);
const judge = (
  status: number,
  headers: Record<string, string> = {},
  classify?: Record<string, 'success' | 'failure' | 'neutral'>,
) => judgeAnswer(status, (name) => headers[name], classify, NOW);

describe('the judgement of an HTTP answer', () => {
  it('finds nothing in what succeeds, and in what is the fault of the caller', () => {
    for (const status of [200, 201, 204, 301, 302, 304, 400, 401, 403, 404, 408, 409, 412, 422, 499])
      expect(judge(status), String(status)).to.equal(undefined);
  });

  it('finds a failure in 5xx and 429, with the gRPC status that a retry goes by', () => {
    const expected: [number, string][] = [
      [429, 'RESOURCE_EXHAUSTED'],
      [500, 'INTERNAL'],
      [501, 'UNIMPLEMENTED'],
      [502, 'UNAVAILABLE'],
      [503, 'UNAVAILABLE'],
      [504, 'DEADLINE_EXCEEDED'],
      [507, 'UNKNOWN'],
      [599, 'UNKNOWN'],
    ];
    for (const [code, status] of expected)
      expect(judge(code)).to.deep.equal({
        outcome: 'failure',
        status,
        shed: false,
        pushback: [],
        text: `answered ${code}`,
      });
  });

  it('finds neither in what the callee shed by a policy of its own', () => {
    for (const status of [429, 503, 200])
      expect(judge(status, { 'switchgear-reject': 'overloaded', 'retry-after': '1' })).to.include({
        outcome: 'neutral',
        shed: true,
      });
  });

  it('lets the policy say otherwise, by HTTP status and by the gRPC status that it reads as', () => {
    expect(judge(404, {}, { 404: 'failure' })).to.include({ outcome: 'failure', status: 'NOT_FOUND' });
    expect(judge(503, {}, { 503: 'success' })).to.equal(undefined);
    expect(judge(503, {}, { UNAVAILABLE: 'neutral' })).to.include({ outcome: 'neutral', shed: false });
    expect(judge(503, {}, { 503: 'failure', UNAVAILABLE: 'success' })).to.include({ outcome: 'failure' });
    expect(judge(503, {}, { 500: 'success' })).to.include({ outcome: 'failure' });
  });

  it('reads Retry-After in seconds and as a date', () => {
    const pushback = (value: string) => judge(503, { 'retry-after': value })?.pushback;
    expect(pushback('0')).to.deep.equal(['0']);
    expect(pushback('2')).to.deep.equal(['2000']);
    expect(pushback(new Date(NOW + 3_000).toUTCString())).to.deep.equal(['3000']);
    expect(pushback(new Date(NOW - 3_000).toUTCString())).to.deep.equal(['0']);
  });

  it('stops retries where Retry-After is longer than anybody waits, and ignores nonsense', () => {
    const pushback = (value: string) => judge(503, { 'retry-after': value })?.pushback;
    expect(pushback('3600')).to.deep.equal(['-1']);
    expect(pushback(new Date(NOW + 3_600_000).toUTCString())).to.deep.equal(['-1']);
    for (const nonsense of ['', 'soon', '-1', '1e3', '99999999999999', 'Wed, the first'])
      expect(pushback(nonsense), nonsense).to.deep.equal([]);
  });
});
