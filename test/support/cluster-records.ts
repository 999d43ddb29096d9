/**
 * Records, views and occasions of the mesh's circuits for tests: the healthy default, changed where a test says so.
 */
import type { ClusterRecord, Counts, Demand, Situation, Span, View } from '../../core/coordination/model.js';
import type { Occasion } from '../../core/coordination/transition.js';
import { circuitSpec } from './specs.js';

export const inventory = 'inventory|inventory-default';
export const source = { policy: 'inventory-default', revision: 7 };

export function clusterRecord(changes: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    id: inventory,
    state: 'closed',
    epoch: 4,
    seq: 9,
    ageMs: 0,
    openMs: 5_000,
    openings: 1,
    step: 0,
    permits: [],
    ejections: [],
    reason: 'a reason',
    policy: source,
    ...changes,
  };
}

/** Half-open with so many permits out, in turns of these agents. */
export function halfOpenRecord(
  count: number,
  agents: readonly string[] = ['checkout/1', 'checkout/2'],
): ClusterRecord {
  const permits = Array.from({ length: count }, (_, i) => ({
    permit: 4 * 256 + i,
    agent: agents[i % agents.length] as string,
  }));
  return clusterRecord({ state: 'half-open', permits, permitMs: 5_000 });
}

export function span(ms: number, counts: Partial<Counts>, changes: Partial<Span> = {}): Span {
  const all = { calls: 0, failed: 0, slow: 0, ...counts };
  return { ms, ...all, agents: 10, over: 0, heavy: [], zones: [], endpoints: [], ...changes };
}

/** A window of 2 s in which the same was heard in all its parts. */
export function viewOf(counts: Partial<Counts>, changes: Partial<View> = {}): View {
  const spans = [250, 500, 1_000, 2_000].map((ms) => span(ms, counts));
  return { spans, demand: [], blocked: 0, suspects: [], ...changes };
}

export function demandOf(...agents: readonly string[]): Demand[] {
  return agents.map((agent, i) => ({ agent, zone: i % 2 === 0 ? 'a' : 'b', blocked: 10 + i }));
}

type Changes = Partial<Omit<Occasion, 'situation'>> & { readonly situation?: Partial<Situation> };

/** Nothing is asked for, nothing was heard, agents report: what follows is what `changes` alone bring about. */
export function occasion({ situation = {}, ...changes }: Changes = {}): Occasion {
  return {
    situation: {
      id: inventory,
      spec: circuitSpec({ scope: 'cluster' }),
      source,
      view: viewOf({}),
      endpoints: [],
      frozen: '',
      silentMs: 0,
      ...situation,
    },
    zone: undefined,
    verdict: { kind: 'fine' },
    ageMs: 0,
    seq: 9,
    floor: 0,
    outcomes: new Map(),
    override: undefined,
    held: false,
    yields: false,
    shadow: false,
    refresh: false,
    random: { next: () => 0.5 },
    ...changes,
  };
}
