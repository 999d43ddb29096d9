/**
 * GET /v1/circuits: the circuits of the mesh as its agents report them. Each agent has a circuit of its own for the same id; they
 * are grouped, and the group's state is the worst of them. Closed circuits are told only of agents connected to this replica.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import type { CircuitRow } from '../ports.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readPath, readQuery, textParameter } from './parameters.js';

export const circuitAnswer = z.object({
  id: z.string().describe('<callee>|<policy>, or <callee>|<policy>|<method>'),
  callee: z.string(),
  method: z.string().describe('empty: all methods together'),
  policy: z.string(),
  revision: z.int().describe('of the policy, the newest that an agent runs under'),
  state: z.string().describe('the worst of its agents'),
  agents: z.array(
    z.object({
      agent: z.string(),
      state: z.string(),
      revision: z.int(),
      epoch: z.int(),
      retryAfterMs: z.int(),
      reason: z.string(),
      ageMs: z.int().describe('since the agent said so'),
    }),
  ),
});

export const circuitsAnswer = z.object({ circuits: z.array(circuitAnswer) });
type Circuit = z.infer<typeof circuitAnswer>;

const noQuery = z.strictObject({});
const path = z.strictObject({
  '*': textParameter('a circuit as callee|policy or callee|policy|method', 1024),
});
const shownPath = z.strictObject({ id: textParameter('a circuit as callee|policy', 1024) });

export function circuitRoutes(app: App, { roster }: RestContext): void {
  app.get(
    '/v1/circuits',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'All circuits',
      query: noQuery,
      answer: circuitsAnswer,
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      return answer(request, reply, { circuits: groupCircuits(await roster.circuits()) });
    },
  );

  app.get(
    '/v1/circuits/*',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'One circuit',
      path: shownPath,
      query: noQuery,
      answer: circuitAnswer,
      problems: [404],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { '*': id } = readPath(path, request);
      const [circuit] = groupCircuits((await roster.circuits()).filter((row) => row.id === id));
      if (!circuit)
        throw new MeshError('not_found', `no agent reports a circuit ${id}; an id reads <callee>|<policy>`);
      return answer(request, reply, circuit);
    },
  );
}

/** From the worst on. A state that a newer agent may know and we don't ranks before closed: it is worth a look. */
const severity = ['forced-open', 'open', 'half-open', 'ramping', 'forced-closed', 'disabled', 'shadow'];

function rank(state: string): number {
  if (state === 'closed') return severity.length + 1;
  const index = severity.indexOf(state);
  return index < 0 ? severity.length : index;
}

/** Reports grouped by circuit, the worst circuits first, then by id; inside a circuit the same for its agents. */
export function groupCircuits(rows: readonly CircuitRow[]): Circuit[] {
  const groups = new Map<string, CircuitRow[]>();
  for (const row of rows) {
    const group = groups.get(row.id);
    if (group) group.push(row);
    else groups.set(row.id, [row]);
  }
  return [...groups.values()].flatMap(toCircuit).sort((a, b) => byState(a, b) || compare(a.id, b.id));
}

function toCircuit(rows: CircuitRow[]): Circuit[] {
  rows.sort((a, b) => byState(a, b) || compare(a.agent, b.agent));
  const [worst] = rows;
  if (!worst) return [];
  const { id, callee, method, policy, state } = worst;
  return [
    {
      id,
      callee,
      method,
      policy,
      revision: Math.max(...rows.map((row) => row.revision)),
      state,
      agents: rows.map(({ agent, state, revision, epoch, retryAfterMs, reason, ageMs }) => ({
        agent,
        state,
        revision,
        epoch,
        retryAfterMs: Math.round(retryAfterMs),
        reason,
        ageMs: Math.round(ageMs),
      })),
    },
  ];
}

function byState(a: { state: string }, b: { state: string }): number {
  return rank(a.state) - rank(b.state);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
