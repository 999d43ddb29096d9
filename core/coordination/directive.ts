/**
 * What one agent is told of one circuit. Every directive lapses by itself, and is renewed for as long as this replica knows that the
 * record still holds: an agent that hears nothing more goes by its own circuit, never by "open".
 */
import type { Override } from './contract.js';
import type { ClusterDirective, ClusterRecord } from './model.js';

/** On the agent's clock. Renewed by the second, so it outlives a replica's restart, and not much more. */
export const DIRECTIVE_TTL_MS = 10_000;
/** For so long after it has closed an agent is told so; whoever misses that lets its hold lapse. */
export const CLOSED_TOLD_MS = 2 * DIRECTIVE_TTL_MS;

export interface Telling {
  /** Without a zone: the agent's own circuit. */
  readonly circuit: string;
  readonly agent: string;
  /** How long the record has been in its state by now. */
  readonly ageMs: number;
  readonly ramp: readonly number[];
  readonly override: Override | undefined;
  /** Permits whose end has been heard of here. */
  readonly outcomes: ReadonlyMap<number, unknown>;
  readonly now: number;
}

/** Undefined: there is nothing to say. */
export function directiveOf(record: ClusterRecord, telling: Telling): ClusterDirective | undefined {
  const { circuit, ageMs, ramp, override, now } = telling;
  // Taking an override up is a write of its own: until it is done, and until its end is, what was said last lapses or stays.
  if (record.override !== override?.revision) return undefined;
  if (!override && record.state === 'closed' && ageMs >= CLOSED_TOLD_MS) return undefined;
  const admitted = record.state === 'ramping' ? (ramp[record.step] ?? 1) : 1;
  const leftMs = override ? override.endsAt - now : Number.POSITIVE_INFINITY;
  return {
    circuit,
    state: override ? `forced-${override.state}` : record.state,
    epoch: record.epoch,
    seq: record.seq,
    admitPercent: override ? 100 : admitted * 100,
    permits: override ? [] : permitsOf(record, telling),
    ttlMs: Math.max(1, Math.min(DIRECTIVE_TTL_MS, Math.ceil(leftMs))),
    reason: record.reason,
  };
}

function permitsOf(
  { state, permits, permitMs = 0 }: ClusterRecord,
  { agent, ageMs, outcomes }: Telling,
): readonly number[] {
  if (state !== 'half-open' || ageMs >= permitMs) return [];
  return permits
    .filter((each) => each.agent === agent && each.outcome === undefined && !outcomes.has(each.permit))
    .map(({ permit }) => permit);
}
