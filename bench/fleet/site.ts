/** A control plane with a policy for each callee, as the fleet benchmark looks at it. */
import type { Plane } from '../plane.js';
import { CALLEES, planeLagMs, type Server } from './measures.js';

export async function site(plane: Plane, name: string): Promise<Server> {
  const spec = { timeout: '1s', circuit: { scope: 'cluster' }, bulkhead: { maxConcurrent: 100 } };
  for (const callee of CALLEES) await plane.put(`${callee}-default`, callee, spec);
  const port = Number(plane.grpc.split(':').at(-1));
  return { name, pid: plane.pid, port, rest: plane.rest, lagMs: () => planeLagMs(plane) };
}
