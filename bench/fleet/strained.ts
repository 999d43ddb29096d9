/**
 * The rows of a replica's bad days: a hundred edits, readers that read nothing, all the reports that it can take in, another replica that
 * dies; each as often as there are rounds.
 */
import { spread } from '../harness.js';
import { type Plane, startPlane } from '../plane.js';
import type { BenchRedis } from '../redis.js';
import type { Server } from './measures.js';
import * as measures from './measures.js';
import { type BareServer, type Generators, startBare } from './parts.js';
import * as strains from './strains.js';
import { median, type Table } from './table.js';

const STALLED_MS = 60_000;
const UNHINDERED_MS = 25_000;
const BARE_PUSHES = 3;

export interface Strained {
  readonly generators: Generators;
  readonly plane: Plane;
  readonly server: Server;
  readonly bare: readonly BareServer[];
  readonly redis: BenchRedis;
  readonly inspector: string;
  /** What an agent hears when it comes. */
  readonly first: readonly Uint8Array[];
}

export interface Extent {
  readonly agents: number;
  readonly processes: number;
  readonly rounds: number;
}

export async function strained(parts: Strained, extent: Extent, table: Table): Promise<void> {
  const { sample } = await edits(parts, extent, table);
  await readers(parts, extent, sample, table);
  await ingest(parts, extent, table);
  await killed(parts, extent, table);
}

async function edits(
  { generators, plane, server, bare, redis }: Strained,
  { agents, rounds }: Extent,
  table: Table,
): Promise<{ sample: Uint8Array }> {
  const ours: (strains.Edits & { perSecond: number })[] = [];
  const theirs = bare.map(({ name }) => [name, [] as measures.Fan[]] as const);
  for (let round = 0; round < rounds; round++) {
    const { result, perSecond } = await measures.commands(redis, () =>
      strains.edits(generators, plane, server, { agents, round }),
    );
    ours.push({ ...result, perSecond });
    for (const [i, each] of bare.entries())
      theirs[i]?.[1].push(await measures.push(generators, each, each.process, result.sample, true));
  }
  const of = (key: keyof (typeof ours)[number], digits = 0) => median(ours, key).toFixed(digits);
  table.row('a hundred edits in a row: first put to the last agent level', `${of('lastMs')} ms`);
  table.row(
    'a hundred edits: first put to what each agent heard last, p50 / p99',
    `${of('heardP50Ms')} / ${of('heardP99Ms')} ms`,
  );
  table.row('a hundred edits: messages for each agent', of('messages', 1));
  for (const [name, pushes] of theirs)
    table.row(
      'a hundred edits: CPU a message',
      `${of('cpuUsEach')} µs`,
      `${name}: ${median(pushes, 'cpuUs').toFixed(0)} µs`,
      `${(median(ours, 'cpuUsEach') / median(pushes, 'cpuUs')).toFixed(2)} ×`,
    );
  table.row('a hundred edits: lag of the loop, p99', `${of('lagMs')} ms`);
  table.row('a hundred edits: Redis commands', `${of('perSecond')} a second`);
  table.row('a hundred edits: a put, p99', `${of('putP99Ms')} ms`);
  return { sample: ours[0]?.sample ?? new Uint8Array() };
}

/** Rounds without and with readers that read nothing take turns. */
async function readers(
  { generators, plane, server, bare, inspector }: Strained,
  { agents, processes, rounds }: Extent,
  message: Uint8Array,
  table: Table,
): Promise<void> {
  const some = Math.max(1, Math.round(agents / 100 / processes)) * processes;
  const seen: { p99: number; ratio: number; kbEach: number; free: number; lagMs: number }[] = [];
  await strains.laggardsCome(generators, server, some);
  for (let round = 0; round < rounds; round++) {
    const during = (stalled: boolean, forMs: number) =>
      strains.readers(
        { generators, plane, server, inspector },
        {
          agents: agents + some,
          stalled: stalled ? some / processes : 0,
          forMs,
          round: 2 * round + Number(stalled),
        },
      );
    const free = await during(false, UNHINDERED_MS);
    const slow = await during(true, STALLED_MS);
    seen.push({
      p99: slow.p99Ms,
      free: free.p99Ms,
      ratio: slow.p99Ms / free.p99Ms,
      kbEach: Math.max(0, slow.heldKb - free.heldKb) / some,
      lagMs: slow.lagMs,
    });
  }
  await generators.leave(strains.LAGGARDS);
  const [p99, kbEach] = [median(seen, 'p99'), median(seen, 'kbEach')];
  const slower = median(seen, 'ratio');
  table.row(
    `${some} more agents read nothing for a minute: a change to the others, p99`,
    `${p99.toFixed(0)} ms`,
    `all read: ${median(seen, 'free').toFixed(0)} ms`,
    `${slower.toFixed(2)} ×`,
  );
  for (const each of bare) {
    const p99s: number[] = [];
    for (let round = 0; round < rounds; round++)
      p99s.push(
        await strains.bareReaders(generators, each, {
          stalled: some / processes,
          pushes: BARE_PUSHES,
          message,
        }),
      );
    const theirs = spread(p99s).median;
    table.row(
      'the same, beside a bare server that sends to as many',
      `${p99.toFixed(0)} ms`,
      `${each.name}: ${theirs.toFixed(0)} ms`,
      `${(p99 / theirs).toFixed(2)} ×`,
    );
  }
  table.row('the same: lag of the loop, p99', `${median(seen, 'lagMs').toFixed(0)} ms`);
  table.row(
    `memory more for each of those, while ${strains.BULK_KB} KB are there for it to read`,
    `${kbEach.toFixed(1)} KB`,
  );
  table.figures.push(
    { name: 'fleet: p99 of a change while 1 % read nothing ÷ all read', value: slower },
    { name: 'fleet: KB more for each agent that reads nothing', value: kbEach },
  );
}

async function ingest(parts: Strained, { agents, processes, rounds }: Extent, table: Table): Promise<void> {
  const offered = { reporters: Math.min(2_000, agents / processes), periodMs: 80, processes };
  const all: strains.Ingest[] = [];
  for (let round = 0; round < rounds; round++) all.push(await strains.ingest(parts, offered));
  const taken = median(all, 'taken');
  table.row(
    `${median(all, 'offered').toFixed(0)} reports of four cells a second offered: taken in`,
    `${taken.toFixed(0)} a second`,
    `${median(all, 'corePercent').toFixed(0)} % of a core`,
  );
  // Upside down, since a bound is the most that may be.
  table.figures.push({ name: 'fleet: 30,000 reports a second ÷ taken in', value: 30_000 / taken });
}

/** A fifth more agents are on a replica that dies, and come to this one. */
async function killed(
  { generators, server, bare, redis, first }: Strained,
  { agents, rounds }: Extent,
  table: Table,
): Promise<void> {
  const more = agents / 5;
  const ours: strains.Killed[] = [];
  const theirs = bare.map(({ name }) => [name, [] as strains.Killed[]] as const);
  for (let round = 0; round < rounds; round++) {
    const other = await startPlane(redis.url);
    const second = { pid: other.pid, port: Number(other.grpc.split(':').at(-1)) };
    ours.push(await strains.killed({ generators, server, other: second }, more).finally(() => other.close()));
    for (const [i, each] of bare.entries()) {
      const other = await startBare(each.name, first);
      theirs[i]?.[1].push(await strains.killed({ generators, server: each, other }, more));
    }
  }
  table.row(
    `another replica is killed: until the last of its ${more} agents knows all again`,
    `${median(ours, 'lastMs').toFixed(0)} ms`,
    `${ours.reduce((sum, { restFailed }) => sum + restFailed, 0)} times not ready`,
  );
  table.several('another replica is killed: p50 / p99 / last', ours, ['p50Ms', 'p99Ms', 'lastMs'], theirs);
  table.row('another replica is killed: lag of the loop, p99', `${median(ours, 'lagMs').toFixed(0)} ms`);
}
