/**
 * The storm, a change and a directive by how many agents there are, one server after the other: all of the largest fleets at once would
 * be more sockets than a process may have.
 */
import { readFileSync } from 'node:fs';
import type { Plane } from '../plane.js';
import type { Fan, Server, Storm } from './measures.js';
import * as measures from './measures.js';
import type { BareServer, Generators } from './parts.js';
import type { Table } from './table.js';

const SIZES = [100, 1_000, 3_000, 20_000];
const ROUNDS = 3;
/** Of a process's files, an even number that are no agents' sockets. */
const FILES = 200;
/** No timeout that a change has had before. */
const FIRST = 20_000;

interface Sized {
  readonly storm: readonly Storm[];
  readonly changes: readonly Fan[];
  readonly directives: readonly Fan[];
}

/** Of those sizes, the ones up to `most`, and of the largest as many as a process has files for. */
export async function sizes(
  parts: { generators: Generators; plane: Plane; server: Server; bare: readonly BareServer[] },
  { most, rounds }: { most: number; rounds: number },
  table: Table,
): Promise<void> {
  const { generators, plane, server, bare } = parts;
  for (const size of SIZES.filter((size) => size <= most)) {
    const agents = Math.min(size, openFiles() - FILES);
    try {
      const ours = await sized(generators, server, agents, async (changes, directives) => {
        for (let i = 0; i < Math.min(rounds, ROUNDS); i++) {
          changes.push(await measures.change(generators, plane, server, agents, FIRST + agents + i));
          directives.push(await measures.direct(generators, plane, server, 'open'));
          await measures.direct(generators, plane, server, 'auto');
        }
      });
      const theirs: [string, Sized][] = [];
      for (const each of bare) theirs.push([each.name, await bareSized(generators, each, agents, ours)]);
      rows(agents, ours, theirs, table);
    } catch (error) {
      // All else that was measured is worth its table.
      table.row(`${agents} agents`, `not measured: ${(error as Error).message}`);
    }
  }
}

function rows(
  agents: number,
  ours: Sized,
  theirs: readonly (readonly [string, Sized])[],
  table: Table,
): void {
  const of = <K extends keyof Sized>(key: K) => theirs.map(([name, sized]) => [name, sized[key]] as const);
  const who = `${agents} agents`;
  const last = ['p50Ms', 'p99Ms', 'lastMs'] as const;
  table.several(`${who}: connect storm, p50 / p99 / last`, ours.storm, last, of('storm'));
  table.several(`${who}: a policy change, p50 / p99 / last`, ours.changes, last, of('changes'));
  // The system counts in hundredths of a second, which are too coarse for a few agents.
  if (agents >= 1_000)
    table.several(`${who}: a policy change, CPU for each`, ours.changes, ['cpuUs'], of('changes'), 'µs');
  table.several(`${who}: a directive, p50 / p99 / last`, ours.directives, last, of('directives'));
}

/** They come, something is done to them, and they leave. */
async function sized(
  generators: Generators,
  server: Server,
  agents: number,
  act: (changes: Fan[], directives: Fan[]) => Promise<void>,
): Promise<Sized> {
  const changes: Fan[] = [];
  const directives: Fan[] = [];
  try {
    const storm = await measures.storm(generators, server, agents);
    await act(changes, directives);
    return { storm: [storm], changes, directives };
  } finally {
    await generators.leave(server.name);
  }
}

/** The same bytes as often from a bare server. */
function bareSized(generators: Generators, bare: BareServer, agents: number, ours: Sized): Promise<Sized> {
  const push = ({ sample }: Fan, answered: boolean) =>
    measures.push(generators, bare, bare.process, sample, answered);
  return sized(generators, bare, agents, async (changes, directives) => {
    for (const change of ours.changes) changes.push(await push(change, true));
    for (const directive of ours.directives) directives.push(await push(directive, false));
  });
}

/** How many files a process may have; Node asks for as many as it can get. */
function openFiles(): number {
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}
