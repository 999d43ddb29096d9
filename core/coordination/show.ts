/**
 * A circuit as people are shown it: its records as they are by now, and when something will happen next.
 */
import type { ClusterView, Governed, Override } from './contract.js';
import { aged, servedMs } from './ejection.js';
import type { ClusterRecord } from './model.js';
import { blank } from './transition.js';
import { ALL, type WatchedCircuit } from './watched-circuit.js';

/** The record of all, made up where none was ever written, and those of zones that are not closed. */
export function circuitViews(
  circuit: WatchedCircuit,
  governed: Governed,
  override: Override | undefined,
  now: number,
): readonly ClusterView[] {
  const { spec, source, shadow = false } = governed;
  const view = circuit.view(spec, now);
  const whole = circuit.recordOf(ALL) ?? blank(circuit.id, source);
  const shown: ClusterView[] = [];
  for (const zone of new Set([ALL, ...circuit.records.keys()])) {
    const record = zone === ALL ? whole : circuit.recordOf(zone);
    if (!record || (zone !== ALL && record.state === 'closed')) continue;
    const ageMs = circuit.ageMs(zone, now);
    const elapsedMs = Math.max(0, ageMs - record.ageMs);
    const ejections = aged(record.ejections, servedMs(record, elapsedMs), governed).filter(
      ({ leftMs }) => leftMs > 0,
    );
    const nextStepMs = override ? override.endsAt - now : stepMs({ ...record, ejections }, ageMs, governed);
    shown.push({ record: { ...record, ejections }, ageMs, nextStepMs, view, override, shadow });
  }
  return shown;
}

function stepMs(record: ClusterRecord, ageMs: number, { spec }: Governed): number {
  switch (record.state) {
    case 'open':
      return Math.max(0, record.openMs - ageMs);
    case 'half-open':
      return Math.max(0, (record.permitMs ?? spec.cluster.rampStepMs) - ageMs);
    case 'ramping':
      return Math.max(0, spec.cluster.rampStepMs - ageMs);
    case 'closed':
      return Math.min(Number.POSITIVE_INFINITY, ...record.ejections.map(({ leftMs }) => leftMs));
  }
}
