/**
 * `guard`: any asynchronous work under the policies of a name. The common case, with no time limit and no signal, is one async
 * function around the plan's two synchronous calls; whoever needs a limit, a signal or a place in line takes the longer way
 * in `work.ts`. The control plane has no part in a call.
 */
import { TURNED_AWAY } from '../core/resilience/plan.js';
import {
  type GuardContext,
  type GuardedFunction,
  type GuardOptions,
  outcomeOfThrown,
} from './guarded-function.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';
import { runFully } from './work.js';

export type { GuardContext, GuardedFunction, GuardOptions } from './guarded-function.js';

/**
 * Runs `fn` under the policies of `name`. Rejects with what `fn` throws; with a MeshError (`circuit_open`, `bulkhead_full`,
 * `bulkhead_timeout`, `deadline_exceeded`, `overloaded`, `mesh_closed`) where a policy ends the call; with `signal.reason`.
 */
export function guard<T>(
  targets: Targets,
  name: string,
  fn: GuardedFunction<T>,
  options?: GuardOptions,
): Promise<T> {
  let target: Target;
  try {
    target = targets.get(name);
  } catch (error) {
    return Promise.reject(error);
  }
  if (!target.timeless || options?.signal !== undefined)
    return runFully(targets, target, fn, options?.signal);
  return run(targets, target, fn);
}

async function run<T>(targets: Targets, target: Target, fn: GuardedFunction<T>): Promise<T> {
  const { plan } = target;
  const { clock } = targets;
  // Not a number compares as false with everything: whoever asks how long this took finds that it was not slow.
  const startedAt = plan.timeless ? Number.NaN : clock.now();
  const handle = plan.admit(startedAt, Number.POSITIVE_INFINITY);
  if (handle < 0) {
    if (handle === TURNED_AWAY) throw target.rejection(plan, clock.now());
    return runFully(targets, target, fn, undefined, true);
  }
  let value: T;
  try {
    value = await fn(new Unlimited());
  } catch (error) {
    const outcome = outcomeOfThrown(error);
    const now = clock.now();
    plan.finish(handle, outcome, now);
    target.lastUsedAt = now;
    target.count(outcome, now - startedAt);
    throw error;
  }
  const now = clock.now();
  plan.finish(handle, 'success', now);
  target.lastUsedAt = now;
  target.count('success', now - startedAt);
  return value;
}

/** The context of a call without a limit and a caller's signal: a signal that never aborts, if anybody asks. */
class Unlimited implements GuardContext {
  private controller: AbortController | undefined = undefined;

  // Getters, so that an object that hardly anybody reads has one field to fill.
  get attempt(): number {
    return 1;
  }

  get deadline(): undefined {
    return undefined;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return this.controller.signal;
  }
}
