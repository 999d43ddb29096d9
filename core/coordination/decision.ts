/**
 * What a window asks for while a circuit is closed: one pure function, which says why in words, with the figures that decided.
 *
 * It opens if over a span, no agent weighing more than it may (`pool.ts`), there were enough calls, too many of them failed or were
 * slow, and enough distinct agents are over the threshold themselves. The shortest span that says so decides. Before that it looks
 * where the fault is, and this also where the pooled rate alone would not open anything:
 *
 * - endpoints: those that are over the threshold, if they are at most half of what is known and all others together are clearly
 *   healthy, are to be taken out of discovery;
 * - callers' zones: one that meets the whole rule by its own agents, while all other agents together say that it is healthy, has its
 *   circuit opened for itself.
 *
 * What a part is held against is the same rule with its own agents in place of all: fewer than `minReporters` can't eject an endpoint
 * or open a zone either. Calls that one endpoint had in a span must reach `minimumCalls`; if the circuit is about to open, an equal
 * part of it is enough, since the alternative is to turn all calls away. As views have no heavy agents by endpoint, the share of
 * agents that are over at it must reach the rate too, so that one agent's large figures can't.
 *
 * A span shorter than the window must be over the rate by more than chance explains, since spans are many and looked at often; the
 * whole window is held to the rate itself, and so is all of a circuit that has just closed again. The same goes for endpoints while nothing is about to open.
 *
 * What instances did that are out of discovery by now opens nothing any more: without them, too, it must be over, by enough calls.
 *
 * A part that is found in one span is not blamed for what a shorter one says of the rest: a service that dies as a whole, a while
 * after an instance, opens.
 */
import type { CircuitSpec } from '../policy/model.js';
import { minus, ofEndpoints, without } from './counts.js';
import type { Counts, Group, NamedGroup, Situation, Span, Verdict } from './model.js';
import { winsorised } from './pool.js';
import { atLeast, faultOf, isHealthy, reportersNeeded } from './thresholds.js';
import { byFailed } from './top.js';
import { type Case, ejected, opened, opensZone } from './verdict-words.js';

const FINE: Verdict = { kind: 'fine' };
/** Of the endpoints. */
const SICK_SHARE_MAX = 0.5;
/**
 * Of a span that is not the whole window, in standard deviations: spans are judged some ten times a second, and a callee that fails
 * three calls of ten would soon open at five of ten. Not more, since what was well before a callee's death is reported up to a second
 * later and stands beside its first failures: three deviations cost a fleet of 200 twice the calls.
 */
const SHORT_MARGIN = 1.5;

export function verdict(situation: Situation): Verdict {
  const { spec, view, frozen } = situation;
  const whole = view.spans.at(-1);
  if (frozen !== '' || !whole) return FINE;
  const needed = reportersNeeded(spec, whole.agents);
  const opening = firstOf(view.spans, (span) => caseOf(situation, span, span, needed));
  return (
    firstOf(view.spans, (span) => endpointsAtFault(situation, span, opening)) ??
    firstOf(view.spans, (span) => zoneAtFault(situation, span, opening)) ??
    (opening ? { kind: 'open', zone: undefined, reason: opened(spec, opening, whole.agents) } : FINE)
  );
}

function caseOf(
  situation: Situation,
  span: Span,
  group: Group & Pick<Span, 'heavy'>,
  needed: number,
): Case | undefined {
  const { spec } = situation;
  if (group.over < needed) return undefined;
  const counts = winsorised(group);
  const margin = marginOf(situation, span);
  const fault = faultOf(spec, counts, margin);
  if (!fault || !atLeast(counts.calls, spec.minimumCalls)) return undefined;
  const spent = ofEndpoints(span, outOf(situation));
  if (spent.calls === 0) return { span, group, counts, fault, needed };
  // Of a zone too: how many of its calls these are is not known, and in doubt it stays closed until they have left the window.
  const live = minus(group, spent);
  const still = faultOf(spec, live, margin);
  if (!still || !atLeast(live.calls, spec.minimumCalls)) return undefined;
  return { span, group: { ...group, ...live }, counts: live, fault: still, needed };
}

/** Registered instances that are out of discovery. */
function outOf({ endpoints, ejected = [] }: Situation): ReadonlySet<string> {
  return new Set(ejected.filter((each) => endpoints.includes(each)));
}

function endpointsAtFault(situation: Situation, span: Span, opening: Case | undefined): Verdict | undefined {
  const { spec, endpoints } = situation;
  const registered = new Set(endpoints);
  const known = new Set([...endpoints, ...(situation.view.spans.at(-1)?.endpoints ?? []).map(nameOf)]);
  if (known.size < 2) return undefined;
  const least = opening ? spec.minimumCalls / known.size : spec.minimumCalls;
  const out = outOf(situation);
  const margin = opening ? 0 : marginOf(situation, span);
  const sick = span.endpoints.filter((each) => !out.has(each.name) && isSick(situation, each, least, margin));
  const named = sick.filter(({ name }) => registered.has(name)).sort(byFailed);
  if (named.length === 0) return undefined;
  if (sick.length + out.size > SICK_SHARE_MAX * known.size) return undefined;
  if (named.length + out.size > SICK_SHARE_MAX * registered.size) return undefined;
  const blamed = new Set([...out, ...sick.map(nameOf)]);
  const rest = without(span, blamed);
  if (!speaks(spec, rest) || !isHealthy(spec, rest)) return undefined;
  if (opening && !isHealthy(spec, without(opening.span, blamed))) return undefined;
  return {
    kind: 'eject',
    endpoints: named.map(nameOf),
    reason: ejected(spec, span, named, known.size, rest),
  };
}

/** Its own rate, by enough calls of enough agents, each of whom it fails too. */
function isSick({ spec, view }: Situation, endpoint: NamedGroup, least: number, margin: number): boolean {
  const callers = view.spans.at(-1)?.endpoints.find(({ name }) => name === endpoint.name)?.agents;
  const fault = faultOf(spec, endpoint, margin);
  if (!fault || !atLeast(endpoint.calls, least)) return false;
  const rate = fault === 'failed' ? spec.failureRate : spec.slowRate;
  if (!atLeast(endpoint.over, rate * endpoint.agents)) return false;
  return endpoint.over >= reportersNeeded(spec, Math.max(callers ?? 0, endpoint.agents));
}

function zoneAtFault(situation: Situation, span: Span, opening: Case | undefined): Verdict | undefined {
  const { spec, view } = situation;
  for (const zone of span.zones) {
    const inIt = span.heavy.filter((each) => each.zone === zone.name);
    const agents = view.spans.at(-1)?.zones.find(({ name }) => name === zone.name)?.agents ?? 0;
    const needed = reportersNeeded(spec, Math.max(agents, zone.agents));
    const found = caseOf(situation, span, { ...zone, heavy: inIt }, needed);
    if (!found) continue;
    const rest = outside(span, zone);
    if (rest.agents < spec.cluster.minReporters && rest.calls < spec.minimumCalls) continue;
    if (!isHealthy(spec, winsorised(rest))) continue;
    const then = opening?.span.zones.find(({ name }) => name === zone.name);
    if (opening && !(then && isHealthy(spec, winsorised(outside(opening.span, then))))) continue;
    return { kind: 'open', zone: zone.name, reason: opensZone(spec, found, agents, zone.name, rest) };
  }
  return undefined;
}

function marginOf({ view, healing }: Situation, span: Span): number {
  return healing || span === view.spans.at(-1) ? 0 : SHORT_MARGIN;
}

/** All other agents. */
function outside(span: Span, zone: NamedGroup): Group & Pick<Span, 'heavy'> {
  const heavy = span.heavy.filter((each) => each.zone !== zone.name);
  const agents = Math.max(0, span.agents - zone.agents);
  return { ...minus(span, zone), agents, over: Math.max(0, span.over - zone.over), heavy };
}

/** Enough calls to say anything. */
function speaks(spec: CircuitSpec, { calls }: Counts): boolean {
  return calls >= spec.cluster.minReporters;
}

function nameOf({ name }: NamedGroup): string {
  return name;
}

/** Of the spans from the shortest. */
function firstOf<T>(spans: readonly Span[], found: (span: Span) => T | undefined): T | undefined {
  for (const span of spans) {
    const result = found(span);
    if (result !== undefined) return result;
  }
  return undefined;
}
