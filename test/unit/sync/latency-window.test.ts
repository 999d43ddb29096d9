/** Latencies of the last ten seconds: of the callees that rules ask for, within bounds, and unmoved by what is no histogram. */
import { expect } from 'chai';
import { LatencyWindow } from '../../../control-plane/grpc/latency-window.js';
import type { BrownoutRevision } from '../../../control-plane/ports.js';
import { parseSetting } from '../../../core/brownout/setting.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';

let revision = 0;
function asking(...callees: string[]): BrownoutRevision {
  const rules = callees.map((callee) => ({ level: 1, when: { callee, latency: { p99: '1s' } } }));
  const result = parseSetting(JSON.stringify({ rules }));
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return { revision: ++revision, setting: result.setting };
}

function calls(count: number, ms: number): Uint8Array {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < count; i++) histogram.record(ms, 16);
  return histogram.encode();
}

describe('latencies of a service', () => {
  it('are merged over ten seconds and forgotten second by second', () => {
    const window = new LatencyWindow({ brownout: asking('payments') });
    for (let second = 0; second < 15; second++) {
      window.record('payments', calls(10, 1 + second), second * 1000);
      window.record('payments', calls(10, 1 + second), second * 1000 + 999);
    }
    expect(window.of('payments', 14_999)).to.include({ samples: 200, count: 3200 });
    expect(window.of('payments', 14_999).percentile(0)).to.be.closeTo(6, 0.3);
    expect(window.of('payments', 19_999).samples).to.equal(100);
    expect(window.of('payments', 3_600_000).samples).to.equal(0);
    window.record('payments', calls(1, 5), 3_600_000);
    expect(window.of('payments', 3_600_000).samples).to.equal(1);
  });

  it('are kept where a rule asks for them, and only then', () => {
    const source = { brownout: undefined as BrownoutRevision | undefined };
    const window = new LatencyWindow(source);
    const say = (now: number) => {
      for (const callee of ['payments', 'mail']) window.record(callee, calls(10, 5), now);
    };
    say(0);
    expect(window.all(0).size).to.equal(0);
    source.brownout = asking('payments');
    say(0);
    expect([...window.all(0).keys()]).to.deep.equal(['payments']);
    source.brownout = asking('mail');
    say(0);
    expect([...window.all(0).keys()]).to.deep.equal(['mail']);
    expect(window.of('payments', 0).samples).to.equal(0);
    expect(window.all(20_000).size).to.equal(0);
  });

  it('are none of bytes that are no histogram, which is told', () => {
    const window = new LatencyWindow({ brownout: asking('payments') });
    expect(window.record('payments', Uint8Array.of(9, 9, 9), 0)).to.equal(false);
    expect(window.record('payments', new Uint8Array(4096).fill(255), 0)).to.equal(false);
    expect(window.record('payments', new Uint8Array(0), 0)).to.equal(true);
    expect(window.of('payments', 0).samples).to.equal(0);
  });

  it('are sound again once a bucket that was full is over', () => {
    const window = new LatencyWindow({ brownout: asking('payments') });
    const full = Uint8Array.of(1, 0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f);
    for (let second = 0; second < 3; second++) window.record('payments', full, second * 1000);
    window.record('payments', calls(20, 900), 5_000);
    expect(window.of('payments', 5_000).percentile(0.5)).to.be.below(1);
    expect(window.of('payments', 12_500)).to.include({ samples: 20 });
    expect(window.of('payments', 12_500).percentile(0.01)).to.be.closeTo(900, 45);
  });
});
