/**
 * GET /v1/agents: who is connected, to which replica, and how far the policies have come with each. An id is
 * `<service>/<instance>`, so its path is a wildcard: both `checkout/a1` and `checkout%2Fa1` mean the same.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readPath, readQuery, textParameter } from './parameters.js';
import { agentRollouts, rolloutsOf } from './rollout.js';

export const agentAnswer = z.object({
  agent: z.string().describe('<service>/<instance>'),
  service: z.string(),
  instance: z.string(),
  zone: z.string(),
  version: z.string(),
  replica: z.string().describe('that holds its stream'),
  protocol: z.string(),
  capabilities: z.array(z.string()).describe('sections of a policy that it can enforce'),
  callees: z.array(z.string()),
  dataset: z.string(),
  sent: z.int().describe('revision up to which it was sent everything of its interest'),
  acked: z.int(),
  applied: z.int(),
  staleMs: z.number().describe('how long the oldest push has waited for its acknowledgement; 0: up to date'),
  connectedMs: z.number(),
  refused: z.array(z.object({ policy: z.string(), revision: z.int(), reason: z.string() })),
  rollouts: agentRollouts,
});

export const agentsAnswer = z.object({ agents: z.array(agentAnswer) });

const listQuery = z.strictObject({
  service: textParameter('the name of a service').optional().describe('only agents of this service'),
});
const noQuery = z.strictObject({});
const path = z.strictObject({ '*': textParameter('an agent as service/instance', 512) });
const shownPath = z.strictObject({ id: textParameter('an agent as service/instance', 512) });

export function agentRoutes(app: App, { mirror, roster }: RestContext): void {
  app.get(
    '/v1/agents',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'Connected agents',
      query: listQuery,
      answer: agentsAnswer,
    }),
    async (request, reply) => {
      const { service } = readQuery(listQuery, request);
      const agents = await roster.agents();
      const rollouts = rolloutsOf(mirror.policies());
      const asked = service === undefined ? agents : agents.filter((row) => row.service === service);
      return answer(request, reply, {
        agents: asked.map((row) => ({ ...row, rollouts: rollouts(row) })),
      });
    },
  );

  app.get(
    '/v1/agents/*',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'One agent',
      path: shownPath,
      query: noQuery,
      answer: agentAnswer,
      problems: [404],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { '*': id } = readPath(path, request);
      const agent = await roster.agent(id);
      if (!agent)
        throw new MeshError('not_found', `no agent ${id} is connected; an id reads <service>/<instance>`);
      return answer(request, reply, { ...agent, rollouts: rolloutsOf(mirror.policies())(agent) });
    },
  );
}
