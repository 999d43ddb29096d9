/**
 * Time as a value that is handed in. Every decision of the core takes `now`: milliseconds on a **monotonic** clock, with no
 * meaning beyond differences. `systemClock` stands beside the interface and is, with `system-random`, the only place of the
 * project that touches the machine's own time; a test of the architecture keeps it so.
 */

/** A timer that can be called off. Timers never keep the process alive unless `ref` was asked for. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds, monotonic, fractional; only differences mean anything. */
  now(): number;
  /** Milliseconds since 1970, for people and files; never for a decision. */
  wallNow(): number;
  /** Calls `fn` once, no earlier than `delayMs` from now (0 to 2^31-1). */
  after(delayMs: number, fn: () => void, options?: { ref?: boolean }): Timer;
  /** Calls `fn` every `intervalMs` until cancelled. */
  every(intervalMs: number, fn: () => void, options?: { ref?: boolean }): Timer;
}

const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** Taken once: the global is an accessor, and reading it for each call costs as much as a tenth of the call's protection. */
const { performance } = globalThis;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, fn, options) {
    const handle = setTimeout(fn, Math.min(Math.max(0, delayMs), TIMEOUT_MAX_MS));
    if (options?.ref !== true) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  every(intervalMs, fn, options) {
    const handle = setInterval(fn, Math.min(Math.max(1, intervalMs), TIMEOUT_MAX_MS));
    if (options?.ref !== true) handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
};

/** Resolves after `delayMs` of that clock; an abort resolves early (the caller looks at its signal). */
export function wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delayMs, done, { ref: true });
    signal?.addEventListener('abort', done, { once: true });
  });
}
