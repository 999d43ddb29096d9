/**
 * `guard`: any asynchronous work under the policies of a name. The common case, gates alone and no wishes of the caller's, is the
 * plan's two synchronous calls around the function; whatever needs a limit of time, a signal, a place in line or another attempt
 * takes the longer way in `guard-call.ts`. The control plane has no part in a call.
 */

import { criticalities, rankOf } from '../core/criticality.js';
import { MeshError } from '../core/errors.js';
import { type Plan, TURNED_AWAY } from '../core/resilience/plan.js';
import { currentContext } from './context.js';
import { callDirectly, callFully } from './guard-start.js';
import {
  type EngineOptions,
  type GuardContext,
  type GuardedFunction,
  type GuardOptions,
  outcomeOfThrown,
} from './guarded-function.js';
import { TIMED } from './tally.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

const KEY_LENGTH_MAX = 256;
const REFUSED = TURNED_AWAY;

/**
 * Runs `fn` under the policies of `name`. Rejects with what `fn` throws; with a MeshError (`circuit_open`, `bulkhead_full`,
 * `bulkhead_timeout`, `rate_limited`, `overloaded`, `deadline_exceeded`, `fallback_error`, `mesh_closed`) where a policy ends the
 * call; with `signal.reason`.
 */
export function guard<T>(
  targets: Targets,
  name: string,
  fn: GuardedFunction<T>,
  options?: EngineOptions<T>,
): Promise<T> {
  let target: Target;
  try {
    if (options !== undefined) checkOptions(options);
    target = options?.key === undefined ? targets.get(name) : targets.get(name, keyOf(options.key));
  } catch (error) {
    return Promise.reject(error);
  }
  if (options === undefined && currentContext() === undefined) {
    if (target.plain) return run(targets, target, fn);
    if (target.directMs > 0) return callDirectly(targets, target, fn);
  }
  return callFully(targets, target, fn, options);
}

function checkOptions<T>({ criticality, fallback, isFailure, signal }: GuardOptions<T>): void {
  if (criticality !== undefined && rankOf(criticality) === undefined)
    throw wrong(`criticality is ${String(criticality)}: use ${criticalities.join(', ')}`);
  // Called only when something fails: what they would throw then would hide what failed.
  if (fallback !== undefined && typeof fallback !== 'function') throw wrong('fallback must be a function');
  if (isFailure !== undefined && typeof isFailure !== 'function') throw wrong('isFailure must be a function');
  if (signal !== undefined && !isSignal(signal)) throw wrong('signal must be an AbortSignal');
}

/** Of whichever implementation. */
function isSignal(signal: Partial<AbortSignal> | null): boolean {
  return typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
}

function wrong(what: string): MeshError {
  return new MeshError('invalid_configuration', `guard: ${what}`);
}

function keyOf(key: unknown): string {
  if (typeof key === 'string' && key.length <= KEY_LENGTH_MAX) return key;
  throw wrong(`the key must be a text of at most ${KEY_LENGTH_MAX} characters`);
}

/** Plain reactions in place of an async function: no generator, and one promise less. */
function run<T>(targets: Targets, target: Target, fn: GuardedFunction<T>): Promise<T> {
  const { plan } = target;
  const weight = plan.timeless ? target.tally.draw() : TIMED;
  const startedAt = weight === 0 ? Number.NaN : targets.clock.now();
  // Not a number compares as false with everything: whoever asks how long this took finds that it was not slow, by chance or not.
  const handle = plan.admit(weight === TIMED ? startedAt : Number.NaN, Number.POSITIVE_INFINITY);
  if (handle < 0) {
    if (handle === REFUSED) {
      const now = targets.clock.now();
      target.lastUsedAt = now;
      return rejected(target.rejection(plan, now));
    }
    if (target.plan === plan) return callFully(targets, target, fn, undefined, targets.clock.now());
    // Whoever was let in meanwhile has changed the policies: it asks those that hold now.
    plan.displaced(plan.waiting, targets.clock.now());
    return callFully(targets, target, fn, undefined);
  }
  let answer: Promise<T> | T;
  try {
    answer = fn(new Unlimited());
  } catch (error) {
    failed(targets, target, plan, handle, startedAt, weight, error);
    return Promise.reject(error);
  }
  const promise = answer instanceof Promise ? answer : Promise.resolve(answer);
  return promise.then(
    // Short, so that little is lost when a collection of garbage finds none of them alive and drops their code.
    (value: T) => {
      succeeded(targets, target, plan, handle, startedAt, weight);
      return value;
    },
    (error: unknown) => {
      failed(targets, target, plan, handle, startedAt, weight, error);
      throw error;
    },
  );
}

const nothing = Promise.resolve();

/**
 * A promise that will have been rejected by the time anybody could look, and not before: one that is rejected at birth goes through
 * Node's book of unhandled rejections, in and out again, which costs as much as the rest of a rejection.
 */
function rejected(error: unknown): Promise<never> {
  return nothing.then(() => {
    throw error;
  });
}

function succeeded(
  targets: Targets,
  target: Target,
  plan: Plan,
  handle: number,
  startedAt: number,
  weight: number,
): void {
  if (target.coarse && (weight === 0 || (weight === TIMED && !target.tally.sampling))) {
    const now = targets.coarse.now();
    plan.finish(handle, 'success', now);
    target.succeeded(now);
    return;
  }
  const now = targets.clock.now();
  plan.finish(handle, 'success', now);
  target.lastUsedAt = now;
  target.count('success', now - startedAt, weight);
}

function failed(
  targets: Targets,
  target: Target,
  plan: Plan,
  handle: number,
  startedAt: number,
  weight: number,
  error: unknown,
): void {
  const outcome = outcomeOfThrown(error);
  const now = targets.clock.now();
  plan.finish(handle, outcome, now);
  target.lastUsedAt = now;
  target.count(outcome, now - startedAt, weight);
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

/** Keeps the shape of contexts for as long as this process lives, as `guard-start.ts` does that of attempts. */
export const unlimited: GuardContext = new Unlimited();
