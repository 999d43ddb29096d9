/**
 * What tests of guarded calls with retries, hedges and fallbacks share: functions that fail as told, errors of gRPC, decisions as
 * they were told, and a way to let a call run to its end on a virtual clock.
 */
import type { Decision, DecisionListener } from '../../agent/decisions.js';
import type { GuardContext } from '../../agent/guarded-function.js';
import type { Pending, Targets } from '../../agent/targets.js';
import { settled } from './targets.js';
import type { VirtualClock } from './virtual-clock.js';

export interface Told extends DecisionListener {
  readonly decisions: Decision[];
  /** `<kind> <code>` of each. */
  readonly words: string[];
  /** Called with each, after it was noted. */
  listener: (decision: Decision) => void;
}

/** Listens to decisions. */
export function told(): Told {
  const decisions: Decision[] = [];
  const words: string[] = [];
  const made: Told = {
    decisions,
    words,
    listening: true,
    listener: () => undefined,
    tell(decision) {
      decisions.push(decision);
      words.push(`${decision.kind} ${decision.code}`);
      made.listener(decision);
    },
  };
  return made;
}

/** What is registered to be told when the mesh closes, from here on. */
export function watchPending(targets: Targets): Set<Pending> {
  const all = new Set<Pending>();
  const { pending, settled: gone } = targets;
  targets.pending = (waiting) => {
    all.add(waiting);
    return pending.call(targets, waiting);
  };
  targets.settled = (waiting) => {
    all.delete(waiting);
    gone.call(targets, waiting);
  };
  return all;
}

/** As grpc-js's clients throw it. */
export function serviceError(
  code: number,
  headers: { readonly [name: string]: readonly string[] } = {},
): Error {
  const metadata = { get: (name: string) => headers[name] ?? [] };
  return Object.assign(new Error(`status ${code}`), { code, details: '', metadata });
}

export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** One run of a guarded function, ended by the test. */
export interface Run {
  readonly context: GuardContext;
  readonly attempt: number;
  readonly at: number;
  succeed(value?: string): void;
  fail(error?: unknown): void;
}

/** A function whose every run the test ends; one that is not ended hangs. */
export function runs(clock: VirtualClock): {
  readonly fn: (c: GuardContext) => Promise<string>;
  readonly all: Run[];
} {
  const all: Run[] = [];
  return {
    all,
    fn: (context) =>
      new Promise((resolve, reject) => {
        all.push({
          context,
          attempt: context.attempt,
          at: clock.now(),
          succeed: (value = 'done') => resolve(value),
          fail: (error = new Error('broken')) => reject(error),
        });
      }),
  };
}

/** A function that throws, at once, what it is given in turn, and then answers. Notes when it ran. */
export function throws(
  clock: VirtualClock,
  ...errors: readonly unknown[]
): { readonly fn: (c: GuardContext) => string; readonly at: number[] } {
  const at: number[] = [];
  return {
    at,
    fn: () => {
      at.push(clock.now());
      if (at.length <= errors.length) throw errors[at.length - 1];
      return 'done';
    },
  };
}

/** Lets time pass until the promise has settled; at most so many steps. Answers what it came to. */
export async function outcomeOf<T>(
  clock: VirtualClock,
  promise: Promise<T>,
  stepMs = 250,
): Promise<{ readonly value?: T; readonly error?: unknown }> {
  let end: { value?: T; error?: unknown } | undefined;
  promise.then(
    (value) => {
      end = { value };
    },
    (error: unknown) => {
      end = { error };
    },
  );
  for (let i = 0; i < 200; i++) {
    await settled();
    if (end) return end;
    clock.advance(stepMs);
  }
  throw new Error('the call does not end');
}
