/**
 * Reporters of a circuit, for tests of windows and decisions: what they say at one time, and the view that follows from it.
 */
import { verdict } from '../../core/coordination/decision.js';
import type { Heard, Situation, Verdict, View } from '../../core/coordination/model.js';
import { CircuitWindow } from '../../core/coordination/window.js';
import type { CircuitSpec } from '../../core/policy/model.js';
import { circuitSpec } from './specs.js';

/** What an agent says, ten good calls unless a test says otherwise. */
export function heard(agent: string, changes: Partial<Heard> = {}): Heard {
  return { agent, zone: '', endpoint: '', calls: 10, failed: 0, slow: 0, blocked: 0, ...changes };
}

export function reporters(count: number, changes: Partial<Heard> = {}, from = 0): Heard[] {
  return Array.from({ length: count }, (_, i) => heard(`checkout/c-${from + i}`, changes));
}

/** As a window sees them that heard all of it at once. */
export function viewOf(all: readonly Heard[], spec: CircuitSpec = circuitSpec()): View {
  const window = new CircuitWindow(spec.cluster.windowMs);
  for (const each of all) window.record(each, 0);
  return window.view(spec, 0);
}

export function situationOf(all: readonly Heard[], changes: Partial<Situation> = {}): Situation {
  const spec = changes.spec ?? circuitSpec();
  return {
    id: 'inventory|inventory-default',
    spec,
    source: { policy: 'inventory-default', revision: 7 },
    view: viewOf(all, spec),
    endpoints: [],
    frozen: '',
    silentMs: 0,
    ...changes,
  };
}

export const addresses = Array.from({ length: 10 }, (_, i) => `10.0.0.${i}:80`);

/** What these reporters come to. */
export function judged(all: readonly Heard[], changes: Parameters<typeof situationOf>[1] = {}): Verdict {
  return verdict(situationOf(all, changes));
}

/** Every caller has called every endpoint; those before `sick` fail. */
export function spread(callers: number, sick: number, calls = 2, endpoints = addresses): Heard[] {
  return reporters(callers).flatMap((each) =>
    endpoints.map((endpoint, i) => ({ ...each, endpoint, calls, failed: i < sick ? calls : 0 })),
  );
}
