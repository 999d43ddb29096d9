/**
 * What an agent costs the control plane in memory, all included: its stream, its registration, the circuits that it reports, a directive
 * that it was told. A fresh process on an empty store for each round, since who comes again finds memory that others have left.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { startPlane } from '../plane.js';
import type { BenchRedis } from '../redis.js';
import * as measures from './measures.js';
import { CALLEES } from './measures.js';
import { type Generators, rssKb } from './parts.js';
import { site } from './site.js';

const SETTLE_MS = 3_000;
const REPORTED_MS = 5_000;

export interface Memory {
  readonly kbEach: number;
}

export async function memory(
  generators: Generators,
  redis: BenchRedis,
  { agents, rounds, processes }: { agents: number; rounds: number; processes: number },
): Promise<readonly Memory[]> {
  const all: Memory[] = [];
  for (let round = 0; round < rounds; round++) {
    const plane = await startPlane(redis.url);
    try {
      const server = await site(plane, `memory ${round}`);
      await pause(SETTLE_MS);
      const before = rssKb(plane.pid);
      await generators.connect(server.name, [server.port], agents, CALLEES, { registered: true });
      measures.busy(generators, server.name, agents / processes);
      await pause(REPORTED_MS);
      await measures.direct(generators, plane, server, 'open');
      measures.quiet(generators, server.name);
      await pause(SETTLE_MS);
      all.push({ kbEach: (rssKb(plane.pid) - before) / agents });
      await generators.leave(server.name);
    } finally {
      await plane.close();
      await redis.empty();
    }
  }
  return all;
}
