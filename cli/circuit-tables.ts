/**
 * `switchgear get circuits [name]`: all of them, each by the worst that is said of it; those of one callee, or one by its id: what
 * the mesh has decided and from what, what an operator has said and how to, and agent by agent who sees it and why.
 */
import type { z } from 'zod';
import type { circuitAnswer, circuitsAnswer } from '../control-plane/rest/circuits.js';
import { MeshError } from '../core/errors.js';
import { noteStale } from './context.js';
import { type Column, colourOfState, count, duration, type Output, printable, retryIn } from './output.js';
import type { RestClient } from './rest-client.js';
import { overrideLine } from './verbs/circuit.js';

type Circuit = z.infer<typeof circuitAnswer>;

export async function showCircuits(
  { client, output }: { client: RestClient; output: Output },
  name: string | undefined,
): Promise<void> {
  if (name?.includes('|')) {
    const { body, stale } = await client.ask<Circuit>(`/v1/circuits/${encodeURIComponent(name)}`);
    noteStale(output, stale);
    return output.answer(body, () => {
      const agents = body.agents.length > 0 ? [output.table(circuitAgentColumns, body.agents)] : [];
      return [...detailsOf(body, output), ...agents].join('\n\n');
    });
  }
  const { body, stale } = await client.ask<z.infer<typeof circuitsAnswer>>('/v1/circuits');
  noteStale(output, stale);
  if (name !== undefined) return showCircuitsOf(name, body.circuits, output);
  output.answer(body, () =>
    body.circuits.length === 0
      ? 'no circuits: no agent has reported one yet'
      : `${output.table(circuitColumns, body.circuits)}${hintOf(body.circuits, output)}`,
  );
}

/** Where to go on from a table in which something is not as usual. */
function hintOf([worst]: readonly Circuit[], { paint }: Output): string {
  if (!worst || worst.state === 'closed') return '';
  return `\n\n${paint('dim', `why, and how to override it: switchgear get circuits "${printable(worst.id)}"`)}`;
}

/** Of one callee, agent by agent. */
function showCircuitsOf(callee: string, all: readonly Circuit[], output: Output): void {
  const circuits = all.filter((circuit) => circuit.callee === callee);
  if (circuits.length === 0)
    throw new MeshError(
      'not_found',
      `no agent reports a circuit of ${printable(callee)}; "switchgear get circuits" lists all`,
    );
  const rows = circuits.flatMap(({ id, agents }) => agents.map((agent) => ({ ...agent, circuit: id })));
  output.answer({ circuits }, () => {
    const agents = rows.length > 0 ? [output.table(calleeColumns, rows)] : [];
    return [...circuits.flatMap((circuit) => detailsOf(circuit, output)), ...agents].join('\n\n');
  });
}

/** Of a circuit that is more than its agents': a line for each thing that is known. */
function detailsOf(circuit: Circuit, output: Output): string[] {
  const { id, policy, revision, cluster, override, state, agents } = circuit;
  if (!cluster && !override) return [];
  const { paint } = output;
  const lines: (readonly [title: string, text: string])[] = [];
  const agreeing = agents.filter((agent) => agent.state === state).length;
  lines.push(['state', `${state}, at ${agreeing} of ${count(agents.length, 'agent')}`]);
  if (cluster) {
    const forced = override && `${meshOf(circuit)}, whatever was decided: ${cluster.state}`;
    lines.push(['mesh', forced ?? clusterLine(cluster)], ['why', cluster.reason]);
    lines.push(['by policy', `${policy}@${revision}`], ['reported', reportedOf(cluster)]);
    if (cluster.suspects.length > 0)
      lines.push(['suspects', `${cluster.suspects.join(', ')} (all others see it healthy)`]);
    if (cluster.permits.length > 0)
      lines.push(['probes', cluster.permits.map(({ agent, outcome }) => `${agent} ${outcome}`).join(', ')]);
    if (cluster.ejected.length > 0)
      lines.push([
        'taken out',
        cluster.ejected.map(({ endpoint, leftMs }) => `${endpoint} for ${duration(leftMs)}`).join(', '),
      ]);
  }
  const force = `switchgear circuit open|close "${id}" --reason "…"`;
  lines.push([
    'override',
    override
      ? `${overrideLine(override, { paint: (_, text) => text })}; back: switchgear circuit auto "${id}"`
      : `none; ${force}`,
  ]);
  const width = Math.max(...lines.map(([title]) => title.length));
  const body = lines.map(([title, text]) => `  ${paint('dim', title.padEnd(width))}  ${printable(text)}`);
  return [[paint('bold', printable(id)), ...body].join('\n')];
}

type Cluster = NonNullable<Circuit['cluster']>;

/** `open for 3 s, next step in 2 s` */
function clusterLine({ state, epoch, ageMs, nextStepMs, openings, shadow }: Cluster): string {
  // Of one that has never been open there is no time to tell.
  const since = epoch === 0 ? '' : ` for ${duration(ageMs)}`;
  const again = openings > 1 ? `, ${openings} times in a row` : '';
  const next = nextStepMs === null ? '' : `, next step in ${duration(nextStepMs)}`;
  return `${state}${since}${again}${next}${shadow ? ' (in shadow: no agent is told)' : ''}`;
}

/** `20 calls of 5 agents in 2 s: 12 failed, 0 slow; 3 agents over the policy's rates; 8 calls kept away` */
function reportedOf({ window }: Cluster): string {
  if (!window) return 'nothing';
  const { ms, calls, failed, slow, agents, over, blocked } = window;
  const head = `${count(calls, 'call')} of ${count(agents, 'agent')} in ${duration(ms)}: ${failed} failed, ${slow} slow`;
  return `${head}; ${count(over, 'agent')} over the policy's rates; ${count(blocked, 'call')} kept away`;
}

/** In one line, why a circuit is as it is: the operator, the mesh, or the worst of its agents. */
export function whyOf({ agents, cluster, override }: Circuit): string {
  if (override) return overrideLine(override, { paint: (_, text) => text });
  if (cluster && cluster.state !== 'closed' && !cluster.shadow) return cluster.reason;
  const [worst] = agents;
  return worst?.reason || cluster?.reason || '-';
}

/** What the mesh says of it: the operator before all. */
function meshOf({ cluster, override }: Circuit): string {
  if (override) return `forced-${override.state}`;
  if (!cluster) return '-';
  return cluster.shadow ? `(${cluster.state})` : cluster.state;
}

/** The worst of its agents speaks for a circuit. */
const circuitColumns: readonly Column<Circuit>[] = [
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  {
    title: 'mesh',
    value: meshOf,
    colour: (circuit) => (circuit.cluster?.shadow ? 'dim' : colourOfState(meshOf(circuit))),
  },
  { title: 'circuit', value: ({ id }) => id },
  { title: 'by policy', value: ({ policy, revision }) => `${policy}@${revision}` },
  {
    title: 'agents',
    value: ({ agents, state }) =>
      `${agents.filter((agent) => agent.state === state).length}/${agents.length}`,
    right: true,
  },
  { title: 'why', value: whyOf },
];

const circuitAgentColumns: readonly Column<Circuit['agents'][number]>[] = [
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  { title: 'agent', value: ({ agent }) => agent },
  { title: 'revision', value: ({ revision }) => revision, right: true },
  { title: 'epoch', value: ({ epoch }) => epoch, right: true },
  {
    title: 'retry in',
    value: retryIn,
    right: true,
  },
  { title: 'told', value: ({ ageMs }) => `${duration(ageMs)} ago`, right: true },
  { title: 'why', value: ({ reason }) => reason || '-' },
];

const [stateColumn, ...otherColumns] = circuitAgentColumns;

const calleeColumns: readonly Column<Circuit['agents'][number] & { circuit: string }>[] = [
  ...(stateColumn ? [stateColumn] : []),
  { title: 'circuit', value: ({ circuit }) => circuit },
  ...otherColumns,
];
