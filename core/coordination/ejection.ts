/**
 * Instances that are taken out of discovery: which of those that a verdict names, for how long, and when they are back. Times are
 * what is left of them as of the record's writing, and go on below 0: an instance that is back is remembered for as long as it was
 * out, so that it is out for twice as long if it fails again.
 *
 * At most half of the registered instances are out at a time, counted with the one that is to go.
 */
import type { ClusterRecord, Ejection, Situation } from './model.js';
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

/** Endpoints that are out, of a record that was written so long ago. */
export function endpointsOut({ ejections }: Pick<ClusterRecord, 'ejections'>, elapsedMs: number): string[] {
  return ejections.filter(({ leftMs }) => leftMs > elapsedMs).map(({ endpoint }) => endpoint);
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
