/**
 * How soon the decision about a circuit of the mesh is made: the headline's fleet, one call of each caller a second.
 */
import { expect } from 'chai';
import { verdict } from '../../../core/coordination/decision.js';
import { CircuitWindow } from '../../../core/coordination/window.js';
import { heard, situationOf } from '../../support/reporters.js';

describe('the decision, in time', () => {
  it('opens within 600 ms of arrivals when the callee of a thousand callers dies after ten healthy minutes', () => {
    // Wherever in a slice it dies. Each caller calls at its own time of the second, and says so 370 ms later; of a failure at once.
    for (const [healthyMs, afterMs] of [
      [600_000, 0],
      [5_000, 1],
      [5_000, 90],
      [5_000, 170],
      [5_000, 249],
    ] as const) {
      const window = new CircuitWindow(2_000);
      const { spec } = situationOf([]);
      const diesAt = healthyMs + afterMs;
      let failed = 0;
      let openedAt = Number.POSITIVE_INFINITY;
      for (let now = 0; now <= diesAt + 600 && openedAt > now; now++) {
        if (now >= diesAt) {
          window.record(heard(`a-${now % 1_000}`, { calls: 1, failed: 1 }), now);
          failed++;
        }
        if (now - 370 < diesAt) window.record(heard(`a-${(now + 630) % 1_000}`, { calls: 1 }), now);
        if (now % 50 > 0 || now < diesAt - 4_000) continue;
        const found = verdict(situationOf([], { view: window.view(spec, now) }));
        if (now < diesAt) expect(found.kind, `at ${now} ms`).to.equal('fine');
        else if (found.kind === 'open') openedAt = now;
      }
      expect(openedAt - diesAt, `${afterMs} ms into a slice`).to.be.at.most(600);
      expect(failed).to.be.at.most(600);
    }
  });
});
