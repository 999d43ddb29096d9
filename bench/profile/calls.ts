/**
 * One call after another through the agent, in a process of its own that profiles itself: `guard` with circuit, bulkhead, timeout and
 * retry, and the interceptor with the same policies over a transport that answers at once. An application has mostly one of the two,
 * and what the compiler learns from the other should not count. `profileCalls` starts the processes, which run this same file.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';
import type { Loop } from '../harness.js';
import { clients } from '../hot-grpc.js';
import { startPlane } from '../plane.js';
import { policies } from '../policies.js';
import { between, type Cpu, cpuOf } from './cpu.js';
import type { CpuProfile } from './frames.js';
import type { Profiled } from './profiled.js';

type Sdk = typeof import('../../sdk/index.js');
type Mesh = import('../../sdk/index.js').Mesh;

const kinds = {
  guard: 'guard with circuit, bulkhead, timeout and retry',
  interceptor: 'interceptor with circuit, bulkhead, timeout and retry, no network',
} as const;
type Kind = keyof typeof kinds;

const INTERVAL_US = 200;
const WARM_CALLS = 200_000;
const CALLS_OF_A_STEP = 5_000;
const PROFILED_MS = 5_000;
const ENDS_WITHIN_MS = 60_000;
const FLAG = '--profile-calls=';

interface Said {
  readonly profile: CpuProfile;
  readonly cpu: Cpu;
  readonly calls: number;
}

export async function profileCalls(): Promise<Profiled[]> {
  const plane = await startPlane('memory');
  try {
    await plane.put('profile-all', 'four', policies.four);
    const all: Profiled[] = [];
    for (const kind of Object.keys(kinds) as Kind[]) {
      const { profile, cpu, calls } = await alone(kind, plane.grpc);
      const title = `Agent: ${kinds[kind]}, ${(calls / 1e6).toFixed(1)} million calls`;
      all.push({ name: `agent-${kind}`, title, profile, cpu });
    }
    return all;
  } finally {
    await plane.close();
  }
}

/** Rejects if the process ends, or a minute goes by, without a profile. */
async function alone(kind: Kind, controlPlane: string): Promise<Said> {
  const child = fork(fileURLToPath(import.meta.url), [`${FLAG}${kind}`, controlPlane], {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  const late = setTimeout(() => child.kill(), ENDS_WITHIN_MS);
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that profiles ${kind} ended without a profile (${code})`);
  });
  try {
    const [said] = (await Promise.race([once(child, 'message'), gone])) as [Said];
    return said;
  } finally {
    clearTimeout(late);
    gone.catch(() => {});
    if (child.connected) child.disconnect();
  }
}

async function connected(controlPlane: string): Promise<Mesh> {
  const index = new URL('../../dist/sdk/index.js', import.meta.url).href;
  const { connect } = (await import(index)) as Sdk;
  const mesh = await connect({ service: 'profile', controlPlane, callees: ['four'], snapshot: false });
  if (mesh.status().policies !== 1)
    throw new Error(`the policy is not in force: ${JSON.stringify(mesh.status().refused)}`);
  return mesh;
}

function loopOf(kind: Kind, mesh: Mesh): { readonly loop: Loop; close(): void } {
  if (kind === 'interceptor') {
    const interceptor = () => mesh.interceptor('four');
    const { two: loop, close } = clients({ interceptor } as unknown as Mesh);
    return { loop, close };
  }
  return { loop: (calls) => guarded(mesh, calls), close: () => {} };
}

// Functions with names of their own, which stand in the picture.
async function guarded(mesh: Mesh, calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) await mesh.guard('four', work);
}

async function work(): Promise<number> {
  return 1;
}

/** What the process does that `alone` starts. */
async function profileSelf(kind: Kind, controlPlane: string): Promise<Said> {
  const mesh = await connected(controlPlane);
  const { loop, close } = loopOf(kind, mesh);
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  await loop(WARM_CALLS);
  const before = cpuOf(process.pid);
  await session.post('Profiler.start');
  const end = performance.now() + PROFILED_MS;
  let calls = 0;
  for (; performance.now() < end; calls += CALLS_OF_A_STEP) {
    await loop(CALLS_OF_A_STEP);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { profile } = await session.post('Profiler.stop');
  const cpu = between(before, cpuOf(process.pid));
  session.disconnect();
  close();
  await mesh.close();
  return { profile: profile as unknown as CpuProfile, cpu, calls };
}

const kind = process.argv[2]?.startsWith(FLAG) ? process.argv[2].slice(FLAG.length) : undefined;
if (kind) {
  const said = await profileSelf(kind as Kind, process.argv[3] ?? '');
  process.send?.(said);
}
