/**
 * Instances that are taken out of discovery: at most half of them, for longer each time, and judged anew when they are back.
 */
import { expect } from 'chai';
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
});
