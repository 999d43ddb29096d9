/**
 * A path that exists, asked with a method that it doesn't have: 405 with `Allow`, rather than a 404 that sends people looking for
 * a typing error. Routes are noted as they are registered; the missing methods are filled in when all are there.
 */
import type { RouteOptions } from 'fastify';
import { MeshError } from '../../core/errors.js';
import type { App } from './context.js';

const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'] as const;

/** Call before the first route; answers what to call after the last. */
export function noteMethods(app: App): () => void {
  const known = new Map<string, Set<string>>();
  let complete = false;
  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    if (complete) return;
    const taken = known.get(url) ?? new Set();
    known.set(url, taken);
    for (const one of [method].flat()) taken.add(one);
  });
  return () => {
    complete = true;
    for (const [url, taken] of known) refuseOthers(app, url, taken);
  };
}

function refuseOthers(app: App, url: string, taken: ReadonlySet<string>): void {
  const allow = [...taken].join(', ');
  app.route({
    method: methods.filter((method) => !taken.has(method)),
    url,
    config: { access: 'viewer' },
    schema: { hide: true },
    // In a hook before the body: nobody reads a megabyte for it.
    onRequest: async (request, reply) => {
      reply.header('allow', allow);
      throw new MeshError('method_not_allowed', `${request.method} is not for this; it takes ${allow}`);
    },
    handler: async () => undefined,
  });
}
