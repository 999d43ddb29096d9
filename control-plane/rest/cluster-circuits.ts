/**
 * How a circuit of the mesh is shown: its state, why it is in it, what that was decided from and by whom, and when it goes on. What
 * an operator has said of it stands beside, since that may be said of any circuit.
 */
import { z } from 'zod';
import type { ClusterView, Override } from '../../core/coordination/contract.js';
import type { ClusterRecord, Span } from '../../core/coordination/model.js';

const count = z.int();
const counts = { calls: count, failed: count, slow: count };
const group = {
  ...counts,
  agents: count.describe('that had any'),
  over: count.describe("of them, over the policy's rates themselves"),
};

export const overrideShown = z.object({
  state: z.enum(['open', 'closed']),
  reason: z.string(),
  author: z.string().describe("a token's name, or anonymous"),
  ttlMs: z.int().nullable().describe('what is left of its time; null: until somebody says otherwise'),
});

export const clusterAnswer = z.object({
  state: z
    .enum(['closed', 'open', 'half-open', 'ramping'])
    .describe('what all agents are told; with an override, what would be without it'),
  epoch: count.describe('grows with each change of state'),
  reason: z.string().describe('why, with the figures that decided'),
  ageMs: count.describe('since it came into this state, or into this step of the ramp'),
  nextStepMs: count.nullable().describe('until it goes on by itself; null: it waits for something to happen'),
  step: count.describe('of cluster.ramp, from 0; 0 unless ramping'),
  openings: count.describe('in a row, without a healthy time between'),
  shadow: z.boolean().describe('true: its policy is in shadow, and no agent is told'),
  window: z
    .object({ ms: count, ...group, blocked: count.describe('calls that the circuit kept away') })
    .nullable()
    .describe('what all agents together reported over cluster.window; null: nothing'),
  reporters: z
    .array(z.object({ agent: z.string(), zone: z.string(), ...counts }))
    .describe('those with the most calls'),
  zones: z.array(z.object({ zone: z.string(), ...group })),
  endpoints: z.array(z.object({ endpoint: z.string(), ...group })).describe('most failures first'),
  suspects: z
    .array(z.string())
    .describe('agents over the rates while all others together are not: the fault may be their own'),
  permits: z
    .array(z.object({ agent: z.string(), outcome: z.enum(['pending', 'ok', 'failed', 'lost']) }))
    .describe('probes of this half-open period'),
  ejected: z
    .array(z.object({ endpoint: z.string(), leftMs: count, times: count }))
    .describe('instances taken out of discovery'),
});

export function showOverride(
  override: Override | undefined,
  now: number,
): z.infer<typeof overrideShown> | null {
  if (!override) return null;
  const { state, reason, author, endsAt } = override;
  return { state, reason, author, ttlMs: leftMs(endsAt, now) };
}

/** Of a decision's time, for people; null: it has no end. */
export function leftMs(endsAt: number, now: number): number | null {
  return Number.isFinite(endsAt) ? Math.max(0, Math.ceil(endsAt - now)) : null;
}

export function showCluster({
  record,
  ageMs,
  nextStepMs,
  view,
  shadow,
}: ClusterView): z.infer<typeof clusterAnswer> {
  const whole = view.spans.at(-1);
  const { state, epoch, reason, step, openings, permits } = record;
  return {
    ...{ state, epoch, reason, ageMs: Math.round(ageMs) },
    nextStepMs: Number.isFinite(nextStepMs) ? Math.max(0, Math.round(nextStepMs)) : null,
    ...{ step, openings, shadow },
    window: whole ? { ms: Math.round(whole.ms), ...groupOf(whole), blocked: view.blocked } : null,
    reporters: (whole?.heavy ?? []).map(({ agent, zone, calls, failed, slow }) => ({
      agent,
      zone,
      calls,
      failed,
      slow,
    })),
    zones: (whole?.zones ?? []).map((zone) => ({ zone: zone.name, ...groupOf(zone) })),
    endpoints: (whole?.endpoints ?? []).map((endpoint) => ({
      endpoint: endpoint.name,
      ...groupOf(endpoint),
    })),
    suspects: [...view.suspects],
    permits: permits.map(({ agent, outcome }) => ({ agent, outcome: outcome ?? ('pending' as const) })),
    ejected: ejectedOf(record),
  };
}

function groupOf({ calls, failed, slow, agents, over }: Omit<Span, 'ms' | 'heavy' | 'zones' | 'endpoints'>) {
  return { calls, failed, slow, agents, over };
}

/** The view has what is left of their time by now. */
function ejectedOf({ ejections }: ClusterRecord): z.infer<typeof clusterAnswer>['ejected'] {
  return ejections.map(({ endpoint, leftMs, times }) => ({ endpoint, leftMs: Math.round(leftMs), times }));
}
