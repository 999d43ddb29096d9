/**
 * The control plane under a fleet of light agents, a profile for each thing it does most: agents that come all at once, policy changes
 * to all, reports. One process with the built command line on a real Redis, as users run it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import * as measures from '../fleet/measures.js';
import { Generators } from '../fleet/parts.js';
import { type Plane, startPlane } from '../plane.js';
import { startRedis } from '../redis.js';
import { between, cpuOf } from './cpu.js';
import { inspected, inspectorIn, Profiler } from './inspector.js';
import type { Profiled } from './profiled.js';

const GENERATORS = 2;
const INTERVAL_US = 500;
const FLEET = 'control plane';
/** Changes follow each other no faster than the fan-out lets them go. */
const BETWEEN_CHANGES_MS = 500;
const CHANGES = 30;
const REPORTS_MS = 15_000;
/** Until what is asked of the fleet goes its even way. */
const SETTLE_MS = 3_000;

/** `agents`: a multiple of two. */
export async function profilePlane(agents: number): Promise<Profiled[]> {
  const redis = await startRedis();
  let generators: Generators | undefined;
  let plane: Plane | undefined;
  let profiler: Profiler | undefined;
  try {
    generators = await Generators.start(GENERATORS);
    let address: string | undefined;
    const onErrorLine = (line: string) => {
      const found = inspectorIn(line);
      if (found) address = found;
      else if (!/^(For help, see|Debugger (attached|ending))/.test(line)) console.error(line);
    };
    plane = await startPlane(redis.url, { nodeFlags: [inspected], onErrorLine });
    if (!address) throw new Error(`the control plane was started with ${inspected}, and named no inspector`);
    profiler = await Profiler.connect(address, INTERVAL_US);
    return await phases(plane, generators, profiler, agents);
  } finally {
    profiler?.close();
    generators?.close();
    await plane?.close();
    await redis.close();
  }
}

async function phases(
  plane: Plane,
  generators: Generators,
  profiler: Profiler,
  agents: number,
): Promise<Profiled[]> {
  const during = async (name: string, what: string, act: () => Promise<void>): Promise<Profiled> => {
    const before = cpuOf(plane.pid);
    await profiler.start();
    await act();
    const profile = await profiler.stop();
    return { name, title: `Control plane: ${what}`, profile, cpu: between(before, cpuOf(plane.pid)) };
  };
  for (const callee of measures.CALLEES) await plane.put(`${callee}-default`, callee, spec(0));
  const port = Number(plane.grpc.split(':').at(-1));
  // Neither scraped nor visited meanwhile: answering would be in the picture.
  const server = { name: FLEET, pid: plane.pid, port, lagMs: async () => Number.NaN };
  const storm = await during('control-plane-storm', `${agents} agents connect at once`, async () => {
    await measures.storm(generators, server, agents);
  });
  const changes = await during(
    'control-plane-changes',
    `${CHANGES} policy changes to ${agents} agents`,
    async () => {
      for (let round = 1; round <= CHANGES; round++) {
        const heard = generators.expect(FLEET, 'delta');
        await plane.put('inventory-default', 'inventory', spec(round));
        await heard;
        await pause(BETWEEN_CHANGES_MS);
      }
    },
  );
  measures.busy(generators, FLEET, agents / GENERATORS);
  await pause(SETTLE_MS);
  const seconds = REPORTS_MS / 1_000;
  const reports = await during(
    'control-plane-reports',
    `${agents} agents report each second, for ${seconds} seconds`,
    () => pause(REPORTS_MS),
  );
  return [storm, changes, reports];
}

function spec(round: number): object {
  return { timeout: `${1_000 + round}ms`, circuit: { scope: 'cluster' }, bulkhead: { maxConcurrent: 100 } };
}
