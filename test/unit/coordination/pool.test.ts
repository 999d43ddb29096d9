/**
 * Views of several replicas as one, and what one agent may weigh: against a twin that tries cut after cut.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Span } from '../../../core/coordination/model.js';
import { pool, winsorised } from '../../../core/coordination/pool.js';
import { property } from '../../support/property.js';
import { heard, reporters, viewOf } from '../../support/reporters.js';
import { circuitSpec } from '../../support/specs.js';

interface Own {
  readonly calls: number;
  readonly failed: number;
}

function spanOf(all: readonly Own[]): Span {
  return viewOf(all.map((own, i) => heard(`a-${i}`, own))).spans.at(-1) as Span;
}

/** Halves what is left to try, from a cut that is surely too large. */
function twin(all: readonly Own[]): { calls: number; failed: number } {
  const share = Math.max(0.2, 1 / all.length);
  const after = (cut: number) => all.reduce((sum, { calls }) => sum + Math.min(calls, cut), 0);
  let most = Math.max(...all.map(({ calls }) => calls));
  let least = 0;
  const fits = (cut: number) => cut <= share * after(cut) + 1e-9;
  if (!fits(most)) {
    for (let i = 0; i < 200; i++) {
      const middle = (least + most) / 2;
      if (fits(middle)) least = middle;
      else most = middle;
    }
    most = least;
  }
  return {
    calls: after(most),
    failed: all.reduce((sum, { calls, failed }) => sum + (failed * Math.min(calls, most)) / calls, 0),
  };
}

const owns = fc.array(
  fc
    .tuple(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1_000_000 })), fc.nat(100))
    .map(([calls, percent]) => ({ calls, failed: Math.floor((calls * percent) / 100) })),
  { minLength: 1, maxLength: 12 },
);

describe('weight of one agent', () => {
  property('is cut as a twin cuts it that tries', owns, (all) => {
    const cut = winsorised(spanOf(all));
    const expected = twin(all);
    expect(cut.calls).to.be.closeTo(expected.calls, 1e-3 + 1e-6 * expected.calls);
    expect(cut.failed).to.be.closeTo(expected.failed, 1e-3 + 1e-6 * expected.calls);
  });

  property('is at most a fifth after cutting, or an equal part', owns, (all) => {
    const { calls } = winsorised(spanOf(all));
    const others = all.reduce((sum, own) => sum + own.calls, 0) - Math.max(...all.map((own) => own.calls));
    expect(calls - others).to.be.at.most(Math.max(0.2, 1 / all.length) * calls + 1e-6);
  });

  it('stays as it is where all weigh the same', () => {
    for (const count of [1, 2, 4, 5, 6, 20]) {
      const all = Array.from({ length: count }, () => ({ calls: 10, failed: 4 }));
      expect(winsorised(spanOf(all))).to.deep.include({ calls: 10 * count, failed: 4 * count });
    }
  });

  it('is that of two where one is in two replicas at a time', () => {
    const span = { ...spanOf(Array(4).fill({ calls: 10, failed: 0 })), agents: 5 };
    expect(winsorised(span).calls).to.equal(40);
  });

  it('is nothing of nothing', () => {
    expect(
      winsorised({ ...spanOf([{ calls: 1, failed: 0 }]), calls: 0, agents: 0, heavy: [] }).calls,
    ).to.equal(0);
  });
});

describe('pool', () => {
  const all = [
    ...reporters(8, { zone: 'eu-1', endpoint: '10.0.0.1:80', failed: 9, blocked: 2 }),
    ...reporters(9, { zone: 'eu-2', endpoint: '10.0.0.2:80', calls: 30 }, 8),
    ...reporters(3, { calls: 500, failed: 1 }, 17),
  ];

  property(
    'is one view, however the agents are spread over replicas',
    fc.array(fc.nat(3), { minLength: all.length, maxLength: all.length }),
    (homes) => {
      const views = [0, 1, 2, 3].map((replica) => viewOf(all.filter((_, i) => homes[i] === replica)));
      expect(pool(views)).to.deep.equal(viewOf(all));
    },
    60,
  );

  it('of nothing has no spans', () => {
    expect(pool([])).to.deep.equal({ spans: [], demand: [], blocked: 0, suspects: [] });
  });

  it('leaves out a replica that still has the window of another policy', () => {
    const { cluster } = circuitSpec();
    const other = viewOf(all, circuitSpec({ cluster: { ...cluster, windowMs: 9_000 } }));
    expect(pool([viewOf(all.slice(0, 4)), other])).to.deep.equal(viewOf(all.slice(0, 4)));
  });

  it('joins an agent that is in two replicas at a time', () => {
    const one = viewOf([heard('a', { blocked: 3 })]);
    const { spans, demand } = pool([one, one]);
    expect(spans[0]?.heavy).to.deep.equal([{ agent: 'a', zone: '', calls: 20, failed: 0, slow: 0 }]);
    expect(demand).to.deep.equal([{ agent: 'a', zone: '', blocked: 6 }]);
  });
});
