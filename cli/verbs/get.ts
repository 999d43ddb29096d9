/**
 * `switchgear get policies|services|agents|circuits [name]`: what is there, as a table; with a name, that one in detail. Agents and
 * circuits also go by the name of their service or callee: all of that one. With `--json` it is the control plane's own answer,
 * of which only those are left.
 */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { z } from 'zod';
import type { agentAnswer, agentsAnswer } from '../../control-plane/rest/agents.js';
import type { policiesAnswer } from '../../control-plane/rest/policies.js';
import type { serviceAnswer, servicesAnswer } from '../../control-plane/rest/services.js';
import { MeshError } from '../../core/errors.js';
import { showCircuits } from '../circuit-tables.js';
import { type Context, noteStale, remoteVerb } from '../context.js';
import { type Column, count, duration, type Output, printable } from '../output.js';
import type { RestClient } from '../rest-client.js';
import { usage } from '../settings.js';

type Agent = z.infer<typeof agentAnswer>;
type PolicyRow = z.infer<typeof policiesAnswer>['policies'][number];
type Service = z.infer<typeof serviceAnswer>;

type Show = (ask: { client: RestClient; output: Output }, name: string | undefined) => Promise<void>;

const kinds: Record<string, Show> = {
  policies: showPolicies,
  services: showServices,
  agents: showAgents,
  circuits: showCircuits,
};

/** One of them is asked for by its own word as well. */
const plurals: Record<string, string> = {
  policy: 'policies',
  service: 'services',
  agent: 'agents',
  circuit: 'circuits',
};

const names = Object.keys(kinds).join(', ');

export function getVerb(context: Context): Command {
  return remoteVerb(context, {
    name: 'get',
    about: `show what is there: ${names}`,
    arguments: [
      ['<what>', names],
      ['[name]', 'only this one, in detail; agents of a service, circuits of a callee'],
    ],
    run: async (ask, what = '', name) => {
      const kind = Object.hasOwn(plurals, what) ? (plurals[what] ?? what) : what;
      const show = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
      if (!show) throw usage(`get does not know '${what}'. Use one of ${names}.`);
      await show(ask, name);
      return undefined;
    },
  });
}

async function showPolicies(
  { client, output }: Parameters<Show>[0],
  name: string | undefined,
): Promise<void> {
  if (name !== undefined) {
    const { body, revision, stale } = await client.ask<object>(`/v1/policies/${encodeURIComponent(name)}`);
    noteStale(output, stale);
    return output.answer(body, () => `${output.paint('dim', `# revision ${revision}`)}\n${stringify(body)}`);
  }
  const { body, stale } = await client.ask<z.infer<typeof policiesAnswer>>('/v1/policies');
  noteStale(output, stale);
  output.answer(body, () =>
    body.policies.length === 0
      ? 'no policies: nothing is enforced; write some with "switchgear apply -f FILE"'
      : output.table(policyColumns, body.policies),
  );
}

const policyColumns: readonly Column<PolicyRow>[] = [
  { title: 'policy', value: ({ policy }) => policy },
  { title: 'revision', value: ({ revision }) => revision, right: true },
  {
    title: 'mode',
    value: ({ mode }) => mode,
    colour: ({ mode }) => (mode === 'enforce' ? undefined : mode === 'off' ? 'dim' : 'yellow'),
  },
  { title: 'from', value: ({ match }) => match.from ?? '*' },
  { title: 'to', value: ({ match }) => match.to },
  { title: 'method', value: ({ match }) => match.method ?? '*' },
  { title: 'sections', value: ({ document }) => Object.keys(Object(document.spec)).join(' ') },
];

async function showServices(
  { client, output }: Parameters<Show>[0],
  name: string | undefined,
): Promise<void> {
  if (name !== undefined) {
    const { body, stale } = await client.ask<Service>(`/v1/services/${encodeURIComponent(name)}`);
    noteStale(output, stale);
    return output.answer(body, () =>
      [
        `${output.paint('bold', body.service)}: ${count(body.instances.length, 'instance')}, ${healthOf(body)}`,
        `calls ${body.callees.join(', ') || 'nobody'}`,
        ...(body.instances.length > 0 ? ['', output.table(instanceColumns, body.instances)] : []),
      ].join('\n'),
    );
  }
  const { body, stale } = await client.ask<z.infer<typeof servicesAnswer>>('/v1/services');
  noteStale(output, stale);
  output.answer(body, () =>
    body.services.length === 0
      ? 'no services: none has connected yet'
      : output.table(serviceColumns, body.services),
  );
}

function healthOf({ health: { calls, failed, rejected } }: Service): string {
  return `${count(calls, 'call')} in 10 s, ${failed} failed, ${rejected} rejected`;
}

/** `3`, or `3 (1 gone)`: a lease outlives its stream for a while. */
function instancesOf({ instances }: Service): string {
  const gone = instances.filter(({ lease }) => !lease.connected).length;
  return gone === 0 ? String(instances.length) : `${instances.length} (${gone} gone)`;
}

const serviceColumns: readonly Column<Service>[] = [
  { title: 'service', value: ({ service }) => service },
  {
    title: 'instances',
    value: instancesOf,
    colour: ({ instances }) =>
      instances.every(({ lease }) => lease.connected) && instances.length > 0 ? undefined : 'yellow',
    right: true,
  },
  { title: 'calls/10s', value: ({ health }) => health.calls, right: true },
  {
    title: 'failed',
    value: ({ health }) => health.failed,
    colour: ({ health }) => (health.failed > 0 ? 'red' : undefined),
    right: true,
  },
  {
    title: 'rejected',
    value: ({ health }) => health.rejected,
    colour: ({ health }) => (health.rejected > 0 ? 'yellow' : undefined),
    right: true,
  },
  { title: 'calls', value: ({ callees }) => callees.join(' ') || '-' },
];

const instanceColumns: readonly Column<Service['instances'][number]>[] = [
  { title: 'instance', value: ({ instance }) => instance },
  { title: 'address', value: ({ address }) => address },
  { title: 'protocol', value: ({ protocol }) => protocol },
  { title: 'version', value: ({ version }) => version || '-' },
  { title: 'zone', value: ({ zone }) => zone || '-' },
  { title: 'replica', value: ({ lease }) => lease.replica },
  {
    title: 'stream',
    value: ({ lease }) => (lease.connected ? 'connected' : 'gone'),
    colour: ({ lease }) => (lease.connected ? 'green' : 'yellow'),
  },
];

async function showAgents({ client, output }: Parameters<Show>[0], name: string | undefined): Promise<void> {
  if (name?.includes('/')) {
    const { body, stale } = await client.ask<Agent>(`/v1/agents/${encodeURIComponent(name)}`);
    noteStale(output, stale);
    return output.answer(body, () => stringify(body));
  }
  const { body, stale } = await client.ask<z.infer<typeof agentsAnswer>>('/v1/agents', {
    query: { service: name },
  });
  noteStale(output, stale);
  if (name !== undefined && body.agents.length === 0)
    throw new MeshError(
      'not_found',
      `no agent of ${printable(name)} is connected; "switchgear get agents" lists all`,
    );
  output.answer(body, () =>
    body.agents.length === 0
      ? 'no agents: no service has connected to any replica'
      : output.table(agentColumns, body.agents),
  );
}

const agentColumns: readonly Column<Agent>[] = [
  { title: 'agent', value: ({ agent }) => agent },
  { title: 'version', value: ({ version }) => version || '-' },
  { title: 'zone', value: ({ zone }) => zone || '-' },
  { title: 'replica', value: ({ replica }) => replica },
  { title: 'connected', value: ({ connectedMs }) => duration(connectedMs), right: true },
  { title: 'applied', value: ({ applied }) => applied, right: true },
  {
    title: 'waiting',
    value: ({ staleMs }) => (staleMs === 0 ? '-' : duration(staleMs)),
    colour: ({ staleMs }) => (staleMs === 0 ? undefined : 'yellow'),
    right: true,
  },
  {
    title: 'refuses',
    value: ({ refused }) => refused.map(({ policy, revision }) => `${policy}@${revision}`).join(' ') || '-',
    colour: ({ refused }) => (refused.length > 0 ? 'red' : undefined),
  },
];
