/**
 * A guarded attempt in the line of a gate: it lines up, is granted a place, has to make room, loses patience, or hears that the mesh
 * closes. What it holds meanwhile is a place in the line and, of what came before, what the plan gives back.
 */
import type { AsyncResource } from 'node:async_hooks';
import type { Waiter } from '../core/resilience/gate.js';
import type { Deadlined } from './deadlines.js';
import { ADMITTING, LINED_UP, OVER, Patience, type Rare } from './guard-rare.js';
import type { Compiled, Target } from './target.js';
import type { Pending, Targets } from './targets.js';

/** An attempt, as far as its line is concerned. */
export interface InLine extends Waiter, Pending, Deadlined {
  readonly targets: Targets;
  readonly target: Target;
  readonly held: Compiled;
  readonly wholeAt: number;
  readonly resource: AsyncResource | undefined;
  readonly rare: Rare | undefined;
  stage: number;
  handle: number;
  endsAt: number;
  rarely(): Rare;
  keepContext(): void;
  lengthMs(now: number): number;
  lift(): void;
  advance(handle: number, now: number, lengthMs: number): void;
  run(lengthMs: number): void;
  refuse(error: unknown): void;
}

/** A gate has just told it to wait. */
export function lineUp(attempt: InLine, now: number): void {
  const { targets, target, held } = attempt;
  const { plan } = held;
  const handle = plan.waiting;
  if (attempt.stage === OVER) {
    plan.displaced(handle, now);
    return;
  }
  attempt.handle = handle;
  const rare = attempt.rarely();
  rare.wholeAt = attempt.wholeAt;
  rare.linedUpAt = now;
  rare.patience ??= new Patience(attempt);
  attempt.keepContext();
  if (!targets.pending(attempt)) {
    plan.displaced(handle, now);
    attempt.refuse(target.meshClosed());
    return;
  }
  attempt.stage = LINED_UP;
  const patienceMs = Math.min(target.queueTimeoutMs(held.effective), attempt.wholeAt - now);
  targets.timeouts.set(rare.patience, now, patienceMs);
  // Last: who has to make room for it may end another call, whose slot is its own in that same tick.
  plan.wait(attempt);
}

/** A slot came free and is its own; the rest of the gates may still turn it away. */
export function granted(attempt: InLine): void {
  const { targets, target, held } = attempt;
  const now = targets.clock.now();
  attempt.lift();
  targets.settled(attempt);
  target.waited(now - attempt.rarely().linedUpAt);
  const lengthMs = attempt.lengthMs(now);
  attempt.endsAt = now + lengthMs;
  // While the rest of the gates decide, an end by whoever hears of their transitions has to wait.
  attempt.stage = ADMITTING;
  const handle = held.plan.resume(attempt.handle, now, attempt.endsAt);
  attempt.handle = handle;
  if (handle < 0) {
    attempt.advance(handle, now, lengthMs);
  } else if (stageOf(attempt) === OVER) {
    held.plan.finish(handle, 'neutral', now);
  } else if (now >= attempt.wholeAt) {
    held.plan.finish(handle, 'neutral', now);
    attempt.refuse(target.lateInLine(sectionOf(attempt), held.effective));
  } else {
    attempt.stage = LINED_UP;
    const start = () => {
      if (stageOf(attempt) === LINED_UP) attempt.run(lengthMs);
    };
    // This runs where another call ends; its function runs in its own caller's context, and not on that stack.
    queueMicrotask(() => attempt.resource?.runInAsyncScope(start));
  }
}

/** A more critical call needs its place. */
export function displaced(attempt: InLine): void {
  const { targets, target, held } = attempt;
  attempt.lift();
  targets.settled(attempt);
  held.plan.displaced(attempt.handle, targets.clock.now());
  attempt.refuse(target.displaced(held.effective));
}

/** Its time in line is over, or that of the whole call. */
export function outOfPatience(attempt: InLine, now: number): void {
  const { targets, target, held } = attempt;
  held.plan.abandon(attempt.handle, attempt, now);
  targets.settled(attempt);
  const late = now >= attempt.wholeAt;
  attempt.refuse(
    late ? target.lateInLine(sectionOf(attempt), held.effective) : target.noSlot(held.effective),
  );
}

/** The mesh closes while it waits. */
export function cancelled(attempt: InLine): void {
  if (attempt.stage !== LINED_UP) return;
  const { targets, target, held } = attempt;
  const now = targets.clock.now();
  attempt.lift();
  held.plan.abandon(attempt.handle, attempt, now);
  // Granted in this very tick, by another that ended so: the slot is ours and goes back.
  held.plan.finish(attempt.handle, 'neutral', now);
  attempt.refuse(target.meshClosed());
}

/** Whose limit that of the whole is. */
function sectionOf(attempt: InLine): 'timeout' | undefined {
  return attempt.rare?.inherited === true ? undefined : 'timeout';
}

/** Read anew: what was called meanwhile may have changed it. */
function stageOf(attempt: InLine): number {
  return attempt.stage;
}
