/**
 * Instances that are taken out of discovery: which of those that a verdict names, for how long, and when they are back. Times are
 * what is left of them as of the record's writing, and go on below 0: an instance that is back is remembered for as long as it was
 * out, so that it is out for twice as long if it fails again.
 *
 * At most half of the registered instances are out at a time, counted with the one that is to go. Their time stands still while the
 * circuit turns all calls away: nothing is learnt of them, and the way back is not to lead over those that closed it.
 */
import type { ClusterRecord, Counts, Ejection, Situation, Span } from './model.js';
import { faultOf } from './thresholds.js';

const EJECT_MAX_MS = 60_000;
const EJECTED_SHARE_MAX = 0.5;
const EJECTIONS_MAX = 64;
const TIMES_MAX = 1_000;

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
export function servedMs({ state }: Pick<ClusterRecord, 'state'>, elapsedMs: number): number {
  return state === 'open' || state === 'half-open' ? 0 : elapsedMs;
}

/** Endpoints that are out, of a record that was written so long ago. */
export function endpointsOut(
  record: Pick<ClusterRecord, 'ejections' | 'state'>,
  elapsedMs: number,
): string[] {
  const served = servedMs(record, elapsedMs);
  return record.ejections.filter(({ leftMs }) => leftMs > served).map(({ endpoint }) => endpoint);
}

/** What the span is without these endpoints. */
export function without(span: Span, names: ReadonlySet<string>): Counts {
  return span.endpoints.filter(({ name }) => names.has(name)).reduce<Counts>(minus, span);
}

export function minus(all: Counts, part: Counts): Counts {
  return {
    calls: Math.max(0, all.calls - part.calls),
    failed: Math.max(0, all.failed - part.failed),
    slow: Math.max(0, all.slow - part.slow),
  };
}

/**
 * Of a circuit on its way back that fails: instances that fail where all others did not once, at most half of them. A few calls say
 * it, since the window began with the way back, and the alternative is to turn all calls away again for what one instance does.
 */
export function failingAlone(
  { spec, view, endpoints, ejected = [] }: Situation,
  sinceMs: number,
): readonly string[] {
  const span = view.spans.findLast(({ ms }) => ms <= sinceMs) ?? view.spans[0];
  const registered = new Set(endpoints);
  const out = new Set(ejected.filter((each) => registered.has(each)));
  const sick = (span?.endpoints ?? [])
    .filter((each) => registered.has(each.name) && !out.has(each.name) && faultOf(spec, each) !== undefined)
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
