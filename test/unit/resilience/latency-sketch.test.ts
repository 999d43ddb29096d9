/**
 * The sketch of few latencies: at every size it says what a histogram of the same calls says.
 */
import { expect } from 'chai';
import { seededRandom } from '../../../core/random.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';
import { LatencySketch } from '../../../core/resilience/latency-sketch.js';

describe('a latency sketch', () => {
  it('reads as the histogram of the same calls, whatever their number', () => {
    const random = seededRandom(5);
    for (let calls = 0; calls < 60; calls++) {
      const sketch = new LatencySketch();
      const twin = new LatencyHistogram();
      for (let i = 0; i < calls; i++) {
        const ms = random.next() * 1_000;
        const weight = random.next() < 0.5 ? 1 : 16;
        sketch.record(ms, weight);
        twin.record(ms, weight);
      }
      expect(sketch.histogram().encode(), `${calls} calls`).to.deep.equal(twin.encode());
      expect(sketch.histogram().count).to.equal(twin.count);
      expect(sketch.histogram().percentile(0.99)).to.equal(twin.percentile(0.99));
    }
  });

  it('goes on counting after it was read', () => {
    const sketch = new LatencySketch();
    for (let i = 0; i < 40; i++) {
      sketch.record(5);
      expect(sketch.histogram().count).to.equal(i + 1);
    }
  });
});
