/**
 * `streamTimeout` of a response whose head has come: its body must have ended by then, or is cut. And the time that a body has which
 * nobody wants. An entry among the time limits of all calls; one for each body under way.
 */
import type { Target } from '../target.js';
import type { Targets } from '../targets.js';
import { Expiry } from '../timeouts.js';

/** So long a connection is kept from others for the rest of a response that nobody wants. */
const DRAIN_MS = 1000;

class BodyLimit extends Expiry {
  readonly #cut: () => void;

  constructor(cut: () => void) {
    super();
    this.#cut = cut;
  }

  expire(): void {
    this.#cut();
  }
}

/** Cuts the body of a call that began at `startedAt` when its time is over. `over`: its end, of which a policy in shadow hears. */
export function limitBody(
  targets: Targets,
  target: Target,
  startedAt: number,
  over: Promise<void>,
  cut: (error: Error) => void,
): void {
  const { effective, surround } = target;
  const { clock, timeouts } = targets;
  const limitMs = effective.streamTimeout?.value;
  const shadow = surround?.shadow;
  if (shadow !== undefined) void over.then(() => shadow.streamed(clock.now() - startedAt, target));
  if (limitMs === undefined) return;
  const limit = new BodyLimit(() =>
    cut(target.timedOut('streamTimeout', 'the response did not end', effective)),
  );
  const now = clock.now();
  timeouts.set(limit, now, Math.max(0, startedAt + limitMs - now));
  void over.then(() => timeouts.lift(limit));
}

/** A body that nobody wants is received for the sake of its connection, which it must be worth: what has not ended by then is cut. */
export function limitDrain(targets: Targets, over: Promise<void>, cut: () => void): void {
  const limit = new BodyLimit(cut);
  targets.timeouts.set(limit, targets.clock.now(), DRAIN_MS);
  void over.then(() => targets.timeouts.lift(limit));
}
