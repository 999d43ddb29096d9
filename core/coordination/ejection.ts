/**
 * Instances that are taken out of discovery: which of those that a verdict names, for how long, and when they are back. Times are
 * what is left of them as of the record's writing, and go on below 0: an instance that is back is remembered for as long as it was
 * out, so that it is out for twice as long if it fails again.
 *
 * At most half of the registered instances are out at a time, counted with the one that is to go. Their time stands still while the
 * circuit turns all calls away: nothing is learnt of them, and the way back is not to lead over those that made it open. It goes on
 * where calls get through all the same: while an operator has a say, and once nobody writes the record any more (the store is away).
 */
import { without } from './counts.js';
import type { ClusterRecord, Ejection, Situation } from './model.js';
import { faultOf } from './thresholds.js';

const EJECT_MAX_MS = 60_000;
const EJECTED_SHARE_MAX = 0.5;
const EJECTIONS_MAX = 64;
const TIMES_MAX = 1_000;
/** An open record is written anew each 5 s, by whoever's turn it is: one that is older is no longer kept. */
const UNWRITTEN_MS = 15_000;
/** Of the agents that called: one alone may be at fault itself. */
const WITNESSES = 2;

type Standing = Pick<ClusterRecord, 'state' | 'override'>;

/** As they are after so long; those that were back for as long as they were out are forgotten. */
export function aged(
  ejections: readonly Ejection[],
  elapsedMs: number,
  { spec }: Pick<Situation, 'spec'>,
): readonly Ejection[] {
  return ejections
    .map((each) => ({ ...each, leftMs: Math.round(each.leftMs - elapsedMs) }))
    .filter(({ leftMs, times }) => leftMs > -outMs(spec.openForMs, times));
}

/** How much of their time has gone by, of a record that was written so long ago. */
export function servedMs({ state, override }: Standing, elapsedMs: number): number {
  const shut = (state === 'open' || state === 'half-open') && override === undefined;
  return shut ? Math.max(0, elapsedMs - UNWRITTEN_MS) : elapsedMs;
}

/** Endpoints that are out, of a record that was written so long ago. */
export function endpointsOut(
  record: Standing & Pick<ClusterRecord, 'ejections'>,
  elapsedMs: number,
): string[] {
  const served = servedMs(record, elapsedMs);
  return record.ejections.filter(({ leftMs }) => leftMs > served).map(({ endpoint }) => endpoint);
}

/**
 * Of a circuit on its way back that fails: instances that fail two agents where all others did not fail once, at most half of them. A
 * few calls say it, since nothing but probes and the calls of the ramp got through, and the alternative is to turn all calls away
 * again for what one instance does.
 */
export function failingAlone(
  { spec, view, endpoints, ejected = [] }: Situation,
  sinceMs: number,
): readonly string[] {
  const span = view.spans.findLast(({ ms }) => ms <= sinceMs) ?? view.spans[0];
  const registered = new Set(endpoints);
  const out = new Set(ejected.filter((each) => registered.has(each)));
  const sick = (span?.endpoints ?? [])
    .filter(({ name, over }) => registered.has(name) && !out.has(name) && over >= WITNESSES)
    .filter((each) => faultOf(spec, each) !== undefined)
    .map(({ name }) => name);
  if (!span || sick.length === 0 || sick.length + out.size > EJECTED_SHARE_MAX * registered.size) return [];
  const rest = without(span, new Set([...out, ...sick]));
  return rest.calls > 0 && rest.failed === 0 && rest.slow === 0 ? sick : [];
}

/** With those of `wanted` that may go; undefined: none may. `ejections` as they are now. */
export function withEjected(
  ejections: readonly Ejection[],
  wanted: readonly string[],
  situation: Situation,
): readonly Ejection[] | undefined {
  const { spec, endpoints } = situation;
  const registered = new Set(endpoints);
  const known = new Map(ejections.map((each) => [each.endpoint, each]));
  let out = ejections.filter(({ endpoint, leftMs }) => leftMs > 0 && registered.has(endpoint)).length;
  let changed = false;
  for (const endpoint of wanted) {
    const before = known.get(endpoint);
    if (!registered.has(endpoint) || (before && !failsAnew(before, situation))) continue;
    if (out + 1 > EJECTED_SHARE_MAX * registered.size || known.size >= EJECTIONS_MAX) break;
    const times = Math.min((before?.times ?? 0) + 1, TIMES_MAX);
    known.set(endpoint, { endpoint, leftMs: outMs(spec.openForMs, times), times });
    out++;
    changed = true;
  }
  return changed ? [...known.values()] : undefined;
}

/** It is back, and has failed since: what the window still holds of the time before doesn't count twice. */
function failsAnew({ endpoint, leftMs }: Ejection, { spec, view }: Situation): boolean {
  const backMs = -leftMs;
  return view.spans.some(
    ({ ms, endpoints }) =>
      ms <= backMs &&
      endpoints.some((group) => group.name === endpoint && faultOf(spec, group) !== undefined),
  );
}

function outMs(openForMs: number, times: number): number {
  return Math.min(openForMs * 2 ** (times - 1), Math.max(EJECT_MAX_MS, openForMs));
}
