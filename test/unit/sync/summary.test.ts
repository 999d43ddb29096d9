/** What replicas tell each other, and what becomes of it on the way. */
import { expect } from 'chai';
import { decodeSummary, encodeSummary, type ReplicaView } from '../../../control-plane/grpc/summary.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';

const latency = new LatencyHistogram();
for (let ms = 1; ms < 1000; ms++) latency.record(ms, ms % 2 === 0 ? 16 : 1);

const view: ReplicaView = {
  replica: 'r1',
  agents: ['a', 'b'].map((instance, boot) => ({
    boot,
    row: {
      agent: `checkout/${instance}`,
      service: 'checkout',
      instance,
      zone: 'z',
      version: '1',
      replica: 'r1',
      protocol: '1.0',
      capabilities: ['timeout'],
      callees: ['inventory', 'mail'],
      dataset: 'd',
      sent: 9,
      acked: 8,
      applied: 7,
      staleMs: 3,
      connectedMs: 100,
      refused: [{ policy: 'p', revision: 8, reason: 'why' }],
      ...(boot === 1 ? { notice: 'look' } : {}),
    },
  })),
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
    const { latencies, ...read } = decodeSummary(encodeSummary(view)) ?? {};
    const { latencies: sent, ...rest } = view;
    expect(read).to.deep.equal({
      ...rest,
      circuits: view.circuits.filter(({ state }) => state === 'open'),
    });
    const there = latencies?.get('inventory');
    expect([...(latencies?.keys() ?? [])]).to.deep.equal([...sent.keys()]);
    expect(there).to.include({ samples: latency.samples, count: latency.count });
    expect(there?.percentile(0.99)).to.equal(latency.percentile(0.99));
  });

  it('of a replica of an earlier release says nothing of latencies', () => {
    const { latencies: _, ...earlier } = JSON.parse(encodeSummary(view));
    expect(decodeSummary(JSON.stringify(earlier))?.latencies.size).to.equal(0);
  });

  it('is bounded, however many latencies there are and however full', () => {
    const full = new LatencyHistogram();
    for (let ms = 0.04; ms < 4_000_000; ms *= 1.04) full.record(ms, 1_000_000);
    const latencies = new Map(Array.from({ length: 1000 }, (_, i) => [`s${i}`, full]));
    const body = encodeSummary({ ...view, latencies });
    expect(body.length).to.be.below(80_000);
    expect(decodeSummary(body)?.latencies.size).to.equal(100);
  });

  it('says lists that many rows share only once', () => {
    const body = encodeSummary(view);
    expect(body.split('mail')).to.have.length(2);
  });

  for (const body of ['', 'null', '[]', '{}', '{"format":2,"replica":"r"}', '{"format":1}'])
    it(`is not read from ${body || 'nothing'}`, () => expect(decodeSummary(body)).to.equal(undefined));

  it('survives rows of the wrong kind', () => {
    const body = JSON.stringify({
      format: 1,
      replica: 'r',
      lists: 7,
      agents: [null, [1, 2, {}]],
      circuits: ['x'],
      health: {},
      latencies: [7, ['a'], ['b', '!'], ['c', 'AQ=='], [{}, 'AQA=']],
    });
    const read = decodeSummary(body);
    expect(read?.agents).to.have.length(2);
    expect(read?.agents[0]?.row).to.deep.include({ service: '', sent: 0, callees: [] });
    expect(read?.health.size).to.equal(0);
    expect([...(read?.latencies.keys() ?? [])]).to.deep.equal(['']);
  });
});
