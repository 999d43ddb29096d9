/**
 * What `switchgear top` shows, as values and as a table: the circuits, the worst first. The figures of a circuit of the mesh are what
 * all agents reported over its window; of one that agents keep for themselves nothing is pooled, so they are those of the callee.
 */
import type { z } from 'zod';
import type { circuitsAnswer } from '../control-plane/rest/circuits.js';
import type { freezeAnswer } from '../control-plane/rest/overrides.js';
import type { servicesAnswer } from '../control-plane/rest/services.js';
import { MeshError } from '../core/errors.js';
import { whyOf } from './circuit-tables.js';
import { type Column, colourOfState, count, duration, type Output } from './output.js';
import type { RestClient } from './rest-client.js';
import { frozenLine } from './verbs/circuit.js';

type Circuit = z.infer<typeof circuitsAnswer>['circuits'][number];
type Service = z.infer<typeof servicesAnswer>['services'][number];
type Freeze = z.infer<typeof freezeAnswer>;

export interface TopRow {
  readonly circuit: string;
  readonly state: string;
  readonly policy: string;
  /** `mesh`: pooled over the circuit's window; `callee`: of all calls to the callee over 10 s; null: nothing is known. */
  readonly figuresOf: 'mesh' | 'callee' | null;
  readonly callsPerSecond: number | null;
  readonly failedPercent: number | null;
  /** Agents that reported, of the mesh's window or of their own circuits. */
  readonly reporters: number;
  /** Of them over the policy's rates, or in this state. */
  readonly agreeing: number;
  readonly nextStepMs: number | null;
  readonly why: string;
}

export interface Top {
  readonly frozen: Freeze | null;
  /** What is from memory, since the store is away. */
  readonly stale: boolean;
  readonly circuits: readonly TopRow[];
}

export async function readTop(client: RestClient): Promise<Top> {
  const [circuits, services, freeze] = await Promise.all([
    client.ask<z.infer<typeof circuitsAnswer>>('/v1/circuits'),
    client.ask<z.infer<typeof servicesAnswer>>('/v1/services'),
    askFreeze(client),
  ]);
  const byName = new Map(services.body.services.map((service) => [service.service, service]));
  return {
    frozen: freeze?.frozen ? freeze : null,
    stale: circuits.stale,
    circuits: circuits.body.circuits.map((circuit) => rowOf(circuit, byName.get(circuit.callee))),
  };
}

/** Undefined: a control plane of before there was any. */
export async function askFreeze(client: RestClient): Promise<Freeze | undefined> {
  try {
    return (await client.ask<Freeze>('/v1/freeze')).body;
  } catch (error) {
    if (error instanceof MeshError && error.code === 'not_found') return undefined;
    throw error;
  }
}

const HEALTH_MS = 10_000;

export function rowOf(circuit: Circuit, callee: Service | undefined): TopRow {
  const { id, state, policy, revision, agents, cluster } = circuit;
  const window = cluster?.window;
  const health = callee?.health;
  const pooled = window
    ? { ...figures(window.calls, window.failed, window.ms), figuresOf: 'mesh' as const }
    : health && health.calls > 0
      ? { ...figures(health.calls, health.failed, HEALTH_MS), figuresOf: 'callee' as const }
      : { callsPerSecond: null, failedPercent: null, figuresOf: null };
  const waits = agents.filter((agent) => agent.retryAfterMs > 0).map((agent) => agent.retryAfterMs);
  return {
    ...{ circuit: id, state, policy: `${policy}@${revision}`, ...pooled },
    reporters: window ? window.agents : agents.length,
    agreeing: window ? window.over : agents.filter((agent) => agent.state === state).length,
    nextStepMs: cluster ? cluster.nextStepMs : waits.length > 0 ? Math.min(...waits) : null,
    why: whyOf(circuit),
  };
}

function figures(calls: number, failed: number, ms: number) {
  return {
    callsPerSecond: ms > 0 ? (calls * 1000) / ms : 0,
    failedPercent: calls > 0 ? (failed / calls) * 100 : 0,
  };
}

export function renderTop({ frozen, stale, circuits }: Top, output: Output): string {
  const { paint } = output;
  const troubled = circuits.filter(({ state }) => state !== 'closed' && state !== 'shadow').length;
  const all =
    circuits.length === 0
      ? 'no circuits: no agent has reported one yet'
      : `${count(circuits.length, 'circuit')}, ${troubled === 0 ? paint('green', 'all closed') : paint('red', `${troubled} not closed`)}`;
  const head = [
    all,
    ...(frozen ? [frozenLine(frozen, output)] : []),
    ...(stale ? [paint('yellow', 'the store is away; this is what the control plane knew last')] : []),
  ].join('; ');
  return circuits.length === 0 ? head : `${head}\n\n${output.table(columns, circuits)}`;
}

const columns: readonly Column<TopRow>[] = [
  { title: 'state', value: ({ state }) => state, colour: ({ state }) => colourOfState(state) },
  { title: 'circuit', value: ({ circuit }) => circuit },
  {
    title: 'calls/s',
    value: ({ callsPerSecond, figuresOf }) => marked(rate(callsPerSecond), figuresOf),
    right: true,
  },
  {
    title: 'failed',
    value: ({ failedPercent, figuresOf }) =>
      failedPercent === null ? '-' : marked(`${Math.round(failedPercent)} %`, figuresOf),
    colour: ({ failedPercent }) => ((failedPercent ?? 0) >= 10 ? 'yellow' : undefined),
    right: true,
  },
  { title: 'reports', value: ({ agreeing, reporters }) => `${agreeing}/${reporters}`, right: true },
  { title: 'by policy', value: ({ policy }) => policy },
  {
    title: 'next step',
    value: ({ nextStepMs }) => (nextStepMs === null ? '-' : duration(nextStepMs)),
    right: true,
  },
  { title: 'why', value: ({ why }) => why },
];

function rate(perSecond: number | null): string {
  if (perSecond === null) return '-';
  return perSecond < 10 ? String(Math.round(perSecond * 10) / 10) : String(Math.round(perSecond));
}

/** Figures of the callee and not of the circuit are about more than it. */
function marked(text: string, figuresOf: TopRow['figuresOf']): string {
  return figuresOf === 'callee' ? `~${text}` : text;
}
