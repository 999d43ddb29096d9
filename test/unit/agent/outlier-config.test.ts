/**
 * The section `outlier` in the words of grpc-js's outlier detection: read by grpc-js's own parser, and right at the edges at which
 * the two differ.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { balancersFor } from '../../../agent/outlier-config.js';
import type { OutlierSpec } from '../../../core/policy/model.js';
import { parsePolicy } from '../../../core/policy/parse.js';
import { property } from '../../support/property.js';

function outlier(section: Record<string, unknown> = {}): OutlierSpec {
  const parsed = parsePolicy({ policy: 'p', match: { to: 'inventory' }, spec: { outlier: section } });
  const spec = parsed.ok ? parsed.policy.spec.outlier : undefined;
  if (!spec) throw new Error(JSON.stringify(parsed));
  return spec;
}

interface Detection {
  readonly interval: unknown;
  readonly base_ejection_time: unknown;
  readonly max_ejection_time: unknown;
  readonly max_ejection_percent: number;
  readonly failure_percentage_ejection: Record<string, number>;
  readonly child_policy: unknown;
}

function detection(spec: OutlierSpec, hosts: number): Detection {
  const [first] = balancersFor(spec, hosts) as { outlier_detection: Detection }[];
  if (!first) throw new Error('no balancer');
  return first.outlier_detection;
}

describe('the balancers of a callee', () => {
  it('are round_robin alone without a policy, and where there is nobody to leave out', () => {
    expect(balancersFor(undefined, 3)).to.deep.equal([{ round_robin: {} }]);
    expect(balancersFor(outlier(), 0)).to.deep.equal([{ round_robin: {} }]);
  });

  it('are outlier detection around round_robin, and round_robin where that is switched off', () => {
    const spec = outlier({ interval: '1500ms', ejectFor: '2s', maxEjectFor: '1m', minimumCalls: 7 });
    const list = balancersFor(spec, 4);
    expect(list).to.have.length(2);
    expect(list[1]).to.deep.equal({ round_robin: {} });
    expect(detection(spec, 4)).to.deep.include({
      interval: { seconds: 1, nanos: 500_000_000 },
      base_ejection_time: { seconds: 2, nanos: 0 },
      max_ejection_time: { seconds: 60, nanos: 0 },
      max_ejection_percent: 50,
      child_policy: [{ round_robin: {} }],
    });
    const { threshold = 0, ...rest } = detection(spec, 4).failure_percentage_ejection;
    expect(rest).to.deep.equal({ enforcement_percentage: 100, minimum_hosts: 2, request_volume: 7 });
    expect(threshold).to.be.closeTo(50, 1e-6).and.below(50);
  });

  it('never let grpc-js eject the last instance, whose cap is looked at too early', () => {
    const spec = outlier({ maxEjected: '50%' });
    const allowed = (hosts: number) => ejectedAtMost(detection(spec, hosts).max_ejection_percent, hosts);
    expect([1, 2, 3, 4, 5].map(allowed)).to.deep.equal([0, 1, 1, 2, 2]);
    expect(ejectedAtMost(detection(outlier({ maxEjected: '29%' }), 100).max_ejection_percent, 100)).to.equal(
      29,
    );
  });

  property(
    'eject as many whole instances as the policy allows, and at its rate or above',
    fc.record({
      hosts: fc.integer({ min: 1, max: 300 }),
      percent: fc.integer({ min: 1, max: 100 }),
      calls: fc.integer({ min: 1, max: 10_000 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    ({ hosts, percent, calls, share }) => {
      const spec = outlier({ maxEjected: `${percent}%`, failureRate: `${percent}%` });
      const { max_ejection_percent: max, failure_percentage_ejection: rule } = detection(spec, hosts);
      expect(ejectedAtMost(max, hosts)).to.equal(Math.floor((percent * hosts) / 100));
      const failed = Math.floor(share * calls);
      // grpc-js's comparison, and the policy's in whole numbers.
      const ejected = (failed * 100) / calls > (rule.threshold ?? 0);
      expect(ejected).to.equal(failed * 100 >= percent * calls);
    },
  );
});

/** How many grpc-js ejects at a time where all fail: it stops once the share ejected so far has reached the maximum. */
function ejectedAtMost(maxPercent: number, hosts: number): number {
  let ejected = 0;
  while (ejected < hosts && (ejected * 100) / hosts < maxPercent) ejected++;
  return ejected;
}
