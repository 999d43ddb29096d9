/**
 * `switchgear status [policy]`. With a policy: how far its present revision has come, and who refuses it and why. Without: the
 * one look for whoever was woken up: what is open, why, which policy did it, what is browned out, what is not everywhere yet.
 * Exits with 1 when an agent refuses a policy (or, with --wait, when the time ran out first).
 */
import type { Command } from 'commander';
import type { z } from 'zod';
import type { agentsAnswer } from '../../control-plane/rest/agents.js';
import type { brownoutAnswer } from '../../control-plane/rest/brownout.js';
import type { circuitsAnswer } from '../../control-plane/rest/circuits.js';
import type { readyAnswer } from '../../control-plane/rest/health.js';
import type { freezeAnswer } from '../../control-plane/rest/overrides.js';
import type { policiesAnswer } from '../../control-plane/rest/policies.js';
import type { statusAnswer } from '../../control-plane/rest/status.js';
import { wait } from '../../core/clock.js';
import { MeshError } from '../../core/errors.js';
import { whyOf } from '../circuit-tables.js';
import { type Context, noteStale, remoteVerb } from '../context.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import { colourOfState, count, duration, type Output, printable, retryIn } from '../output.js';
import { wholeNumber } from '../remote.js';
import type { Answer, RestClient } from '../rest-client.js';
import { askFreeze } from '../top-table.js';
import { rolloutLine } from '../writes.js';
import { levelLine } from './brownout.js';
import { frozenLine } from './circuit.js';

type Status = z.infer<typeof statusAnswer>;

const POLL_MS = 100;

export function statusVerb(context: Context): Command {
  const { clock } = context.io;
  return remoteVerb<{ wait?: number }>(context, {
    name: 'status',
    about: 'how far a policy has come; without a name, how the whole mesh is',
    arguments: [['[policy]', 'name of a policy']],
    settings: [
      {
        flags: '--wait <ms>',
        about: 'wait until no agent is pending, at most so many milliseconds',
        parse: (text) => wholeNumber(text, 1, 3_600_000),
      },
    ],
    details: 'Exits with 1 when an agent refuses the policy, or is still pending after --wait.',
    run: async ({ client, output, options }, policy) => {
      if (policy === undefined) {
        if (options.wait !== undefined)
          output.note(
            'note: --wait goes with a policy, as in switchgear status POLICY --wait 10000; nothing was waited for',
          );
        return showMesh(client, output);
      }
      const end = clock.now() + (options.wait ?? 0);
      let answer = await askStatus(client, policy);
      while (answer.body.agents.pending > 0 && clock.now() < end) {
        await wait(clock, POLL_MS);
        answer = await askStatus(client, policy);
      }
      return showPolicy(answer, output, options.wait !== undefined);
    },
  });
}

function askStatus(client: RestClient, policy: string): Promise<Answer<Status>> {
  return client.ask<Status>(`/v1/policies/${encodeURIComponent(policy)}/status`);
}

function showPolicy({ body, stale }: Answer<Status>, output: Output, waited: boolean): ExitCode {
  const { policy, revision, agents, rollout } = body;
  noteStale(output, stale);
  output.answer(body, () => {
    const parts = [
      output.paint('green', `${agents.applied} applied`),
      agents.pending > 0 ? output.paint('yellow', `${agents.pending} pending`) : '0 pending',
      agents.refused.length > 0 ? output.paint('red', `${agents.refused.length} refused`) : '0 refused',
    ];
    const lines = [
      `${output.paint('bold', `${policy}@${revision}`)}: ${count(agents.total, 'agent')}: ${parts.join(', ')}`,
    ];
    if (rollout) lines.push(rolloutLine({ policy, ...rollout }));
    if (rollout?.halted)
      lines.push(
        `${output.paint('red', 'halted')} at ${rollout.percent} % since ${rollout.halted.at}: ${printable(rollout.halted.reason)}`,
      );
    const head = lines.join('\n');
    if (agents.refused.length === 0) return head;
    const columns = [
      { title: 'refused by', value: (row: Status['agents']['refused'][number]) => row.agent },
      { title: 'why', value: (row: Status['agents']['refused'][number]) => row.reason },
    ];
    return `${head}\n\n${output.table(columns, agents.refused)}`;
  });
  return agents.refused.length > 0 || (waited && agents.pending > 0) ? exitCodes.no : exitCodes.ok;
}

interface Mesh {
  readonly ready: z.infer<typeof readyAnswer>;
  readonly policies: z.infer<typeof policiesAnswer>;
  readonly agents: z.infer<typeof agentsAnswer>['agents'];
  readonly circuits: z.infer<typeof circuitsAnswer>['circuits'];
  /** Undefined: a control plane of before there was any. */
  readonly brownout: z.infer<typeof brownoutAnswer> | undefined;
  readonly freeze: z.infer<typeof freezeAnswer> | undefined;
}

async function showMesh(client: RestClient, output: Output): Promise<ExitCode> {
  const [ready, policies, agents, circuits, brownout, freeze] = await Promise.all([
    client.ask<Mesh['ready']>('/readyz'),
    client.ask<Mesh['policies']>('/v1/policies'),
    client.ask<z.infer<typeof agentsAnswer>>('/v1/agents'),
    client.ask<z.infer<typeof circuitsAnswer>>('/v1/circuits'),
    askBrownout(client),
    askFreeze(client),
  ]);
  const mesh: Mesh = {
    ready: ready.body,
    policies: policies.body,
    agents: agents.body.agents,
    circuits: circuits.body.circuits,
    brownout,
    freeze,
  };
  const summary = summarise(mesh);
  noteStale(output, policies.stale);
  output.answer(summary, () => renderMesh(summary, output));
  return summary.refused.length > 0 ? exitCodes.no : exitCodes.ok;
}

async function askBrownout(client: RestClient): Promise<Mesh['brownout']> {
  try {
    return (await client.ask<z.infer<typeof brownoutAnswer>>('/v1/brownout')).body;
  } catch (error) {
    if (error instanceof MeshError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function summarise({ ready, policies, agents, circuits, brownout, freeze }: Mesh) {
  return {
    mesh: ready.mesh,
    replica: ready.replica,
    store: ready.store,
    revision: policies.revision,
    policies: policies.policies.length,
    faults: policies.faults ?? [],
    agents: agents.length,
    services: new Set(agents.map(({ service }) => service)).size,
    waiting: agents.filter(({ staleMs }) => staleMs > 0).map(({ agent, staleMs }) => ({ agent, staleMs })),
    refused: agents.flatMap(({ agent, refused }) => refused.map((fault) => ({ agent, ...fault }))),
    ...(brownout && { brownout: shortOf(brownout) }),
    rollouts: policies.policies.flatMap(({ policy, revision, rollout }) =>
      rollout ? { policy, revision, ...rollout } : [],
    ),
    circuits: {
      total: circuits.length,
      frozen: freeze?.frozen ? freeze : null,
      troubled: circuits.flatMap(troubledOf),
      /** Although their circuit is closed, somebody has to look. What a policy in shadow would take out is not out. */
      out: circuits.flatMap(({ id, cluster }) =>
        (cluster && !cluster.shadow ? cluster.ejected : []).map(({ endpoint, leftMs }) => ({
          circuit: id,
          endpoint,
          leftMs,
        })),
      ),
      suspects: circuits.flatMap(({ id, cluster }) =>
        (cluster?.suspects ?? []).map((agent) => ({ circuit: id, agent })),
      ),
    },
  };
}

/** One line for what the mesh or an operator says, which its agents follow; else one for each agent that sees it. */
function troubledOf(circuit: Mesh['circuits'][number]) {
  const { id, state: worst, policy, revision: newest, agents, cluster, override } = circuit;
  const of = { circuit: id, policy: `${policy}@${newest}`, reason: whyOf(circuit) };
  const forced = override && {
    ...of,
    ...{ state: `forced-${override.state}`, agent: 'operator', retryAfterMs: 0 },
  };
  if (forced && override.state === 'open') return [forced];
  if (!forced && cluster && cluster.state !== 'closed' && !cluster.shadow)
    return [{ ...of, state: worst, agent: 'mesh', retryAfterMs: cluster.nextStepMs ?? 0 }];
  const seen = agents
    .filter(({ state }) => state !== 'closed')
    .map(({ agent, state, revision, retryAfterMs, reason }) => ({
      ...{ circuit: id, state, agent, policy: `${policy}@${revision}`, retryAfterMs, reason },
    }));
  return forced ? [forced, ...seen] : seen;
}

function shortOf({ level, source, reason, ttlMs }: NonNullable<Mesh['brownout']>) {
  return { level, source, reason, ttlMs };
}

type Summary = ReturnType<typeof summarise>;

function renderMesh(summary: Summary, output: Output): string {
  const { paint } = output;
  const { store, circuits } = summary;
  const parts = [
    `${paint('bold', summary.mesh)}: ${count(summary.policies, 'policy')} (head ${summary.revision}), ` +
      `${count(summary.services, 'service')}, ${count(summary.agents, 'agent')}, ` +
      `store ${store.up ? paint('green', 'up') : `${paint('red', 'away')} (${store.reason})`}`,
  ];
  if (summary.faults.length > 0)
    parts.push(
      output.table<Summary['faults'][number]>(
        [
          { title: 'store: wrong with', value: ({ path }) => path || '-', colour: () => 'red' },
          { title: 'what', value: ({ message }) => message },
        ],
        summary.faults,
      ),
    );
  if (summary.brownout && summary.brownout.level > 0)
    parts.push(`brownout: ${levelLine(summary.brownout, output)}`);
  if (circuits.frozen) parts.push(frozenLine(circuits.frozen, output));
  if (circuits.troubled.length === 0)
    parts.push(paint('green', `all of ${count(circuits.total, 'circuit')} closed`));
  else
    parts.push(
      output.table<Summary['circuits']['troubled'][number]>(
        [
          { title: 'state', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
          { title: 'circuit', value: ({ circuit }) => circuit },
          { title: 'at', value: ({ agent }) => agent },
          { title: 'by policy', value: ({ policy }) => policy },
          { title: 'retry in', value: retryIn },
          { title: 'why', value: ({ reason }) => reason || '-' },
        ],
        circuits.troubled,
      ),
    );
  for (const { circuit, endpoint, leftMs } of circuits.out)
    parts.push(`${paint('yellow', `${endpoint} is out of discovery`)} for ${duration(leftMs)}: ${circuit}`);
  for (const { circuit, agent } of circuits.suspects)
    parts.push(`${paint('yellow', `${agent} is suspect`)}: it fails where all others don't: ${circuit}`);
  if (summary.refused.length > 0)
    parts.push(
      output.table<Summary['refused'][number]>(
        [
          { title: 'refused', value: ({ policy, revision }) => `${policy}@${revision}`, colour: () => 'red' },
          { title: 'by', value: ({ agent }) => agent },
          { title: 'why', value: ({ reason }) => reason },
        ],
        summary.refused,
      ),
    );
  if (summary.rollouts.length > 0)
    parts.push(
      output.table<Summary['rollouts'][number]>(
        [
          { title: 'rollout', value: ({ policy, revision }) => `${policy}@${revision}` },
          { title: 'at', value: ({ percent }) => `${percent} %` },
          {
            title: 'others keep',
            value: ({ policy, previous }) => (previous === null ? 'nothing' : `${policy}@${previous}`),
          },
          {
            title: 'halted',
            value: ({ halted }) => halted?.reason ?? '-',
            colour: ({ halted }) => (halted ? 'red' : undefined),
          },
        ],
        summary.rollouts,
      ),
    );
  if (summary.waiting.length > 0)
    parts.push(
      `${paint('yellow', 'not up to date:')} ${summary.waiting.map(({ agent, staleMs }) => `${agent} for ${duration(staleMs)}`).join(', ')}`,
    );
  return parts.join('\n\n');
}
