/** What replicas tell each other of themselves, and what becomes of it on the way. */
import { expect } from 'chai';
import { decodeSummary, encodeSummary, type Summary } from '../../../control-plane/grpc/summary.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';

const latency = new LatencyHistogram();
for (let ms = 1; ms < 1000; ms++) latency.record(ms, ms % 2 === 0 ? 16 : 1);

const summary: Summary = {
  replica: 'r1',
  life: 'abc',
  nowMs: 12_345,
  agents: 2,
  pages: [0, 3, 1],
  circuits: ['open', 'closed'].map((state, epoch) => ({
    id: `inventory|p${epoch}`,
    callee: 'inventory',
    method: '',
    policy: `p${epoch}`,
    revision: 2,
    agent: 'checkout/a',
    state,
    epoch,
    retryAfterMs: 5,
    reason: 'because',
    ageMs: 12,
  })),
  health: new Map([['inventory', { calls: 3, failed: 2, slow: 1, rejected: 1 }]]),
  latencies: new Map([['inventory', latency]]),
};

describe('replica summary', () => {
  it('comes back as it went, but for closed circuits, which stay at home', () => {
    const { latencies, ...read } = decodeSummary(encodeSummary(summary)) ?? {};
    const { latencies: sent, ...rest } = summary;
    expect(read).to.deep.equal({
      ...rest,
      circuits: summary.circuits.filter(({ state }) => state === 'open'),
    });
    const there = latencies?.get('inventory');
    expect([...(latencies?.keys() ?? [])]).to.deep.equal([...sent.keys()]);
    expect(there).to.include({ samples: latency.samples, count: latency.count });
    expect(there?.percentile(0.99)).to.equal(latency.percentile(0.99));
  });

  it('is bounded, however many latencies there are and however full', () => {
    const full = new LatencyHistogram();
    for (let ms = 0.04; ms < 4_000_000; ms *= 1.04) full.record(ms, 1_000_000);
    const latencies = new Map(Array.from({ length: 1000 }, (_, i) => [`s${i}`, full]));
    const body = encodeSummary({ ...summary, latencies });
    expect(body.length).to.be.below(80_000);
    expect(decodeSummary(body)?.latencies.size).to.equal(100);
  });

  for (const body of ['', 'null', '[]', '{}', '{"format":1,"replica":"r"}', '{"format":2}'])
    it(`is not read from ${body || 'nothing'}`, () => expect(decodeSummary(body)).to.equal(undefined));

  it('survives rows of the wrong kind', () => {
    const body = JSON.stringify({
      format: 2,
      replica: 'r',
      life: 7,
      agents: 'many',
      pages: ['x', 2],
      circuits: ['x'],
      health: {},
      latencies: [7, ['a'], ['b', '!'], ['c', 'AQ=='], [{}, 'AQA=']],
    });
    const read = decodeSummary(body);
    expect(read).to.deep.include({ life: '', agents: 0, pages: [0, 2] });
    expect(read?.health.size).to.equal(0);
    expect([...(read?.latencies.keys() ?? [])]).to.deep.equal(['']);
  });
});
