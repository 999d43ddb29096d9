/**
 * `streamTimeout` of a response whose head has come: its body must have ended by then, or is cut. An entry among the time limits
 * of all calls; one for each body under way.
 */
import type { Target } from '../target.js';
import type { Targets } from '../targets.js';
import { Expiry } from '../timeouts.js';

export class BodyLimit extends Expiry {
  readonly #cut: () => void;

  private constructor(cut: () => void) {
    super();
    this.#cut = cut;
  }

  expire(): void {
    this.#cut();
  }

  /** Cuts the body of a call that began at `startedAt` when its time is over. Answers the way to lift the limit. */
  static set(
    targets: Targets,
    target: Target,
    startedAt: number,
    cut: (error: Error) => void,
  ): (() => void) | undefined {
    const { effective } = target;
    const limitMs = effective.streamTimeout?.value;
    if (limitMs === undefined) return undefined;
    const limit = new BodyLimit(() =>
      cut(target.timedOut('streamTimeout', 'the response did not end', effective)),
    );
    const now = targets.clock.now();
    targets.timeouts.set(limit, now, Math.max(0, startedAt + limitMs - now));
    return () => targets.timeouts.lift(limit);
  }
}
