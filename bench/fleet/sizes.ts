/**
 * The storm, a change, a directive, reports and a hundred edits by how many agents there are, one server after the other: all of the
 * largest fleets at once would be more sockets than a process may have.
 */
import { readFileSync } from 'node:fs';
import { spread } from '../harness.js';
import type { Plane } from '../plane.js';
import type { BenchRedis } from '../redis.js';
import type { Fan, Server, Storm } from './measures.js';
import * as measures from './measures.js';
import type { BareServer, Generators } from './parts.js';
import { reported, type Window } from './steady.js';
import * as strains from './strains.js';
import { median, type Table } from './table.js';

const SIZES = [100, 1_000, 3_000, 20_000];
const ROUNDS = 3;
/** Of a process's files, an even number that are no agents' sockets. */
const FILES = 200;
/** No timeout that a change has had before. */
const FIRST = 20_000;
/** No round of a hundred edits that has been before. */
const EDITS_FIRST = 50;

interface Sized {
  readonly storm: readonly Storm[];
  readonly changes: readonly Fan[];
  readonly directives: readonly Fan[];
  readonly reports: readonly Window[];
}

interface Parts {
  readonly generators: Generators;
  readonly plane: Plane;
  readonly server: Server;
  readonly bare: readonly BareServer[];
  readonly redis: BenchRedis;
}

interface Extent {
  readonly agents: number;
  readonly processes: number;
  readonly rounds: number;
}

/** Of those sizes, the ones up to `most`, and of the largest as many as a process has files for. */
export async function sizes(
  parts: Parts,
  { most, processes, rounds }: { most: number; processes: number; rounds: number },
  table: Table,
): Promise<void> {
  for (const size of SIZES.filter((size) => size <= most)) {
    const agents = Math.min(size, openFiles() - FILES);
    await sized(parts, { agents, processes, rounds: Math.min(rounds, ROUNDS) }, table);
  }
}

async function sized(parts: Parts, extent: Extent, table: Table): Promise<void> {
  const { generators, bare, redis } = parts;
  const { agents } = extent;
  const { ours, edits, commands } = await ourSized(parts, extent);
  const theirs: [string, Sized][] = [];
  for (const each of bare)
    theirs.push([each.name, await bareSized(generators, each, { ours, redis }, extent)]);
  const of = <K extends keyof Sized>(key: K) => theirs.map(([name, sized]) => [name, sized[key]] as const);
  const who = `${agents} agents`;
  const last = ['p50Ms', 'p99Ms', 'lastMs'] as const;
  table.several(`${who}: connect storm, p50 / p99 / last`, ours.storm, last, of('storm'));
  table.several(`${who}: connect storm, lag of the loop, p99`, ours.storm, ['lagMs'], of('storm'));
  table.several(`${who}: a policy change, p50 / p99 / last`, ours.changes, last, of('changes'));
  table.several(`${who}: a policy change, lag of the loop, p99`, ours.changes, ['lagMs'], of('changes'));
  table.several(`${who}: a directive, p50 / p99 / last`, ours.directives, last, of('directives'));
  // The system counts in hundredths of a second, and memory comes in large pieces: both too coarse for a few agents.
  if (agents >= 1_000) {
    table.several(`${who}: connect storm, CPU for each`, ours.storm, ['cpuUs'], of('storm'), 'µs');
    table.several(`${who}: a policy change, CPU for each`, ours.changes, ['cpuUs'], of('changes'), 'µs');
    table.several(`${who}, half of them report: CPU a report`, ours.reports, ['cpuUs'], of('reports'), 'µs');
  }
  const reporting = median(ours.reports, 'commands');
  table.row(`${who}, half of them report: Redis commands`, `${reporting.toFixed(0)} a second`);
  table.row(`${who}: Redis commands while a policy changes`, `${commands.toFixed(0)} a second`);
  table.row(`${who}: a hundred edits, first put to the last agent level`, `${edits.lastMs.toFixed(0)} ms`);
  table.row(`${who}: a hundred edits, messages for each`, edits.messages.toFixed(1));
}

async function ourSized(
  { generators, plane, server, redis }: Parts,
  extent: Extent,
): Promise<{ ours: Sized; edits: strains.Edits; commands: number }> {
  const { agents, rounds } = extent;
  const [changes, directives, seen]: [Fan[], Fan[], number[]] = [[], [], []];
  try {
    const storm = await measures.storm(generators, server, agents);
    for (let i = 0; i < rounds; i++) {
      const change = () => measures.change(generators, plane, server, agents, FIRST + agents + i);
      const { result, perSecond } = await measures.commands(redis, change);
      changes.push(result);
      seen.push(perSecond);
      directives.push(await measures.direct(generators, plane, server, 'open'));
      await measures.direct(generators, plane, server, 'auto');
    }
    const reports = [await reported(generators, server, redis, extent)];
    const edits = await strains.edits(generators, plane, server, {
      agents,
      round: EDITS_FIRST + Math.round(agents / 100),
    });
    const ours = { storm: [storm], changes, directives, reports };
    return { ours, edits, commands: spread(seen).median };
  } finally {
    await generators.leave(server.name);
  }
}

/** The same bytes as often from a bare server. */
async function bareSized(
  generators: Generators,
  bare: BareServer,
  { ours, redis }: { ours: Sized; redis: BenchRedis },
  extent: Extent,
): Promise<Sized> {
  const push = ({ sample }: Fan, answered: boolean) =>
    measures.push(generators, bare, bare.process, sample, answered);
  const [changes, directives]: [Fan[], Fan[]] = [[], []];
  try {
    const storm = await measures.storm(generators, bare, extent.agents);
    for (const change of ours.changes) changes.push(await push(change, true));
    for (const directive of ours.directives) directives.push(await push(directive, false));
    const reports = [await reported(generators, bare, redis, extent)];
    return { storm: [storm], changes, directives, reports };
  } finally {
    await generators.leave(bare.name);
  }
}

/** How many files a process may have; Node asks for as many as it can get. */
function openFiles(): number {
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}
