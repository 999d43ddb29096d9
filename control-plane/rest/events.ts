/**
 * GET /v1/events: what happens, as server-sent events, from now on or, with `Last-Event-ID`, from where a reader was cut off. A
 * reader that doesn't keep up is cut once a quarter of a mebibyte waits for it: it comes back with its last id and misses nothing,
 * and nobody else notices. At most 256 readers; a comment every 15 s shows both sides that the other lives.
 */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import { eventTypes, type MeshEvent } from '../events.js';
import type { App, RestContext } from './context.js';
import { operation } from './operation.js';
import { readQuery } from './parameters.js';

const READERS_MAX = 256;
const WAITING_BYTES_MAX = 256 * 1024;
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2000;

const query = z.strictObject({
  types: z
    .string()
    .max(200)
    .optional()
    .describe(`only these, separated by commas: ${eventTypes.join(', ')}; all if it is left away`),
});

const headers = z.object({
  'last-event-id': z
    .string()
    .optional()
    .describe('the id of the last event that was read; what came after it follows'),
});

export function eventRoutes(app: App, context: RestContext): void {
  const readers = new Set<Readable>();
  const closing = new AbortController();

  app.get(
    '/v1/events',
    {
      ...operation({
        access: 'viewer',
        forms: [],
        tag: 'events',
        summary: 'What happens, as server-sent events',
        query,
        headers,
        answer: { type: 'string' },
        answerTypes: ['text/event-stream'],
        problems: [503],
      }),
      exposeHeadRoute: false,
    },
    async (request, reply) => {
      const types = readTypes(request);
      if (readers.size >= READERS_MAX)
        throw new MeshError('unavailable', `${READERS_MAX} readers follow the events already`, {
          retryAfterMs: 5000,
        });
      if (closing.signal.aborted) throw new MeshError('unavailable', 'this replica is stopping');
      const stream = follow(context, types, lastIdOf(request), closing.signal);
      readers.add(stream);
      stream.once('close', () => readers.delete(stream));
      return reply
        .type('text/event-stream; charset=utf-8')
        .headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
        .serializer((text: unknown) => text as string)
        .send(stream);
    },
  );

  // fastify waits for open answers when it closes; these would never end by themselves.
  app.addHook('preClose', async () => {
    closing.abort();
    for (const stream of readers) stream.push(null);
  });
}

/** One reader's stream: the past it missed, then the present, until it goes or falls behind. */
function follow(
  context: RestContext,
  types: ReadonlySet<string>,
  lastId: string | undefined,
  closing: AbortSignal,
): Readable {
  const { events, clock, telemetry } = context;
  const stream = new Readable({ read() {}, highWaterMark: WAITING_BYTES_MAX });
  stream.push(`retry: ${RETRY_MS}\n: ${context.mesh} by ${context.replica}\n\n`);
  if (lastId !== undefined) {
    const missed = events.since(lastId);
    if (missed) {
      for (const { type, frame } of missed) if (types.has(type)) stream.push(frame);
    } else stream.push(events.gap(lastId));
  }
  // What was missed is bounded by the memory of the hub and is owed to the reader; the bound is on what comes on top of it.
  const waitingMax = stream.readableLength + WAITING_BYTES_MAX;
  const write = (frame: string) => {
    if (stream.destroyed || closing.aborted) return;
    stream.push(frame);
    if (stream.readableLength <= waitingMax) return;
    telemetry.eventStreamCut();
    stream.destroy();
  };
  const stop = events.read(({ type, frame }: MeshEvent) => {
    if (types.has(type)) write(frame);
  });
  const heartbeat = clock.every(HEARTBEAT_MS, () => write(': alive\n\n'));
  stream.once('close', () => {
    stop();
    heartbeat.cancel();
  });
  return stream;
}

function lastIdOf({ headers }: FastifyRequest): string | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

function readTypes(request: FastifyRequest): ReadonlySet<string> {
  const { types } = readQuery(query, request);
  if (types === undefined) return new Set(eventTypes);
  const names = types.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !(eventTypes as readonly string[]).includes(name));
  if (wrong !== undefined)
    throw new MeshError('invalid_request', 'query.types holds a name that is no type of event', {
      issues: [{ path: 'query.types', message: `must be some of ${eventTypes.join(', ')}` }],
    });
  return new Set(names);
}
