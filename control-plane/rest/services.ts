/**
 * GET /v1/services: who is there to be called, from the registry, and who calls them. A service is listed while it has live
 * instances or is known to call somebody. A lease outlives its stream by up to a minute; `connected` tells the two apart.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import type { Mirror } from '../ports.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readPath, readQuery, textParameter } from './parameters.js';
import { isoTime } from './present.js';

const instanceAnswer = z.object({
  id: z.string().describe('<service>/<instance>'),
  instance: z.string(),
  address: z.string().describe('host:port'),
  protocol: z.string(),
  zone: z.string(),
  version: z.string(),
  weight: z.number(),
  ejected: z
    .boolean()
    .describe(
      'true: circuits of the mesh have taken it out of discovery for a while, since calls to it fail',
    ),
  lease: z.object({
    since: z.string().describe('ISO 8601'),
    replica: z.string().describe('which holds its stream'),
    connected: z.boolean().describe('false: the stream has ended, the lease runs out within a minute'),
  }),
});

export const serviceAnswer = z.object({
  service: z.string(),
  instances: z.array(instanceAnswer),
  health: z
    .object({ calls: z.int(), failed: z.int(), slow: z.int(), rejected: z.int() })
    .describe('calls to it over the last 10 s, as its callers report them'),
  callees: z.array(z.string()).describe('names that its instances have used'),
});

export const servicesAnswer = z.object({ services: z.array(serviceAnswer) });

const path = z.strictObject({ name: textParameter('the name of a service') });
const noQuery = z.strictObject({});

export function serviceRoutes(app: App, { mirror, roster, circuits }: RestContext): void {
  const about = async (names: readonly string[]) => {
    const connected = new Set((await roster.agents()).map(({ agent }) => agent));
    return names.map((service) => describe(service, connected));
  };

  const describe = (service: string, connected: ReadonlySet<string>): z.infer<typeof serviceAnswer> => ({
    service,
    instances: mirror
      .instances(service)
      .map(({ service: _, boot: _boot, registeredAt, replica, ...rest }) => ({
        ...rest,
        ejected: circuits.ejected(service).has(rest.address),
        lease: { since: isoTime(registeredAt), replica, connected: connected.has(rest.id) },
      })),
    health: roster.health(service),
    callees: [...(mirror.interests().get(service) ?? [])].sort(),
  });

  app.get(
    '/v1/services',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'All services',
      query: noQuery,
      answer: servicesAnswer,
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      return answer(request, reply, { services: await about(serviceNames(mirror)) });
    },
  );

  app.get(
    '/v1/services/:name',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'One service',
      path,
      query: noQuery,
      answer: serviceAnswer,
      problems: [404],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { name } = readPath(path, request);
      if (!isKnown(mirror, name))
        throw new MeshError('not_found', `no instance of ${name} is registered, and none calls anybody`);
      const [service] = await about([name]);
      return answer(request, reply, service ?? {});
    },
  );
}

function isKnown(mirror: Mirror, name: string): boolean {
  return mirror.instances(name).length > 0 || mirror.interests().has(name);
}

function serviceNames(mirror: Mirror): string[] {
  const live = [...mirror.services()].filter(([, instances]) => instances.length > 0).map(([name]) => name);
  return [...new Set([...live, ...mirror.interests().keys()])].sort();
}
