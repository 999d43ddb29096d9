/**
 * Instances that are taken out of discovery: at most half of them, for longer each time, and judged anew when they are back.
 */
import { expect } from 'chai';
import { endpointsOut } from '../../../../core/coordination/ejection.js';
import type { ClusterRecord, Situation, View } from '../../../../core/coordination/model.js';
import { advance } from '../../../../core/coordination/record.js';
import { clusterRecord, occasion, span, viewOf } from '../../../support/cluster-records.js';

const endpoints = Array.from({ length: 10 }, (_, i) => `10.0.0.${i}:80`);

function ejecting(
  wanted: readonly string[],
  record: ClusterRecord | undefined,
  changes: Partial<Situation> = {},
  ageMs = 0,
) {
  const verdict = { kind: 'eject', endpoints: wanted, reason: 'failures on 2 of 10 endpoints' } as const;
  return advance(
    record,
    occasion({ verdict, ageMs, seq: record?.seq ?? 0, situation: { endpoints, ...changes } }),
  );
}

/** A window in which this endpoint failed, in the spans up to `ms`. */
function failing(endpoint: string, fromMs: number): View {
  const group = { name: endpoint, calls: 10, failed: 9, slow: 0, agents: 3, over: 3 };
  const spans = viewOf({}).spans.map(({ ms }) => span(ms, {}, { endpoints: ms >= fromMs ? [group] : [] }));
  return { ...viewOf({}), spans };
}

describe('ejection', () => {
  it('takes out what is named, in the same state and epoch', () => {
    const record = ejecting(['10.0.0.1:80', '10.0.0.2:80'], undefined);
    expect(record).to.include({ state: 'closed', epoch: 0, seq: 1, reason: 'failures on 2 of 10 endpoints' });
    expect(record?.ejections).to.deep.equal([
      { endpoint: '10.0.0.1:80', leftMs: 5_000, times: 1 },
      { endpoint: '10.0.0.2:80', leftMs: 5_000, times: 1 },
    ]);
  });

  it('takes out no more than half, counted with the one that is to go', () => {
    expect(ejecting(endpoints, undefined)?.ejections).to.have.length(5);
    const three = endpoints.slice(0, 3);
    expect(ejecting(three, undefined, { endpoints: three })?.ejections).to.have.length(1);
    expect(ejecting(['a:1'], undefined, { endpoints: ['a:1'] })).to.equal(undefined);
  });

  it('takes out nothing that is not registered', () => {
    expect(ejecting(['10.9.9.9:80'], undefined)).to.equal(undefined);
  });

  it('has nothing to write while they are out', () => {
    const out = ejecting(['10.0.0.1:80'], undefined);
    expect(ejecting(['10.0.0.1:80'], out, {}, 4_000)).to.equal(undefined);
  });

  it('judges by what came since it is back, and takes it out for twice as long', () => {
    const out = ejecting(['10.0.0.1:80'], undefined);
    const stale = { view: failing('10.0.0.1:80', 500) };
    expect(ejecting(['10.0.0.1:80'], out, stale, 5_300)).to.equal(undefined);
    const again = ejecting(['10.0.0.1:80'], out, { view: failing('10.0.0.1:80', 250) }, 5_300);
    expect(again?.ejections).to.deep.equal([{ endpoint: '10.0.0.1:80', leftMs: 10_000, times: 2 }]);
  });

  it('forgets an endpoint that was well for as long as it was out', () => {
    const out = ejecting(['10.0.0.1:80'], undefined);
    const later =
      out && advance(out, occasion({ seq: 1, ageMs: 10_001, refresh: true, situation: { endpoints } }));
    expect(later?.ejections).to.deep.equal([]);
  });

  it('lasts at most a minute', () => {
    const record = clusterRecord({ ejections: [{ endpoint: '10.0.0.1:80', leftMs: -1_000, times: 20 }] });
    const again = ejecting(['10.0.0.1:80'], record, { view: failing('10.0.0.1:80', 250) });
    expect(again?.ejections[0]).to.include({ leftMs: 60_000, times: 21 });
  });

  describe('while all calls are turned away', () => {
    const ejections = [{ endpoint: '10.0.0.1:80', leftMs: 3_000, times: 1 }];
    const out = (state: ClusterRecord['state'], elapsedMs: number, override?: number) =>
      endpointsOut(clusterRecord({ state, ejections, ...(override && { override }) }), elapsedMs).length;

    it('has its time stand still, from one writing of the record to the next', () => {
      for (const state of ['open', 'half-open'] as const) {
        let record: ClusterRecord = clusterRecord({ state, ejections, openMs: 60_000 });
        for (let ageMs = 5_000; ageMs <= 40_000; ageMs += 5_000)
          record =
            advance(record, occasion({ refresh: true, seq: record.seq, ageMs, situation: { endpoints } })) ??
            record;
        expect(record.seq).to.be.greaterThan(9);
        expect(record.ejections).to.deep.equal(ejections);
        expect(out(state, 15_000)).to.equal(1);
      }
      for (const state of ['closed', 'ramping'] as const)
        expect([out(state, 2_999), out(state, 3_000)]).to.deep.equal([1, 0]);
    });

    it('goes on where nobody writes the record any more, and while an operator has a say', () => {
      for (const state of ['open', 'half-open'] as const) {
        expect([out(state, 17_999), out(state, 18_000)]).to.deep.equal([1, 0]);
        expect([out(state, 2_999, 7), out(state, 3_000, 7)]).to.deep.equal([1, 0]);
      }
    });
  });

  describe('of a circuit that opens again on its way back', () => {
    const [sick, well] = endpoints as [string, string];
    const group = (name: string, calls: number, failed: number, over = failed > 0 ? 2 : 0) => ({
      name,
      calls,
      failed,
      slow: 0,
      agents: 2,
      over,
    });
    const back = (groups: readonly ReturnType<typeof group>[], registered = [sick, well]) => {
      const calls = groups.reduce((sum, each) => sum + each.calls, 0);
      const failed = groups.reduce((sum, each) => sum + each.failed, 0);
      const view = {
        ...viewOf({}),
        spans: [span(250, { calls, failed }, { agents: 4, over: 2, endpoints: groups })],
      };
      const situation = { view, endpoints: registered };
      return advance(clusterRecord({ state: 'ramping', step: 0 }), occasion({ ageMs: 300, situation }));
    };

    it('takes out the instance that alone did it, and says so', () => {
      const record = back([group(sick, 2, 2), group(well, 2, 0)]);
      expect(record?.state).to.equal('open');
      expect(record?.ejections).to.deep.equal([{ endpoint: sick, leftMs: 5_000, times: 1 }]);
      expect(record?.reason).to.match(
        /^2 of 4 calls failed at 5 % of the calls, all at 10\.0\.0\.0:80: out of discovery from now on$/,
      );
    });

    it('takes out none where others fail too, were not called, or would be too few', () => {
      expect(back([group(sick, 2, 2), group(well, 3, 1)])?.ejections).to.deep.equal([]);
      expect(back([group(sick, 2, 2, 1), group(well, 2, 0)])?.ejections, 'one agent alone').to.deep.equal([]);
      expect(back([group(sick, 4, 4)])?.ejections).to.deep.equal([]);
      expect(back([group(sick, 2, 2), group(well, 2, 0)], [sick])?.ejections).to.deep.equal([]);
    });
  });
});
