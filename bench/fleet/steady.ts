/**
 * A fleet to which nothing happens: nothing but heartbeats, and reports from half of the agents.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { spread } from '../harness.js';
import type { BenchRedis } from '../redis.js';
import type { Server } from './measures.js';
import * as measures from './measures.js';
import type { BareServer, Generators } from './parts.js';
import { median, type Table } from './table.js';

/** A window of a round. Heartbeats are spread evenly over 15 s: no shorter, or some would be missed. */
const WINDOW_MS = 15_000;
const REPORTING_MS = 8_000;
/** Until the reports go their even way. */
const LEAD_MS = 3_000;

export interface Window {
  /** Percent of a core. */
  readonly share: number;
  /** For each report, of a second with the beats in it. */
  readonly cpuUs: number;
  readonly lagMs: number;
  /** Redis commands a second. */
  readonly commands: number;
}

interface SteadyParts {
  readonly generators: Generators;
  readonly server: Server;
  readonly bare: readonly BareServer[];
  readonly redis: BenchRedis;
}

export async function steady(
  { generators, server, bare, redis }: SteadyParts,
  { agents, processes, rounds }: { agents: number; processes: number; rounds: number },
  table: Table,
): Promise<void> {
  const all = [server, ...bare];
  const beats: Window[][] = all.map(() => []);
  const reporting: Window[][] = all.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, window] of (await beating(all, redis)).entries()) beats[i]?.push(window);
    for (const [i, each] of all.entries())
      reporting[i]?.push(await reported(generators, each, redis, { agents, processes }));
  }
  rows(beats, reporting, { agents, names: bare.map(({ name }) => name) }, table);
}

/** All of them at once: heartbeats leave enough for each. */
async function beating(all: readonly Server[], redis: BenchRedis): Promise<Window[]> {
  const { result, perSecond } = await measures.commands(redis, () =>
    Promise.all(all.map(({ pid }) => measures.share(pid, WINDOW_MS))),
  );
  return result.map((share) => ({ share, cpuUs: Number.NaN, lagMs: Number.NaN, commands: perSecond }));
}

/** Half of one server's agents report each second. */
export async function reported(
  generators: Generators,
  server: Server,
  redis: BenchRedis,
  { agents, processes }: { agents: number; processes: number },
): Promise<Window> {
  const reporters = agents / 2;
  measures.busy(generators, server.name, reporters / processes);
  await pause(LEAD_MS);
  await server.lagMs();
  const { result: share, perSecond } = await measures.commands(redis, () =>
    measures.share(server.pid, REPORTING_MS),
  );
  const lagMs = await server.lagMs();
  measures.quiet(generators, server.name);
  return { share, cpuUs: (share * 10_000) / reporters, lagMs, commands: perSecond };
}

function rows(
  [beats = [], ...theirBeats]: readonly Window[][],
  [ours = [], ...others]: readonly Window[][],
  { agents, names }: { agents: number; names: readonly string[] },
  table: Table,
): void {
  const reporters = agents / 2;
  const more = (theirs: readonly Window[]) =>
    spread(ours.map(({ share }, i) => share - (theirs[i]?.share ?? Number.NaN))).median;
  const alone = median(beats, 'share');
  for (const [i, name] of names.entries()) {
    const their = median(theirBeats[i] ?? [], 'share');
    table.row(
      `${agents} agents that only beat`,
      `${alone.toFixed(1)} % of a core`,
      `${name}: ${their.toFixed(1)} %`,
      `${(alone / their).toFixed(2)} ×`,
    );
  }
  const idle = median(beats, 'commands');
  table.row(`${agents} agents that only beat: Redis commands`, `${idle.toFixed(1)} a second`);
  const what = `${reporters} agents that report four cells a second`;
  for (const [i, name] of names.entries())
    table.row(
      what,
      `${median(ours, 'share').toFixed(1)} % of a core`,
      `${name}: ${median(others[i] ?? [], 'share').toFixed(1)} %`,
      `${more(others[i] ?? []).toFixed(1)} % more`,
    );
  const theirs = names.map((name, i) => [name, others[i] ?? []] as const);
  table.beside('a report, with the beats of that second: CPU', ours, 'cpuUs', theirs, 'cpuUs', 'µs');
  table.beside(`${what}: lag of the loop, p99`, ours, 'lagMs', theirs);
  const commands = median(ours, 'commands');
  table.row(
    `${what}: Redis commands`,
    `${commands.toFixed(1)} a second`,
    `beats: ${idle.toFixed(1)}`,
    `${(commands / idle).toFixed(2)} ×`,
  );
  table.figures.push(
    { name: 'fleet: 10,000 agents that only beat, % of a core', value: (alone * 10_000) / agents },
    {
      name: 'fleet: 5,000 agents that report each second, % of a core more than bare grpc-js',
      value: (more(others[0] ?? []) * 5_000) / reporters,
    },
  );
}
