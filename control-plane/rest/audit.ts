/** GET /v1/audit: who changed what and when, newest first, page by page. It is read from the store, so it is 503 without one. */
import { z } from 'zod';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { limitParameter, readQuery } from './parameters.js';
import { isoTime } from './present.js';

export const auditAnswer = z.object({
  entries: z.array(
    z.object({
      id: z.string(),
      at: z.string().describe('ISO 8601'),
      author: z.string().describe("a token's name, or anonymous"),
      action: z.string(),
      changes: z.array(z.object({ policy: z.string(), revision: z.int(), previous: z.int().nullable() })),
    }),
  ),
  next: z.string().nullable().describe('give it as `before` for the next page; null: this was the last'),
});

const query = z.strictObject({
  limit: limitParameter(1000, 100),
  before: z
    .string()
    .regex(/^\d{1,16}$/, { error: 'must be the `next` of the page before, or the id of an entry' })
    .describe('the `next` of the page before')
    .optional(),
});

export function auditRoutes(app: App, { mirror }: RestContext): void {
  app.get(
    '/v1/audit',
    operation({
      access: 'viewer',
      tag: 'events',
      summary: 'Who changed what',
      query,
      answer: auditAnswer,
      problems: [503],
    }),
    async (request, reply) => {
      const { limit, before } = readQuery(query, request);
      const entries = await mirror.audit({ limit, ...(before === undefined ? {} : { before }) });
      return answer(request, reply, {
        entries: entries.map(({ id, at, author, action, changes }) => ({
          id,
          at: isoTime(at),
          author,
          action,
          changes: changes.map(({ name, revision, previous }) => ({ policy: name, revision, previous })),
        })),
        next: entries.length < limit ? null : (entries.at(-1)?.id ?? null),
      });
    },
  );
}
