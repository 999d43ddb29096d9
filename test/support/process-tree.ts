/** Processes below another, as tests look for what a program leaves behind; only looks, ends none. */
import { execFileSync } from 'node:child_process';
import { until } from './until.js';

/** Ids of all processes below one, children of children included. */
export function descendants(pid: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const children = rows.filter(([, parent]) => parent === pid).map(([child]) => child ?? 0);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Soon, since a helper of the test's own loader may follow its process a moment later. */
export async function gone(pids: readonly number[], what: string): Promise<void> {
  await until(() => !pids.some(alive), { what });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
