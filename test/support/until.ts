/**
 * Waits for something that happens in another process or behind a socket: asks again and again, as fast as the event loop
 * allows, until the answer is truthy. Not for logic, which has a virtual clock.
 */
import { setTimeout as pause } from 'node:timers/promises';

type Truthy<T> = Exclude<NonNullable<T>, false | 0 | ''>;

export async function until<T>(
  ask: () => T | Promise<T>,
  { timeoutMs = 10_000, what }: { timeoutMs?: number; what: string },
): Promise<Truthy<T>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const answer = await ask();
      if (answer) return answer as Truthy<T>;
      last = answer;
    } catch (error) {
      last = error;
    }
    await pause(5);
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}; last answer: ${String(last)}`);
}
