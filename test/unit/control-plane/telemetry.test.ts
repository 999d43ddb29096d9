/** What the streams tell, as Prometheus reads it: each figure in its series, and labels from closed sets only. */
import { expect } from 'chai';
import type { Brownout, Mirror, Roster } from '../../../control-plane/ports.js';
import { createLogger } from '../../../control-plane/telemetry/logger.js';
import { createTelemetry } from '../../../control-plane/telemetry/metrics.js';
import type { ClusterView } from '../../../core/coordination/contract.js';

const mirrorOfNothing = { health: { up: true }, faults: [], revision: 0, services: () => new Map() };

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

  it('counts circuits of the mesh, their changes and exchanges', async () => {
    const telemetry = createTelemetry({ mesh: 'm', replica: 'r1' });
    telemetry.exchange('done', 20);
    telemetry.exchange('failed', 2_000);
    telemetry.transition('open');
    telemetry.frozen(true);
    telemetry.ignored('cell');
    const view = (state: string) => ({ record: { state } }) as unknown as ClusterView;
    telemetry.observe({
      mirror: { ...mirrorOfNothing, policies: () => [] } as unknown as Mirror,
      roster: { connected: 0, circuitStates: () => new Map() } as unknown as Roster,
      brownout: { view: () => ({ level: 0 }) } as unknown as Brownout,
      eventStreams: () => 0,
      circuits: { views: () => [view('open'), view('open'), view('ramping')] },
    });
    const { text } = await telemetry.scrape();
    for (const series of [
      /^switchgear_cluster_exchange_duration_seconds_count\{[^}]*result="failed"[^}]*\} 1$/m,
      /^switchgear_cluster_circuit_transitions_total\{[^}]*state="open"[^}]*\} 1$/m,
      /^switchgear_cluster_circuits_frozen\{[^}]*\} 1$/m,
      /^switchgear_cluster_circuits\{[^}]*state="open"[^}]*\} 2$/m,
      /^switchgear_cluster_circuits\{[^}]*state="half-open"[^}]*\} 0$/m,
      /^switchgear_ignored_total\{[^}]*what="cell"[^}]*\} 1$/m,
    ])
      expect(text).to.match(series);
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

  it('lists no open connection, since there may be ten thousand', async () => {
    const { text } = await createTelemetry({ mesh: 'm', replica: 'r1' }).scrape();
    expect(text).not.to.match(/^(nodejs_active_|process_open_fds)/m);
  });

  it('knows no log level but its own', () => {
    expect(() => createLogger('loud', { mesh: 'm', replica: 'r1' }))
      .to.throw('--log-level')
      .with.property('code', 'invalid_configuration');
  });
});
