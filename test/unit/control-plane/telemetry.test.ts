/** What the streams tell, as Prometheus reads it: each figure in its series, and labels from closed sets only. */
import { expect } from 'chai';
import { createLogger } from '../../../control-plane/telemetry/logger.js';
import { createTelemetry } from '../../../control-plane/telemetry/metrics.js';

describe('telemetry', () => {
  it('counts what happens on streams', async () => {
    const telemetry = createTelemetry({ mesh: 'm', replica: 'r1' });
    telemetry.push(100);
    telemetry.push(50);
    telemetry.ack(20);
    telemetry.refusal();
    telemetry.streamEnd('slow');
    telemetry.ignored('report');
    const { text, contentType } = await telemetry.scrape();
    expect(contentType).to.include('text/plain');
    for (const line of [
      'switchgear_pushes_total{mesh="m",replica="r1"} 2',
      'switchgear_push_bytes_total{mesh="m",replica="r1"} 150',
      'switchgear_ack_delay_seconds_sum{mesh="m",replica="r1"} 0.02',
      'switchgear_ack_delay_seconds_count{mesh="m",replica="r1"} 1',
      'switchgear_refusals_total{mesh="m",replica="r1"} 1',
    ])
      expect(text.split('\n')).to.include(line);
    expect(text).to.match(/^switchgear_stream_ends_total\{[^}]*reason="slow"[^}]*\} 1$/m);
    expect(text).to.match(/^switchgear_ignored_total\{[^}]*what="report"[^}]*\} 1$/m);
  });

  it('puts methods that nobody knows into one series', async () => {
    const telemetry = createTelemetry({ mesh: 'm', replica: 'r1' });
    for (let n = 0; n < 10; n++) telemetry.request(`HOSTILE${n}`, '/v1/policies', 404, 1);
    const { text } = await telemetry.scrape();
    expect(text).not.to.include('HOSTILE');
    expect(text).to.match(/_count\{[^}]*method="other"[^}]*\} 10$/m);
  });

  it('describes no series twice', async () => {
    const { text } = await createTelemetry({ mesh: 'm', replica: 'r1' }).scrape();
    const described = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(described).size).to.equal(described.length);
    expect(described).to.include.members(['nodejs_eventloop_lag_seconds', 'process_cpu_seconds_total']);
  });

  it('knows no log level but its own', () => {
    expect(() => createLogger('loud', { mesh: 'm', replica: 'r1' }))
      .to.throw('--log-level')
      .with.property('code', 'invalid_configuration');
  });
});
