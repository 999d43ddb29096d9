/**
 * The description of this face for machines (/openapi.json) and for people (/docs). It is generated from the routes
 * themselves; the schema of a policy is the parser's own. The page brings its assets along and asks nobody else for anything.
 */
import { createRequire } from 'node:module';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { policyJsonSchema } from '../../core/policy/index.js';
import type { App } from './context.js';
import { jsonSchemaOf, operation, problemSchema } from './operation.js';

const about = `Policies go in, reach every agent, and come back as status.

A write is one atomic step and answers the revision it made. \`If-Match: "7"\` writes only over revision 7, \`If-None-Match: *\`
only what does not exist; otherwise 412 with the present revision. \`Idempotency-Key\` makes a repeated request one write. While the
store is away reads are answered from memory with the header \`switchgear-stale: true\`, and writes get 503.

Every answer comes as JSON or YAML, by \`Accept\`. Every error is a problem document (RFC 9457) with a \`code\`.`;

/** Before the routes: collects them as they are registered. */
export async function collectOperations(app: App, version: string): Promise<void> {
  app.addSchema({ $id: 'Problem', ...jsonSchemaOf(problemSchema) });
  app.addSchema({ ...policyJsonSchema(), $id: 'Policy' });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Switchgear', version, description: about, license: { name: 'Apache-2.0' } },
      tags: [
        { name: 'policies', description: 'Documents, their history and how far they have come' },
        { name: 'mesh', description: 'Services, agents, circuits' },
        { name: 'events', description: 'What happened, and who did it' },
        { name: 'operation', description: 'Health, metrics and this page' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, i) => String($id ?? `schema-${i}`) },
    // A wildcard is how an id may contain slashes; readers see a parameter.
    transform: ({ schema, url, route }) => ({
      schema,
      url: route.config?.shownAs ?? url.replace(/\/\*$/, '/{id}'),
    }),
  });
}

/** After the routes. */
export async function openapiRoutes(app: App): Promise<void> {
  app.get(
    '/openapi.json',
    operation({
      access: 'open',
      tag: 'operation',
      summary: 'This description',
      answer: { type: 'object' },
      answerTypes: ['application/json'],
    }),
    (_request, reply) => reply.type('application/json; charset=utf-8').send(JSON.stringify(app.swagger())),
  );
  await app.register(async (scope) => {
    // The page says nothing about the mesh, and a browser can't send a token with its first request: it asks for one itself.
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: 'open' };
    });
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      uiConfig: { deepLinking: true, validatorUrl: null },
      staticCSP: pagePolicy,
    });
  });
}

const pagePolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'";

/** The version of this package, from its own package.json, wherever the build put this file. */
export function packageVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = require(path) as { name?: string; version?: string };
      if (name === 'switchgear' && version !== undefined) return version;
    } catch {
      // Not at this depth: source and build differ by one directory.
    }
  }
  return '0.0.0';
}
