/**
 * An agent's targets with everything around them replaced: policies from a variable, a clock that the test moves, and what
 * was told to whom kept in lists.
 */
import type { DecisionListener } from '../../agent/decisions.js';
import type { Target } from '../../agent/target.js';
import { type CircuitChange, Targets } from '../../agent/targets.js';
import type { Effective } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import { evenRandom } from './specs.js';
import { VirtualClock } from './virtual-clock.js';

export interface Bench {
  readonly clock: VirtualClock;
  readonly targets: Targets;
  readonly changes: CircuitChange[];
  readonly newCallees: string[];
  readonly warnings: string[];
  /** What holds from the next `refresh` on (or for names that are new). */
  policies: (to: string, method: string) => Effective;
  /** Of those, what policies in shadow would change. */
  shadows: (to: string, method: string) => Effective | undefined;
  /** Gives every name these policies, from the next call on. */
  apply(effective: Effective, shadow?: Effective): void;
  /** Called with each change of a circuit, after it was noted. */
  listener: (change: CircuitChange) => void;
}

export function bench(
  effective: Effective = {},
  options: {
    random?: Random;
    maxKeys?: number;
    overflowsMax?: number;
    start?: number;
    decisions?: DecisionListener;
    /** What policies in shadow would change. */
    shadow?: Effective;
    onGone?: (target: Target) => void;
  } = {},
): Bench {
  const clock = new VirtualClock(options.start ?? 1_000);
  const changes: CircuitChange[] = [];
  const newCallees: string[] = [];
  const warnings: string[] = [];
  const quiet = () => undefined;
  const made: Bench = {
    clock,
    changes,
    newCallees,
    warnings,
    policies: () => effective,
    shadows: () => options.shadow,
    apply(next, shadow) {
      made.policies = () => next;
      made.shadows = () => shadow;
      made.targets.refresh();
    },
    listener: quiet,
    targets: new Targets({
      service: 'checkout',
      clock,
      random: options.random ?? evenRandom,
      logger: {
        debug: quiet,
        info: quiet,
        warn: (_fields: unknown, text: string) => void warnings.push(text),
        error: quiet,
      },
      effective: (to, method) => made.policies(to, method),
      shadowed: (to, method) => made.shadows(to, method),
      onNewCallee: (to) => void newCallees.push(to),
      onCircuit: (change) => {
        changes.push(change);
        made.listener(change);
      },
      ...(options.maxKeys === undefined ? {} : { maxKeys: options.maxKeys }),
      ...(options.overflowsMax === undefined ? {} : { overflowsMax: options.overflowsMax }),
      ...(options.decisions === undefined ? {} : { decisions: options.decisions }),
      ...(options.onGone === undefined ? {} : { onGone: options.onGone }),
    }),
  };
  return made;
}

/** A function to guard that ends when, and as, the test says. */
export function work(): {
  readonly fn: () => Promise<string>;
  readonly started: () => number;
  readonly succeed: () => void;
  readonly fail: (error?: unknown) => void;
} {
  let started = 0;
  const ends: { resolve: (value: string) => void; reject: (error: unknown) => void }[] = [];
  return {
    fn: () =>
      new Promise((resolve, reject) => {
        started++;
        ends.push({ resolve, reject });
      }),
    started: () => started,
    succeed: () => ends.shift()?.resolve('done'),
    fail: (error = new Error('broken')) => ends.shift()?.reject(error),
  };
}

/** What a promise rejects with; fails if it fulfils. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

/** Lets everything that is due in microtasks and next ticks happen. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
