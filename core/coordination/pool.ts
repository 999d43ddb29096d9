/**
 * The views of several replicas as one, and what one agent may weigh in it. An agent has one stream, so replicas tell of different
 * agents and their figures add up; one that moves from one replica to another is for a moment in both.
 *
 * An agent counts for at most 20 % of the calls, or for an equal part where there are fewer than five: its calls are cut to the
 * largest number that is no more than that share of what is left after cutting, and its failures with them. More than five can't be
 * above it, so the heavy ones of a view are all that it takes.
 */
import {
  type Counts,
  DEMAND_MAX,
  type Demand,
  ENDPOINTS_MAX,
  type Group,
  HEAVY_MAX,
  type Heavy,
  type NamedGroup,
  type Span,
  type View,
  ZONES_MAX,
} from './model.js';
import { byBlocked, byCalls, byFailed, byWeight, first } from './top.js';
import { SUSPECTS_MAX } from './window.js';

const SHARE_MAX = 0.2;

/** The first is this replica's own: others whose spans have other lengths (the policy has just changed) are left out. */
export function pool(views: readonly View[]): View {
  const own = views[0];
  if (!own) return { spans: [], demand: [], blocked: 0, suspects: [] };
  const alike = views.filter(
    ({ spans }) => spans.length === own.spans.length && spans.every(({ ms }, i) => ms === own.spans[i]?.ms),
  );
  const demand = merged(
    alike.flatMap((view) => view.demand),
    (each) => each.agent,
    (a: Demand, b) => ({ ...a, blocked: a.blocked + b.blocked }),
  );
  return {
    spans: own.spans.map(({ ms }, i) =>
      pooled(
        ms,
        alike.flatMap(({ spans }) => spans[i] ?? []),
      ),
    ),
    demand: first(demand, byBlocked, DEMAND_MAX),
    blocked: alike.reduce((sum, view) => sum + view.blocked, 0),
    suspects: [...new Set(alike.flatMap((view) => view.suspects))].slice(0, SUSPECTS_MAX),
  };
}

/** With each agent cut down to the share that one may have. Fractions, since failed and slow shrink with the calls. */
export function winsorised(group: Group & Pick<Span, 'heavy'>): Counts {
  const { calls, failed, slow } = group;
  const heavy = [...group.heavy].sort(byWeight);
  const most = largest(group, heavy);
  const sum = { calls, failed, slow };
  for (const each of heavy) {
    if (each.calls <= most) break;
    const kept = most / each.calls;
    sum.calls -= each.calls - most;
    sum.failed -= each.failed * (1 - kept);
    sum.slow -= each.slow * (1 - kept);
  }
  return { calls: sum.calls, failed: Math.max(0, sum.failed), slow: Math.max(0, sum.slow) };
}

/** What the heaviest are cut to: the largest c that is at most the share of Σ min(calls of one, c). */
function largest({ calls, agents }: Group, heavy: readonly Heavy[]): number {
  const known = heavy.reduce((sum, each) => sum + each.calls, 0);
  // In two replicas at a time it was counted twice.
  const distinct = known < calls ? Math.max(agents, heavy.length) : heavy.length;
  const share = Math.max(SHARE_MAX, 1 / Math.max(1, distinct));
  let rest = calls;
  for (let cut = 0; cut < heavy.length; cut++) {
    const next = (heavy[cut] as Heavy).calls;
    // With `cut` of them at c: c = share × (cut × c + rest).
    const room = 1 - share * cut;
    if (room <= Number.EPSILON * HEAVY_MAX) return (heavy[cut - 1] as Heavy).calls;
    const most = (share * rest) / room;
    if (next <= most) return cut === 0 ? next : most;
    rest -= next;
  }
  const room = 1 - share * heavy.length;
  if (heavy.length > 0 && room <= Number.EPSILON * HEAVY_MAX) return (heavy.at(-1) as Heavy).calls;
  return (share * rest) / room;
}

function pooled(ms: number, spans: readonly Span[]): Span {
  const heavy = merged(
    spans.flatMap((span) => span.heavy),
    (each) => each.agent,
    (a: Heavy, b) => ({ ...a, ...added(a, b) }),
  );
  const all = spans.reduce(grouped, { calls: 0, failed: 0, slow: 0, agents: 0, over: 0 } as Group);
  return {
    ms,
    ...all,
    heavy: first(heavy, byWeight, HEAVY_MAX),
    zones: first(byName(spans.flatMap((span) => span.zones)), byCalls, ZONES_MAX),
    endpoints: first(byName(spans.flatMap((span) => span.endpoints)), byFailed, ENDPOINTS_MAX),
  };
}

function byName(groups: readonly NamedGroup[]): Iterable<NamedGroup> {
  return merged(
    groups,
    (each) => each.name,
    (a, b) => ({ name: a.name, ...grouped(a, b) }),
  );
}

function merged<T>(all: readonly T[], key: (item: T) => string, together: (a: T, b: T) => T): Iterable<T> {
  const found = new Map<string, T>();
  for (const item of all) {
    const known = found.get(key(item));
    found.set(key(item), known === undefined ? item : together(known, item));
  }
  return found.values();
}

function added(a: Counts, b: Counts): Counts {
  return { calls: a.calls + b.calls, failed: a.failed + b.failed, slow: a.slow + b.slow };
}

function grouped(a: Group, b: Group): Group {
  return { ...added(a, b), agents: a.agents + b.agents, over: a.over + b.over };
}
