/** CPU of a process by thread, as Linux counts it: what a sampler of JavaScript does not see is in the difference. */
import { readFileSync } from 'node:fs';
import { cpuMs } from '../fleet/parts.js';

/** Milliseconds since the process began, or between two moments; in steps of ten. */
export interface Cpu {
  /** All threads: the collector's, the compiler's and the profiler's own as well. */
  readonly processMs: number;
  /** The thread that runs JavaScript. */
  readonly mainMs: number;
  /** Of that, in the kernel: mostly sockets. */
  readonly mainKernelMs: number;
}

/** Of /proc; Linux has 100 in a second. */
const TICK_MS = 10;

export function cpuOf(pid: number): Cpu {
  const text = readFileSync(`/proc/${pid}/task/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [user, kernel] = [Number(fields[11]) * TICK_MS, Number(fields[12]) * TICK_MS];
  return { processMs: cpuMs(pid), mainMs: user + kernel, mainKernelMs: kernel };
}

export function between(before: Cpu, after: Cpu): Cpu {
  return {
    processMs: after.processMs - before.processMs,
    mainMs: after.mainMs - before.mainMs,
    mainKernelMs: after.mainKernelMs - before.mainKernelMs,
  };
}
