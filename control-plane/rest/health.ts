/**
 * The questions of machines: alive (/healthz), to be sent agents (/readyz), figures (/metrics). A store that is away does not
 * make a replica unready: reads and streams go on from memory, and taking every replica out would end what still works.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import type { App, RestContext } from './context.js';
import { operation } from './operation.js';

const healthAnswer = z.object({ status: z.literal('ok') });

export const readyAnswer = z.object({
  status: z.literal('ready'),
  mesh: z.string(),
  replica: z.string(),
  store: z.object({ up: z.boolean(), reason: z.string() }),
});

export function operationRoutes(app: App, context: RestContext): void {
  const { mesh, replica, mirror, telemetry, unreadyReason } = context;
  const open = { access: 'open', tag: 'operation', answerTypes: ['application/json'] } as const;

  app.get(
    '/healthz',
    operation({ ...open, summary: 'Whether this process lives', answer: healthAnswer }),
    async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }),
  );

  app.get(
    '/readyz',
    operation({
      ...open,
      summary: 'Whether this replica takes agents',
      answer: readyAnswer,
      problems: [503],
    }),
    async (_request, reply) => {
      const reason = unreadyReason();
      if (reason !== '') throw new MeshError('unavailable', reason);
      return reply
        .header('cache-control', 'no-store')
        .send({ status: 'ready', mesh, replica, store: mirror.health });
    },
  );

  app.get(
    '/metrics',
    operation({
      access: 'viewer',
      tag: 'operation',
      summary: 'Figures for Prometheus',
      answer: { type: 'string' },
      answerTypes: ['text/plain'],
    }),
    async (_request, reply) => {
      const { contentType, text } = await telemetry.scrape();
      return reply.type(contentType).send(text);
    },
  );
}
