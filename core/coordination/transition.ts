/**
 * What every step of a circuit's record shares: what it is decided from, the numbers that grow with it, and the two states that it
 * can reach from any other, open and closed.
 */
import type { Override } from './contract.js';
import { aged, failingAlone, servedMs, withEjected } from './ejection.js';
import type { ClusterRecord, Demand, ProbeOutcome, Situation, Verdict } from './model.js';

/** A period doubles up to this, or up to `openFor` itself, if that is longer; as a local circuit's does. */
export const OPEN_MAX_MS = 60_000;
const OPEN_JITTER = 0.2;
const OPENINGS_MAX = 1_000;
const NAMED_MAX = 4;
/** Agents report by the second and replicas exchange by the second: below this, silence says nothing. */
const SILENT_MIN_MS = 3_000;

/** All that one step of one record is decided from. */
export interface Occasion {
  readonly situation: Situation;
  /** The record is for the agents of this zone alone; undefined: for all. */
  readonly zone: string | undefined;
  /** What the window asks for, if the circuit is closed. */
  readonly verdict: Verdict;
  /** How long the record has been in its state by now. */
  readonly ageMs: number;
  /** What the store's comparison expects: that of the record, also of one that couldn't be read; 0: there is none. */
  readonly seq: number;
  /** The greatest epoch that the same agents may have heard of other records of this circuit. */
  readonly floor: number;
  /** Probes whose end has been heard of here, by permit; the record may know them already. */
  readonly outcomes: ReadonlyMap<number, ProbeOutcome>;
  readonly override: Override | undefined;
  /** A zone's record, while the circuit of all is overridden: it stands still too. */
  readonly held: boolean;
  /** A zone's record, while the circuit of all is not closed: it has nothing more to say. */
  readonly yields: boolean;
  readonly shadow: boolean;
  /** It is time to write anew how old the state is, so that whoever starts now goes on from there. */
  readonly refresh: boolean;
  readonly random: { next(): number };
}

/** The record before any was written, or in place of one that can't be read. */
export function blank(id: string, policy: ClusterRecord['policy'], seq = 0, epoch = 0): ClusterRecord {
  return {
    id,
    state: 'closed',
    epoch,
    seq,
    ageMs: 0,
    openMs: 0,
    openings: 0,
    step: 0,
    permits: [],
    ejections: [],
    reason: 'it has never been open',
    policy,
  };
}

/** The same state, written anew with these changes: its age goes on. */
export function rewritten(
  record: ClusterRecord,
  occasion: Occasion,
  changes: Partial<ClusterRecord> = {},
): ClusterRecord {
  return {
    ...record,
    seq: occasion.seq + 1,
    ageMs: Math.round(occasion.ageMs),
    ejections: aged(record.ejections, servedMs(record, occasion.ageMs - record.ageMs), occasion.situation),
    policy: occasion.situation.source,
    ...changes,
  };
}

/** Another state, or another step of it: a new epoch, which begins now. */
export function entered(
  record: ClusterRecord,
  occasion: Occasion,
  changes: Partial<ClusterRecord> & Pick<ClusterRecord, 'state' | 'reason'>,
): ClusterRecord {
  const { permitMs, ...rest } = rewritten(record, occasion);
  return { ...rest, epoch: nextEpoch(record, occasion), ageMs: 0, step: 0, permits: [], ...changes };
}

export function nextEpoch(record: ClusterRecord, { floor }: Occasion): number {
  return Math.max(record.epoch, floor) + 1;
}

/** Open, for twice as long as the last time if it has not healed since. */
export function opened(record: ClusterRecord, occasion: Occasion, reason: string): ClusterRecord {
  const healed = record.state === 'closed' && occasion.ageMs >= record.openMs;
  const openings = healed ? 1 : Math.min(record.openings + 1, OPENINGS_MAX);
  const { openForMs } = occasion.situation.spec;
  const evenMs = Math.min(openForMs * 2 ** (openings - 1), Math.max(OPEN_MAX_MS, openForMs));
  const openMs = Math.round(evenMs * (1 + OPEN_JITTER * (2 * occasion.random.next() - 1)));
  return entered(record, occasion, { state: 'open', reason, openings, openMs });
}

/** Open again, on the way back: without the instances that alone did it, so that the next way back doesn't lead over them. */
export function reopened(record: ClusterRecord, occasion: Occasion, reason: string): ClusterRecord {
  const next = opened(record, occasion, reason);
  if (occasion.zone !== undefined) return next;
  const alone = failingAlone(occasion.situation, occasion.ageMs);
  const ejections = withEjected(next.ejections, alone, occasion.situation);
  if (!ejections) return next;
  const more = alone.length > NAMED_MAX ? ` and ${alone.length - NAMED_MAX} more` : '';
  const where = `${alone.slice(0, NAMED_MAX).join(', ')}${more}`;
  return { ...next, ejections, reason: `${reason}, all at ${where}: out of discovery from now on` };
}

/** No agent has said anything of it for 2 × openFor: nobody is calling, and nothing else would ever move it. */
export function silenced(record: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const { spec, silentMs } = occasion.situation;
  if (silentMs < Math.max(2 * spec.openForMs, SILENT_MIN_MS)) return undefined;
  const reason = `no agent has reported for ${seconds(silentMs)}: nobody is calling, the next failure opens it again`;
  return entered(record, occasion, { state: 'closed', reason });
}

/** Who is being turned away, of the agents that the record is for. */
export function demandOf({ situation, zone }: Occasion): readonly Demand[] {
  const { demand } = situation.view;
  return demand.filter((each) => each.blocked > 0 && (zone === undefined || each.zone === zone));
}

export function seconds(ms: number): string {
  return `${Number((ms / 1_000).toFixed(1))} s`;
}

export function percent(rate: number): string {
  return `${Math.round(rate * 100_000) / 1_000} %`;
}
