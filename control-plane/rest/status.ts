/** GET …/status: how far a policy's present revision has come: agents that apply it, have yet to, or refuse it and why. */
import { z } from 'zod';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { policyParameters, readPath, readQuery } from './parameters.js';
import { presentPolicy } from './present.js';
import { rolloutAnswer, rolloutStatus } from './rollout.js';

export const statusAnswer = z.object({
  policy: z.string(),
  revision: z.int(),
  agents: z.object({
    total: z.int(),
    applied: z.int(),
    pending: z.int(),
    refused: z.array(z.object({ agent: z.string(), reason: z.string() })),
  }),
  rollout: rolloutAnswer.optional().describe('while it is below 100 percent'),
});

const noQuery = z.strictObject({});

export function statusRoutes(app: App, { mirror, roster }: RestContext): void {
  app.get(
    '/v1/policies/:name/status',
    operation({
      access: 'viewer',
      tag: 'policies',
      summary: 'How far a policy has come',
      path: policyParameters,
      query: noQuery,
      answer: statusAnswer,
      problems: [404],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { name } = readPath(policyParameters, request);
      const entry = presentPolicy(mirror, name);
      const status = await roster.status(entry);
      const rollout = rolloutStatus(mirror, entry, await roster.agents());
      return answer(request, reply, rollout ? { ...status, rollout } : status);
    },
  );
}
