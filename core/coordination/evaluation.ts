/**
 * One look at a circuit: what its windows ask for, and what its records (of all agents, and of single zones) have to become. While
 * the circuit of all is not closed, no zone's is.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Governed, Override } from './contract.js';
import { verdict } from './decision.js';
import { endpointsOut } from './ejection.js';
import type { ClusterRecord, Situation, Verdict, View } from './model.js';
import { advance } from './record.js';
import { atLeast, isHealthy } from './thresholds.js';
import type { Occasion } from './transition.js';
import { ALL, type Wanted, type WatchedCircuit } from './watched-circuit.js';

/** While it lasts, a record's age is written anew so often: a fleet that starts anew goes on from there. */
const REFRESH_MS = 5_000;
/** A number that is no count of writes: nothing follows from it. */
const SEQ_PLAUSIBLE_MAX = 2 ** 40;
const fine: Verdict = { kind: 'fine' };

export interface Look {
  readonly governed: Governed;
  /** By the record's id; only those that hold now. */
  override(record: string): Override | undefined;
  readonly frozen: string;
  readonly listeningSince: number;
  readonly random: { next(): number };
  readonly now: number;
}

/** `<circuit>`, or `<circuit>@<zone>`. */
export function recordId(circuit: string, zone: string): string {
  return zone === ALL ? circuit : `${circuit}@${zone}`;
}

/** The circuit and the zone of a record's id. Callees, policies and methods have no `@`; zones may. */
export function partsOf(id: string): { readonly circuit: string; readonly zone: string } {
  const at = id.indexOf('@');
  return at < 0 ? { circuit: id, zone: ALL } : { circuit: id.slice(0, at), zone: id.slice(at + 1) };
}

/** What the circuit's windows ask for, if it is closed and nobody has forced it. */
function asked(circuit: WatchedCircuit, look: Look): Verdict {
  const whole = circuit.recordOf(ALL);
  if ((whole && whole.state !== 'closed') || look.override(circuit.id)) return fine;
  return circuit.isSpotless(look.governed.spec, look.now) ? fine : verdict(situationOf(circuit, ALL, look));
}

/** For some of its agents or all. */
export function wouldOpen(circuit: WatchedCircuit, look: Look): boolean {
  return asked(circuit, look).kind === 'open';
}

/** The writes that are due. */
export function evaluated(circuit: WatchedCircuit, look: Look): readonly Wanted[] {
  const asks = asked(circuit, look);
  // Nothing is known of it and nobody asks for anything.
  if (asks === fine && circuit.records.size === 0 && !look.override(circuit.id)) return [];
  const wanted: Wanted[] = [];
  const whole = circuit.recordOf(ALL);
  const held = look.override(circuit.id) !== undefined;
  const next = propose(circuit, ALL, look, { verdict: asks, held: false, yields: false });
  if (next) wanted.push(next);
  const yields = isShut(next?.record ?? whole);
  const zones = new Set(circuit.records.keys());
  if (asks.kind === 'open' && asks.zone !== undefined && !yields) zones.add(asks.zone);
  zones.delete(ALL);
  for (const zone of zones) {
    const its = propose(circuit, zone, look, { verdict: yields ? fine : asks, held, yields });
    if (its) wanted.push(its);
  }
  return wanted;
}

function propose(
  circuit: WatchedCircuit,
  zone: string,
  look: Look,
  part: Pick<Occasion, 'verdict' | 'held' | 'yields'>,
): Wanted | undefined {
  const { governed, now, random } = look;
  const held = circuit.records.get(zone);
  const expected = held?.seq ?? 0;
  const record = advance(held?.record, {
    ...part,
    situation: situationOf(circuit, zone, look),
    zone: zone === ALL ? undefined : zone,
    ageMs: circuit.ageMs(zone, now),
    seq: expected,
    floor: floorOf(circuit, zone),
    outcomes: circuit.outcomesOf(zone),
    override: look.override(recordId(circuit.id, zone)),
    shadow: governed.shadow === true,
    refresh: held !== undefined && now - held.seenAt >= REFRESH_MS,
    random,
  });
  return record && { zone, expected, record };
}

function situationOf(circuit: WatchedCircuit, zone: string, look: Look): Situation {
  const { governed, frozen, listeningSince, now } = look;
  const { spec, source, endpoints } = governed;
  const whole = circuit.records.get(ALL);
  return {
    id: recordId(circuit.id, zone),
    spec,
    source,
    view: circuit.view(spec, now),
    endpoints,
    ejected: whole?.record ? endpointsOut(whole.record, now - whole.seenAt) : [],
    frozen,
    healing: (whole?.record?.openings ?? 0) > 0 && circuit.ageMs(ALL, now) < (whole?.record?.openMs ?? 0),
    silentMs: circuit.silentMs(zone, listeningSince, now),
  };
}

/**
 * An agent hears of its zone's record and of the circuit's of all by one name: the epochs of both are one line. A zone's record that
 * isn't closed will close with one more epoch.
 */
function floorOf(circuit: WatchedCircuit, zone: string): number {
  let floor = circuit.lostEpoch;
  const held = circuit.records.get(zone);
  if (held && !held.record && held.seq <= SEQ_PLAUSIBLE_MAX) floor = Math.max(floor, held.seq);
  for (const [other, { record }] of circuit.records)
    if (record && other !== zone && (zone === ALL || other === ALL))
      floor = Math.max(floor, record.epoch + (zone === ALL && isShut(record) ? 1 : 0));
  return floor;
}

function isShut(record: ClusterRecord | undefined): boolean {
  return record !== undefined && record.state !== 'closed';
}

/**
 * All together are far from the threshold, by as many calls as it takes to say so, and a replica's own agents don't say otherwise: of
 * many replicas each would wait for what the others publish, and all of them for the next second.
 */
export function isCalm(spec: CircuitSpec, pooled: View, own: View): boolean {
  const [all, ours] = [pooled, own].map(({ spans }) =>
    spans.find(({ calls }) => atLeast(calls, spec.minimumCalls)),
  );
  return all !== undefined && isHealthy(spec, all) && (ours === undefined || isHealthy(spec, ours));
}

/** No failure and nothing slow: whatever the policy, there is nothing to decide. */
