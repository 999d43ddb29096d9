/** GET …/status: how far a policy's present revision has come: agents that apply it, have yet to, or refuse it and why. */
import { z } from 'zod';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { policyParameters, readPath, readQuery } from './parameters.js';
import { presentPolicy } from './present.js';

export const statusAnswer = z.object({
  policy: z.string(),
  revision: z.int(),
  agents: z.object({
    total: z.int(),
    applied: z.int(),
    pending: z.int(),
    refused: z.array(z.object({ agent: z.string(), reason: z.string() })),
  }),
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
      return answer(request, reply, await roster.status(presentPolicy(mirror, name)));
    },
  );
}
