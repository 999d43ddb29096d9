/**
 * A change over REST, enforced by 50 connected agents: from the request's start to the last of them. The control plane runs
 * in a process of its own; each agent has its own connection. Enforced means that the agent's circuit has the new revision,
 * which is what its next call is decided under, and that its state and epoch are what they were.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type Mesh } from '../sdk/index.js';
import { conclude, percentile, spread } from './harness.js';
import { type Plane, startPlane } from './plane.js';

const AGENTS = 50;
const CHANGES = 100;
const WARMUP = 10;
/** Changes that stand alone: none within the coalescing interval before. */
const LONE = 30;
const APART_MS = 400;

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'switchgear-live-'));
  const plane = await startPlane(`embedded:${dir}`);
  const meshes: Mesh[] = [];
  try {
    await put(plane, 1);
    for (let i = 0; i < AGENTS; i++) {
      const options = {
        service: 'checkout',
        instance: `bench-${i}`,
        callees: ['inventory'],
        snapshot: false,
      } as const;
      meshes.push(await connect({ ...options, controlPlane: plane.grpc }));
    }
    for (const mesh of meshes) await mesh.guard('inventory', async () => 1);
    const epochs = meshes.map((mesh) => mesh.circuit('inventory').epoch);
    const toLast: number[] = [];
    const toAnswer: number[] = [];
    for (let i = 0; i < WARMUP + CHANGES; i++) {
      const { lastMs, answerMs } = await change(plane, meshes, i + 2);
      if (i >= WARMUP) {
        toLast.push(lastMs);
        toAnswer.push(answerMs);
      }
    }
    const lone: number[] = [];
    for (let i = 0; i < LONE; i++) {
      await pause(APART_MS);
      lone.push((await change(plane, meshes, WARMUP + CHANGES + i + 2)).lastMs);
    }
    const kept = meshes.every((mesh, i) => mesh.circuit('inventory').epoch === epochs[i]);
    if (!kept) throw new Error('a circuit lost its epoch on the way');
    const p99 = percentile(toLast, 0.99);
    conclude({
      title: 'A change, live',
      command: 'npm run bench:live',
      notes: `${CHANGES} changes of one policy over REST, ${AGENTS} agents with a connection each, embedded store (fsync). From the request's start; back to back, so that each meets the coalescing of 250 ms that follows a change.`,
      rows: [
        row('all agents enforce it', toLast),
        row('REST has answered', toAnswer),
        row(`all agents enforce it, a change that stands alone (${LONE})`, lone),
      ],
      figures: [{ name: 'live: REST change enforced by 50 agents, p99 ms', value: p99 }],
    });
  } finally {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await plane.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

function row(what: string, values: readonly number[]) {
  const { median, max } = spread(values);
  const value = `p50 ${median.toFixed(1)} ms, p99 ${percentile(values, 0.99).toFixed(1)} ms, most ${max.toFixed(1)} ms`;
  return { what, value, baseline: '', ratio: '' };
}

function put(plane: Plane, n: number): Promise<number> {
  const spec = { circuit: { minimumCalls: 20 + (n % 50) }, bulkhead: { maxConcurrent: 50 } };
  return plane.put('inventory-default', 'inventory', spec);
}

/** One change, and when the last agent had it: polled on the circuit itself, which needs no help of the SDK's events. */
async function change(
  plane: Plane,
  meshes: readonly Mesh[],
  n: number,
): Promise<{ lastMs: number; answerMs: number }> {
  const before = meshes[0]?.circuit('inventory').revision ?? 0;
  const start = performance.now();
  const seen = new Promise<number>((resolve) => {
    const waiting = new Set(meshes);
    const look = () => {
      for (const mesh of waiting)
        if ((mesh.circuit('inventory').revision ?? 0) > before) waiting.delete(mesh);
      if (waiting.size === 0) resolve(performance.now() - start);
      else setImmediate(look);
    };
    look();
  });
  await put(plane, n);
  const answerMs = performance.now() - start;
  return { lastMs: await seen, answerMs };
}

await main();
