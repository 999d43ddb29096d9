/**
 * How a guarded call begins that has more to it than gates: its limits of time, its caller's signal, hedges. Most go on as one
 * attempt and nothing else.
 */
import { Attempt } from './guard-attempt.js';
import { makeCall } from './guard-call.js';
import { limitWhole } from './guard-limits.js';
import type { EngineOptions, GuardedFunction } from './guarded-function.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

const noOptions = {};

/**
 * One attempt that never begins, of the first target that has any, so that the shape of attempts outlives a collection of garbage in
 * which no call is under way: the code that was optimised for it would be thrown away with it.
 */
let shape: Attempt<unknown> | undefined;

/** What `callFully` comes to for nearly every call: no wishes of the caller's, no context, and a target that says `directMs`. */
export function callDirectly<T>(targets: Targets, target: Target, fn: GuardedFunction<T>): Promise<T> {
  const attempt = new Attempt<T>(targets, target, fn, noOptions);
  const promise = promised(attempt);
  if (shape === undefined) shape = shapeOf(targets, target);
  const { coarse } = targets;
  const now = coarse.now();
  target.lastUsedAt = now;
  const { surround } = attempt.held;
  if (surround !== undefined && surround.budget !== undefined) surround.budget.callBegan(false);
  attempt.begin(now, target.directMs, coarse.lagMs);
  return promise;
}

/** `waitingSince`: the target's plan has just answered WAITING to this call's `admit`. */
export function callFully<T>(
  targets: Targets,
  target: Target,
  fn: GuardedFunction<T>,
  options: EngineOptions<T> | undefined,
  waitingSince?: number,
): Promise<T> {
  const attempt = new Attempt<T>(targets, target, fn, options ?? noOptions);
  const promise = promised(attempt);
  if (shape === undefined) shape = shapeOf(targets, target);
  if (options?.signal?.aborted) {
    attempt.reject(options.signal.reason);
    return promise;
  }
  const coarse = target.coarseStart && waitingSince === undefined;
  const now = waitingSince ?? (coarse ? targets.coarse.now() : targets.clock.now());
  // No limit is over early because the clock lagged.
  const lagMs = coarse ? targets.coarse.lagMs : 0;
  target.lastUsedAt = now;
  const wholeMs = limitWhole(attempt, now, lagMs);
  const { surround, effective } = attempt.held;
  if (surround !== undefined) surround.budget?.callBegan(attempt.upstreamRetry);
  if (surround !== undefined || options !== undefined) prepare(attempt, now, wholeMs);
  if (wholeMs <= 0) {
    attempt.late();
  } else if (waitingSince !== undefined) {
    attempt.beginWaiting(now, wholeMs);
  } else {
    const attemptMs = effective.attemptTimeout === undefined ? wholeMs : effective.attemptTimeout.value;
    attempt.begin(now, attemptMs < wholeMs ? attemptMs : wholeMs, lagMs);
  }
  return promise;
}

/** What runs later from a timer has to find its caller's context again; a signal has to be heard, and hedges to be due. */
function prepare<T>(attempt: Attempt<T>, now: number, wholeMs: number): void {
  const { options, held } = attempt;
  const { surround, effective } = held;
  const hedged = surround?.hedge !== undefined && surround.idempotent;
  const fallsBack = surround?.fallback !== undefined || options.fallback !== undefined;
  const limited = wholeMs !== Number.POSITIVE_INFINITY || effective.attemptTimeout !== undefined;
  const retriesLate = surround?.retry !== undefined && effective.attemptTimeout !== undefined;
  if (hedged || retriesLate || (limited && fallsBack)) attempt.keepContext();
  if (!hedged && options.signal === undefined) return;
  const call = makeCall(attempt);
  attempt.coordinator = call;
  if (options.signal !== undefined) call.listen(options.signal);
  if (hedged) call.hedge(now);
}

/**
 * The promise that an attempt's call answers. A variable that an executor assigns would cost a context on the heap for each call,
 * a tenth of its time: so the attempt comes first, and is given what settles its promise.
 */
function promised<T>(attempt: Attempt<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    attempt.resolve = resolve;
    attempt.reject = reject;
  });
}

function shapeOf(targets: Targets, target: Target): Attempt<unknown> {
  const nothing = () => undefined;
  const attempt = new Attempt<unknown>(targets, target, nothing, noOptions);
  promised(attempt);
  return attempt;
}
