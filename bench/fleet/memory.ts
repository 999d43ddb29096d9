/**
 * What an agent costs the control plane in memory, all its state included: its stream, its registration, the circuits that it reports, a
 * directive that it was told. A fresh process on an empty store for each round, since who comes again finds memory that others have left.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { startPlane } from '../plane.js';
import { inspected, inspectorIn, Profiler } from '../profile/inspector.js';
import type { BenchRedis } from '../redis.js';
import * as measures from './measures.js';
import { CALLEES } from './measures.js';
import { type Generators, rssKb } from './parts.js';
import { site } from './site.js';
import { median, type Table } from './table.js';

const SETTLE_MS = 3_000;
const REPORTED_MS = 5_000;

interface Memory {
  /** Of the process more than before, as the system counts it. */
  readonly rawKb: number;
  /** The same, with the garbage collected before and after. */
  readonly kbEach: number;
}

export async function memory(
  { generators, redis }: { generators: Generators; redis: BenchRedis },
  { agents, rounds, processes }: { agents: number; rounds: number; processes: number },
  table: Table,
): Promise<void> {
  const all: Memory[] = [];
  for (let round = 0; round < rounds; round++)
    all.push(await once(generators, redis, agents, agents / processes));
  const kbEach = median(all, 'kbEach');
  table.row(
    'memory for each agent that is registered, reports and was told a directive, garbage collected',
    `${kbEach.toFixed(1)} KB, with garbage ${median(all, 'rawKb').toFixed(1)} KB`,
  );
  table.figures.push({ name: 'fleet: KB an agent with all its state, garbage collected', value: kbEach });
}

async function once(
  generators: Generators,
  redis: BenchRedis,
  agents: number,
  reporters: number,
): Promise<Memory> {
  let inspector = '';
  const onErrorLine = (line: string) => {
    inspector = inspectorIn(line) ?? inspector;
  };
  const plane = await startPlane(redis.url, { nodeFlags: [inspected], onErrorLine });
  const held = async () => {
    const profiler = await Profiler.connect(inspector, 1_000);
    await profiler.collectGarbage();
    profiler.close();
    return rssKb(plane.pid);
  };
  try {
    const server = await site(plane, 'memory');
    await pause(SETTLE_MS);
    const rawBefore = rssKb(plane.pid);
    const before = await held();
    await generators.connect(server.name, [server.port], agents, CALLEES, { registered: true });
    measures.busy(generators, server.name, reporters);
    await pause(REPORTED_MS);
    await measures.direct(generators, plane, server, 'open');
    measures.quiet(generators, server.name);
    await pause(SETTLE_MS);
    const raw = rssKb(plane.pid);
    const after = await held();
    await generators.leave(server.name);
    return { rawKb: (raw - rawBefore) / agents, kbEach: (after - before) / agents };
  } finally {
    await plane.close();
    await redis.empty();
  }
}
