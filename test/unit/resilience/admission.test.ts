/**
 * Admission control: Envoy's formula, what counts for it, and that a part of the calls always gets through.
 */
import { expect } from 'chai';
import type { AdmissionSpec } from '../../../core/policy/model.js';
import { Admission } from '../../../core/resilience/admission.js';
import { ADMITTED, REFUSED } from '../../../core/resilience/gate.js';
import type { Outcome } from '../../../core/resilience/outcome.js';
import { Permits } from '../../../core/resilience/permits.js';
import { Plan } from '../../../core/resilience/plan.js';
import { walks } from '../../support/property.js';

const ROW = 0;

function spec(changes: Partial<AdmissionSpec> = {}): AdmissionSpec {
  return { successRate: 0.95, maxRejection: 0.8, windowMs: 30_000, ...changes };
}

/** A gate whose lots are all `lot`. */
function gate(lot = 0, now = 0): Admission {
  return new Admission(spec(), { random: { next: () => lot, hex: () => '' }, now });
}

function settle(admission: Admission, outcome: Outcome, count: number, now = 0): void {
  for (let i = 0; i < count; i++) admission.settle(ROW, outcome, now);
}

describe('admission', () => {
  it('holds nobody back while at least 95 % of the calls succeed', () => {
    const admission = gate();
    settle(admission, 'success', 95);
    settle(admission, 'failure', 5);
    expect([admission.rejection(0), admission.admit(ROW, 0)]).to.deep.equal([0, ADMITTED]);
  });

  it('rejects with the probability of the formula, as the lot falls', () => {
    const [unlucky, lucky] = [gate(0.46), gate(0.47)];
    for (const admission of [unlucky, lucky]) {
      settle(admission, 'success', 50);
      settle(admission, 'failure', 50);
      expect(admission.rejection(0)).to.be.closeTo((100 - 50 / 0.95) / 101, 1e-12);
    }
    expect([unlucky.admit(ROW, 0), lucky.admit(ROW, 0)]).to.deep.equal([REFUSED, ADMITTED]);
  });

  it('lets a fifth through though nothing succeeds, so that it is seen when that changes', () => {
    const admission = gate(0.8);
    settle(admission, 'failure', 10_000);
    expect([admission.rejection(0), admission.admit(ROW, 0)]).to.deep.equal([0.8, ADMITTED]);
  });

  it('is gentle while few calls are known', () => {
    const admission = gate();
    settle(admission, 'failure', 1);
    expect(admission.rejection(0)).to.equal(0.5);
  });

  it('says how many succeeded of how many', () => {
    const admission = gate();
    settle(admission, 'success', 35);
    settle(admission, 'failure', 5);
    expect(admission.admit(ROW, 0)).to.equal(REFUSED);
    expect(admission.refusal(0)).to.deep.equal({
      code: 'overloaded',
      text: '87.5 % of 40 calls succeeded, fewer than 95 %, so some are held back; slow down',
      section: 'admission',
    });
  });

  it('does not count what came to nothing, nor what it rejected itself', () => {
    const admission = gate();
    const plan = new Plan([admission], new Permits());
    settle(admission, 'failure', 4);
    settle(admission, 'neutral', 1_000);
    const before = admission.rejection(0);
    for (let i = 0; i < 1_000; i++) expect(plan.admit(0, 1_000)).to.be.below(0);
    expect(admission.rejection(0)).to.equal(before);
  });

  it('has forgotten all after an hour of nothing', () => {
    const admission = gate(0, 1_000);
    settle(admission, 'failure', 1_000, 1_000);
    expect(admission.admit(ROW, 30_000)).to.equal(REFUSED);
    expect(admission.admit(ROW, 3_601_000)).to.equal(ADMITTED);
  });

  it('keeps what it counted under new settings, unless the window is another', () => {
    const admission = gate();
    settle(admission, 'failure', 1_000);
    admission.reconfigure(spec({ maxRejection: 0.3 }), 0);
    expect(admission.rejection(0)).to.equal(0.3);
    admission.reconfigure(spec({ windowMs: 60_000 }), 0);
    expect(admission.rejection(0)).to.equal(0);
  });
});

describe('admission and its dumb twin', () => {
  walks('agree about the probability, over 3,000 random deeds', 5, (random) => {
    const admission = gate();
    const ended: { at: number; ok: boolean }[] = [];
    let now = 0;
    for (let i = 0; i < 3_000; i++) {
      now += random.next() < 0.01 ? random.next() * 40_000 : random.next() * 200;
      const roll = random.next();
      const outcome = roll < 0.6 ? 'success' : roll < 0.9 ? 'failure' : 'neutral';
      admission.settle(ROW, outcome, now);
      if (outcome !== 'neutral') ended.push({ at: now, ok: outcome === 'success' });
      const second = Math.floor(now / 1_000);
      const seen = ended.filter(({ at }) => Math.floor(at / 1_000) > second - 30);
      const ok = seen.filter((each) => each.ok).length;
      const p = Math.min(0.8, Math.max(0, (seen.length - ok / 0.95) / (seen.length + 1)));
      if (Math.abs(admission.rejection(now) - p) > 1e-9) expect.fail(`${admission.rejection(now)}, not ${p}`);
    }
  });
});
