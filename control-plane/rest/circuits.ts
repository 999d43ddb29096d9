/**
 * GET /v1/circuits: the circuits of the mesh. Each agent has a circuit of its own for the same id; they are grouped, and beside them
 * stands what the mesh has decided together, if its policy says so, and what an operator has said. The group's state is the worst of
 * all of these. Closed circuits of agents are told only of those connected to this replica.
 */
import { z } from 'zod';
import type { ClusterView, Override } from '../../core/coordination/contract.js';
import { partsOf } from '../../core/coordination/evaluation.js';
import { MeshError } from '../../core/errors.js';
import type { CircuitRow } from '../ports.js';
import { clusterAnswer, overrideShown, showCluster, showOverride } from './cluster-circuits.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readPath, readQuery, textParameter } from './parameters.js';

export const circuitAnswer = z.object({
  id: z
    .string()
    .describe(
      '<callee>|<policy>, or <callee>|<policy>|<method>; @<zone> behind it: for the agents of that zone',
    ),
  callee: z.string(),
  method: z.string().describe('empty: all methods together'),
  policy: z.string(),
  revision: z.int().describe('of the policy, the newest that an agent runs under; 0: none does'),
  state: z.string().describe('the worst of its agents, of the mesh and of the override'),
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
  cluster: clusterAnswer.nullable().describe('what the mesh has decided together; null: nothing'),
  override: overrideShown.nullable().describe('what an operator has said; null: nothing'),
});

export const circuitsAnswer = z.object({ circuits: z.array(circuitAnswer) });
export type Circuit = z.infer<typeof circuitAnswer>;

const noQuery = z.strictObject({});
const path = z.strictObject({
  '*': textParameter('a circuit as callee|policy or callee|policy|method', 1024),
});
const shownPath = z.strictObject({ id: textParameter('a circuit as callee|policy', 1024) });

export function circuitRoutes(app: App, context: RestContext): void {
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
      return answer(request, reply, { circuits: await presentCircuits(context) });
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
      const circuit = (await presentCircuits(context)).find((one) => one.id === id);
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

/** All of them as they are now. */
export async function presentCircuits({
  roster,
  circuits,
  overrides,
  clock,
}: Pick<RestContext, 'roster' | 'circuits' | 'overrides' | 'clock'>): Promise<Circuit[]> {
  const rows = await roster.circuits();
  return groupCircuits(rows, { views: circuits.views(), overrides: overrides.all(), now: clock.now() });
}

interface OfMesh {
  readonly views: readonly ClusterView[];
  readonly overrides: ReadonlyMap<string, Override>;
  /** Monotonic. */
  readonly now: number;
}

interface Parts {
  readonly rows: CircuitRow[];
  readonly view: ClusterView | undefined;
  readonly override: Override | undefined;
}

/** Everything that is said of a circuit together, the worst circuits first, then by id; inside a circuit the same for its agents. */
export function groupCircuits(rows: readonly CircuitRow[], { views, overrides, now }: OfMesh): Circuit[] {
  const groups = new Map<string, Parts>();
  for (const view of views)
    groups.set(view.record.id, { rows: [], view, override: overrides.get(view.record.id) });
  for (const [id, override] of overrides)
    if (!groups.has(id)) groups.set(id, { rows: [], view: undefined, override });
  for (const row of rows) {
    const group = groups.get(row.id);
    if (group) group.rows.push(row);
    else groups.set(row.id, { rows: [row], view: undefined, override: undefined });
  }
  return [...groups]
    .map(([id, parts]) => toCircuit(id, parts, now))
    .sort((a, b) => byState(a, b) || compare(a.id, b.id));
}

function toCircuit(id: string, { rows, view, override }: Parts, now: number): Circuit {
  rows.sort((a, b) => byState(a, b) || compare(a.agent, b.agent));
  const [first] = rows;
  const { callee, policy, method } = first ?? namesOf(id);
  const said = [
    ...(override ? [`forced-${override.state}`] : view && !view.shadow ? [view.record.state] : []),
    ...(first ? [first.state] : []),
  ];
  const [state = view ? 'shadow' : 'closed'] = said.sort((a, b) => rank(a) - rank(b));
  return {
    ...{ id, callee, method, policy },
    revision: Math.max(0, view?.record.policy.revision ?? 0, ...rows.map((row) => row.revision)),
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
    cluster: view ? showCluster(view) : null,
    override: showOverride(override, now),
  };
}

/** Of an id: callee, policy, and the method or an empty text. None of them has `|` or `@` in it. */
export function namesOf(id: string): { callee: string; policy: string; method: string } {
  const [callee = '', policy = '', method = ''] = partsOf(id).circuit.split('|');
  return { callee, policy, method };
}

function byState(a: { state: string }, b: { state: string }): number {
  return rank(a.state) - rank(b.state);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
