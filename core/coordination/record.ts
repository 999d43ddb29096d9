/**
 * The state machine of a circuit of the mesh: one record, and what is known now, give the next record, or nothing to write. It is
 * pure, so whoever evaluates it comes to the same; and who writes first has written, since the store compares `seq`.
 *
 *     closed → open → half-open → ramping → closed       open, half-open, ramping → closed when nobody calls any more
 *                ↑________|___________|                  each transition a greater epoch, each write a greater seq
 *
 * An operator's override is taken up in the record too, as a transition of its own: while it holds, the state stands still.
 */
import { withEjected } from './ejection.js';
import type { ClusterRecord } from './model.js';
import { probed, probing, watched, watching } from './probe-round.js';
import {
  blank,
  demandOf,
  entered,
  nextEpoch,
  type Occasion,
  opened,
  percent,
  reopened,
  rewritten,
  seconds,
  silenced,
} from './transition.js';
import { trial } from './trial.js';

/** The record to write in place of this one (undefined: there is none, and the circuit is closed); undefined: nothing to write. */
export function advance(record: ClusterRecord | undefined, occasion: Occasion): ClusterRecord | undefined {
  const { situation, seq, floor } = occasion;
  const before = record ?? blank(situation.id, situation.source, seq, floor);
  return step(before, occasion) ?? refreshed(before, occasion);
}

function step(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  if (before.override !== occasion.override?.revision) return overridden(before, occasion);
  if (occasion.override || occasion.held) return undefined;
  if (before.state === 'closed') return closed(before, occasion);
  if (occasion.yields) {
    const reason = 'the circuit of all zones took its place';
    return entered(before, occasion, { state: 'closed', epoch: before.epoch + 1, reason });
  }
  if (occasion.floor >= before.epoch) return risen(before, occasion);
  switch (before.state) {
    case 'open':
      return open(before, occasion);
    case 'half-open':
      return halfOpen(before, occasion);
    case 'ramping':
      return ramping(before, occasion);
  }
}

/** An operator has spoken, or has nothing more to say. */
function overridden(before: ClusterRecord, occasion: Occasion): ClusterRecord {
  const { override: _, ...rest } = risen(before, occasion);
  const { override } = occasion;
  if (!override) {
    // A closed one is told to agents only while it is young, and they have to hear that it isn't forced any more.
    const ageMs = before.state === 'closed' ? 0 : rest.ageMs;
    return { ...rest, ageMs, reason: `${before.state} again: no override holds any more` };
  }
  const reason = `forced ${override.state} by ${override.author}: ${override.reason}`;
  return { ...rest, override: override.revision, reason };
}

/** The same state in an epoch above all that its agents have heard. Permits of the former one are worth nothing any more. */
function risen(before: ClusterRecord, occasion: Occasion): ClusterRecord {
  const permits = before.permits.map((each) => ({ ...each, outcome: 'lost' as const }));
  return rewritten(before, occasion, { epoch: nextEpoch(before, occasion), permits });
}

function closed(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const { verdict, zone, situation, ageMs } = occasion;
  if (verdict.kind === 'open' && verdict.zone === zone) return opened(before, occasion, verdict.reason);
  if (verdict.kind !== 'eject' || zone !== undefined) return undefined;
  const now = rewritten(before, occasion);
  const ejections = withEjected(now.ejections, verdict.endpoints, situation);
  if (!ejections) return undefined;
  return { ...now, ageMs, ejections, reason: verdict.reason };
}

function open(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const closes = silenced(before, occasion);
  if (closes || occasion.ageMs < before.openMs) return closes;
  // Its time is over, but a circuit can only be probed by somebody who calls: it waits for demand, or for silence.
  if (demandOf(occasion).length === 0) return occasion.shadow ? watching(before, occasion) : undefined;
  return probing(before, occasion);
}

function halfOpen(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  if (before.permits.length > 0) return probed(before, occasion);
  const { situation, zone, ageMs } = occasion;
  const found = trial(situation.view.spans, zone, situation.spec, ageMs);
  return silenced(before, occasion) ?? watched(before, occasion, found);
}

function ramping(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const { situation, zone, ageMs } = occasion;
  const { ramp, rampStepMs } = situation.spec.cluster;
  const share = percent(ramp[before.step] ?? 1);
  const found = trial(situation.view.spans, zone, situation.spec, ageMs);
  if (found.fault !== '') return reopened(before, occasion, `${found.fault} at ${share} of the calls`);
  const closes = silenced(before, occasion);
  if (closes || ageMs < rampStepMs) return closes;
  const reason = `${share} of the calls held for ${seconds(ageMs)}, ${found.calls} calls, too few failed`;
  const next = before.step + 1;
  return next < ramp.length
    ? entered(before, occasion, { state: 'ramping', step: next, reason })
    : entered(before, occasion, { state: 'closed', reason });
}

function refreshed(before: ClusterRecord, occasion: Occasion): ClusterRecord | undefined {
  const lasts = before.state !== 'closed' || before.ejections.length > 0 || before.override !== undefined;
  return occasion.refresh && lasts && occasion.seq > 0 ? rewritten(before, occasion) : undefined;
}
