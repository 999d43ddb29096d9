/**
 * GET /v1/explain: what holds for calls from one service to another, field by field, and why; with what the agents concerned can't
 * or won't do with it. The explanation itself is the core's; the agents come from the roster, and what they do is told by groups.
 */
import { z } from 'zod';
import { explain, PolicyIndex } from '../../core/policy/index.js';
import { methodPattern, serviceNamePattern } from '../../core/policy/names.js';
import type { AgentRow } from '../ports.js';
import { groupsAnswer, judge, keeps } from './abilities.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readQuery } from './parameters.js';
import { reachOf } from './rollout.js';
import { Known, strangers } from './strangers.js';

const source = { policy: z.string(), revision: z.int() };

export const explainAnswer = z.object({
  to: z.string(),
  from: z.string().optional(),
  method: z.string().optional(),
  matches: z
    .array(
      z.object({
        ...source,
        match: z.object({ to: z.string(), from: z.string().optional(), method: z.string().optional() }),
        mode: z.enum(['enforce', 'shadow', 'off']),
        priority: z.number(),
        gives: z.array(z.string()).describe('sections'),
        removes: z.array(z.string()).describe('sections that it sets to null'),
      }),
    )
    .describe('from general to specific: a later one replaces the sections of those before it'),
  fields: z.array(
    z.object({
      path: z.string().describe('below spec'),
      value: z.unknown(),
      default: z.boolean().describe('true: the policy gives the section and leaves the field to its default'),
      ...source,
    }),
  ),
  conflicts: z
    .array(z.object({ path: z.string(), message: z.string(), policies: z.array(z.string()) }))
    .describe('contradictions that no document has by itself'),
  notes: z.array(z.object({ kind: z.string(), message: z.string() })),
  refused: z
    .array(z.object({ agent: z.string(), ...source, reason: z.string(), keeps }))
    .describe('policies among these that connected agents refuse'),
  agents: groupsAnswer,
});

const nameFault =
  'must be the name of a service: 1 to 128 of A-Z a-z 0-9 . _ : - that begin with a letter or digit';
const methodFault = 'must be a method as package.Service/Method';

const query = z.strictObject({
  to: z
    .string({ error: nameFault })
    .regex(serviceNamePattern, { error: nameFault })
    .describe('callee or guard resource'),
  from: z
    .string({ error: nameFault })
    .regex(serviceNamePattern, { error: nameFault })
    .optional()
    .describe('caller'),
  method: z
    .string({ error: methodFault })
    .regex(methodPattern, { error: methodFault })
    .optional()
    .describe('package.Service/Method'),
});

export function explainRoutes(app: App, { mirror, roster, clock }: RestContext): void {
  app.get(
    '/v1/explain',
    operation({
      access: 'viewer',
      tag: 'policies',
      summary: 'What holds for a call, field by field, and why',
      query,
      answer: explainAnswer,
    }),
    async (request, reply) => {
      const asked = readQuery(query, request);
      const all = await roster.agents();
      const agents = concerned(all, asked);
      const index = new PolicyIndex([...mirror.policiesTo('*'), ...mirror.policiesTo(asked.to)]);
      const matching = index.matching(asked);
      const judged = await judge(agents, matching, mirror, clock.wallNow());
      const explanation = explain(index, asked, judged.able, (entry) => reachOf(entry, agents));
      const names = new Set(matching.map(({ policy }) => policy.name));
      const refused = agents.flatMap((row) =>
        row.refused
          .filter(({ policy }) => names.has(policy))
          .map((refusal) => ({
            agent: row.agent,
            ...refusal,
            ...keptOf(judged.keeps(row.agent, refusal.policy)),
          })),
      );
      const unknown = strangers(asked, new Known(mirror, all)).map((message) => ({
        kind: 'unknown',
        message,
      }));
      const assumed = agents.length > 0 || matching.length === 0 ? [] : [nobody];
      return answer(request, reply, {
        ...explanation,
        notes: [...unknown, ...assumed, ...explanation.notes],
        refused,
        agents: judged.groups,
      });
    },
  );
}

/** The agents that make such calls: those of the caller, or whoever calls it. */
function concerned(
  agents: readonly AgentRow[],
  { from, to }: { from?: string | undefined; to: string },
): AgentRow[] {
  return agents.filter((agent) => (from === undefined ? agent.callees.includes(to) : agent.service === from));
}

const nobody = {
  kind: 'assumed',
  message:
    'no agent that makes such calls is connected: this is what one of the newest release would enforce',
};

function keptOf(kept: number | null | undefined): { keeps?: number | null } {
  return kept === undefined ? {} : { keeps: kept };
}
