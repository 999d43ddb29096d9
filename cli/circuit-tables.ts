/**
 * `switchgear get circuits [name]`: all of them, each by the worst of its agents; those of one callee, or one by its id, agent by
 * agent: who sees it, and why.
 */
import type { z } from 'zod';
import type { circuitAnswer, circuitsAnswer } from '../control-plane/rest/circuits.js';
import { MeshError } from '../core/errors.js';
import { noteStale } from './context.js';
import { type Column, colourOfState, duration, type Output, printable, retryIn } from './output.js';
import type { RestClient } from './rest-client.js';

type Circuit = z.infer<typeof circuitAnswer>;

export async function showCircuits(
  { client, output }: { client: RestClient; output: Output },
  name: string | undefined,
): Promise<void> {
  if (name?.includes('|')) {
    const { body, stale } = await client.ask<Circuit>(`/v1/circuits/${encodeURIComponent(name)}`);
    noteStale(output, stale);
    return output.answer(body, () => output.table(circuitAgentColumns, body.agents));
  }
  const { body, stale } = await client.ask<z.infer<typeof circuitsAnswer>>('/v1/circuits');
  noteStale(output, stale);
  if (name !== undefined) return showCircuitsOf(name, body.circuits, output);
  output.answer(body, () =>
    body.circuits.length === 0
      ? 'no circuits: no agent has reported one yet'
      : output.table(circuitColumns, body.circuits),
  );
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
  output.answer({ circuits }, () => output.table(calleeColumns, rows));
}

/** The worst of its agents speaks for a circuit. */
const circuitColumns: readonly Column<Circuit>[] = [
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  { title: 'circuit', value: ({ id }) => id },
  { title: 'by policy', value: ({ policy, revision }) => `${policy}@${revision}` },
  {
    title: 'agents',
    value: ({ agents, state }) =>
      `${agents.filter((agent) => agent.state === state).length}/${agents.length}`,
    right: true,
  },
  { title: 'why', value: ({ agents }) => agents[0]?.reason || '-' },
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
