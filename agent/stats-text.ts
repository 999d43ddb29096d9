/**
 * The stats of a mesh as a console prints them: to their full depth and in one look, so without what is empty or 0, a circuit and a
 * bulkhead in a line each, those with nothing to say counted. The data stay whole, and JSON and comparisons know nothing of this.
 *
 * Bound: 50 methods of a callee, the busiest; 50 circuits that aren't closed; 50 bulkheads in use.
 */
import { type InspectOptions, inspect } from 'node:util';
import type { CalleeStats, CallStats, MeshStats } from './stats.js';

const LISTED_MAX = 50;
/** So few are listed whatever they have to say. */
const FEW = 3;
/** So that a method of which there is little to tell takes one line. */
const COLUMNS = 120;

type Fields = { readonly [name: string]: unknown };

/** The same object, with a text for consoles; each of its callees as well. */
export function printable(stats: MeshStats): MeshStats {
  for (const callee of Object.values(stats)) printAs(callee, () => calleeText(callee));
  return printAs(stats, () =>
    Object.fromEntries(Object.entries(stats).map(([name, callee]) => [name, calleeText(callee)])),
  );
}

function printAs<T extends object>(stats: T, textOf: () => object): T {
  const whole = { depth: null, maxArrayLength: null, breakLength: COLUMNS } as const;
  const value = (depth: number, options: InspectOptions, print: typeof inspect) =>
    depth < 0 ? '[Stats]' : print(textOf(), { ...options, ...whole });
  return Object.defineProperty(stats, inspect.custom, { value });
}

function calleeText({ circuits, bulkheads, methods, ...whole }: CalleeStats): Fields {
  return {
    policies: whole.policies,
    ...callsText(whole),
    ...withoutEmpty({
      circuits: listed(circuits, ({ state }) => state !== 'closed', 'closed', circuitLine),
      bulkheads: listed(bulkheads, ({ inUse, queued }) => inUse + queued > 0, 'idle', bulkheadLine),
      methods: busiest(methods),
    }),
  };
}

function callsText({ policies: _policies, calls, queue, latency, ...did }: CallStats): Fields {
  const { ok, failed, ...others } = calls;
  return {
    calls: { ok, failed, ...withoutEmpty(others) },
    ...withoutEmpty({
      ...did,
      queue: queue.calls === 0 ? undefined : { ...queue, meanMs: rounded(queue.meanMs) },
      latency: latency && { p50Ms: rounded(latency.p50Ms), p99Ms: rounded(latency.p99Ms) },
    }),
  };
}

/** Policies aren't told again: nearly always they are those of the callee. */
function busiest(methods: CalleeStats['methods']): Fields {
  const all = Object.entries(methods);
  all.sort(([, a], [, b]) => begun(b) - begun(a));
  const rows = all.slice(0, LISTED_MAX).map(([name, calls]): [string, unknown] => [name, callsText(calls)]);
  const rest = all.length - rows.length;
  if (rest > 0) rows.push([`(${rest} more)`, `the ${LISTED_MAX} busiest are listed`]);
  return Object.fromEntries(rows);
}

/** Attempts, and calls that never began. */
function begun({ calls, rejected }: CallStats): number {
  const { ok, failed, neutral } = calls;
  return Object.values(rejected).reduce((sum, count) => sum + count, ok + failed + neutral);
}

/** `quiet`: what those are that have nothing to say. */
function listed<T>(
  rows: readonly T[],
  tells: (row: T) => boolean,
  quiet: string,
  line: (row: T) => string,
): readonly string[] {
  if (rows.length <= FEW) return rows.map(line);
  const telling = rows.filter(tells);
  const lines = telling.slice(0, LISTED_MAX).map(line);
  const rest = telling.length - lines.length;
  if (rest > 0) lines.push(`(${rest} more)`);
  if (rows.length > telling.length) lines.push(`${rows.length - telling.length} ${quiet}`);
  return lines;
}

function circuitLine({
  method,
  state,
  reason,
  retryAfterMs,
  ...by
}: CalleeStats['circuits'][number]): string {
  const parts = [state, reason, retryAfterMs > 0 ? `retry in ${Math.ceil(retryAfterMs)} ms` : ''];
  return about(method, parts.filter((part) => part !== '').join(', '), by);
}

function bulkheadLine({ method, inUse, limit, queued, ...by }: CalleeStats['bulkheads'][number]): string {
  return about(method, `${inUse} of ${limit} in use, ${queued} in line`, by);
}

function about(method: string, text: string, by: { policy: string; revision: number }): string {
  return `${method === '' ? '' : `${method}: `}${text} (policy ${by.policy}@${by.revision})`;
}

function withoutEmpty(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === 0;
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3));
}
