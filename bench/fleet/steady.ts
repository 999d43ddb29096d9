/**
 * A fleet to which nothing happens: nothing but heartbeats, and reports from half of the agents.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { BenchRedis } from '../redis.js';
import type { Server } from './measures.js';
import * as measures from './measures.js';
import type { BareServer, Generators } from './parts.js';
import type { Table } from './table.js';

const STEADY_MS = 20_000;

interface Reporting {
  /** Percent of a core. */
  readonly share: number;
  /** For each report, of a second with the beats in it. */
  readonly cpuUs: number;
  readonly lagMs: number;
}

export async function steady(
  parts: { generators: Generators; server: Server; bare: readonly BareServer[]; redis: BenchRedis },
  { agents, processes }: { agents: number; processes: number },
  table: Table,
): Promise<void> {
  const { generators, server, bare, redis } = parts;
  const reporters = agents / 2;
  await pause(STEADY_MS / 2);
  const all = [server, ...bare];
  const idle = await measures.commands(redis, () =>
    Promise.all(all.map(({ pid }) => measures.share(pid, STEADY_MS))),
  );
  const [beats = Number.NaN, ...theirBeats] = idle.result;
  const reporting: Reporting[] = [];
  let commands = Number.NaN;
  for (const each of all) {
    measures.busy(generators, each.name, reporters / processes);
    await pause(STEADY_MS / 4);
    await each.lagMs();
    const { result: share, perSecond } = await measures.commands(redis, () =>
      measures.share(each.pid, STEADY_MS),
    );
    const lagMs = await each.lagMs();
    if (each === server) commands = perSecond;
    reporting.push({ share, cpuUs: (share * 10_000) / reporters, lagMs });
    measures.quiet(generators, each.name);
  }
  const [ours, ...others] = reporting;
  const grpc = others[0];
  if (!ours || !grpc) return;
  const theirs = bare.map(({ name }, i) => [name, others.slice(i, i + 1)] as const);
  for (const [i, { name }] of bare.entries())
    table.row(
      `${agents} agents that only beat`,
      `${beats.toFixed(1)} % of a core`,
      `${name}: ${theirBeats[i]?.toFixed(1)} %`,
      `${(beats / (theirBeats[i] ?? Number.NaN)).toFixed(2)} ×`,
    );
  table.row(`${agents} agents that only beat: Redis commands`, `${idle.perSecond.toFixed(1)} a second`);
  const what = `${reporters} agents that report four cells a second`;
  for (const [name, [their]] of theirs)
    table.row(
      what,
      `${ours.share.toFixed(1)} % of a core`,
      `${name}: ${their?.share.toFixed(1)} %`,
      `${(ours.share - (their?.share ?? Number.NaN)).toFixed(1)} % more`,
    );
  table.beside('a report, with the beats of that second: CPU', [ours], 'cpuUs', theirs, 'cpuUs', 'µs');
  table.beside(`${what}: lag of the loop, p99`, [ours], 'lagMs', theirs);
  table.row(
    `${what}: Redis commands`,
    `${commands.toFixed(1)} a second`,
    `beats: ${idle.perSecond.toFixed(1)}`,
    `${(commands / idle.perSecond).toFixed(2)} ×`,
  );
  table.figures.push(
    { name: 'fleet: 10,000 agents that only beat, % of a core', value: (beats * 10_000) / agents },
    {
      name: 'fleet: 5,000 agents that report each second, % of a core more than bare grpc-js',
      value: ((ours.share - grpc.share) * 5_000) / reporters,
    },
  );
}
