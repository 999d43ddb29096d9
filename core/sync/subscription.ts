/**
 * The control plane's view of one agent: what it has been told, what it has confirmed, what it refuses, and when it may be
 * told more. One push is in flight at most and what is pending is never stored, only derived (from the place in the interest's
 * log), so an agent that is slow costs as little as one that is quick. Times are `now` of a monotonic clock in milliseconds.
 */
import { type Rejection, rejectionsMax } from './delta.js';

/** The first change goes out at once; what follows waits until this long after the push before. */
export const pushIntervalMs = 250;
/** An agent that has not acknowledged a push for this long isn't there any more. */
export const ackTimeoutMs = 30_000;

/** One push: `position` is the place in the interest's log that it brings the agent to. */
export interface Push {
  readonly nonce: number;
  readonly revision: number;
  readonly position: number;
}

/** What there is to do: nothing; wait; or push what is behind `from` (`undefined`: nothing was pushed yet, see how to resume). */
export type Next =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'push'; readonly from: number | undefined };

export type AckOutcome =
  /** For a push that isn't in flight: of no effect. */
  | { readonly kind: 'unknown' }
  /** `refusedNow`: what was not refused before. */
  | { readonly kind: 'known'; readonly delayMs: number; readonly refusedNow: readonly Rejection[] };

const idle: Next = { kind: 'idle' };
/** Of nearly all agents: one for all of them. */
const nothing: ReadonlyMap<string, Rejection> = new Map();

export class Subscription {
  #position: number | undefined;
  #sent = 0;
  #acked = 0;
  #applied = 0;
  #inFlight: (Push & { readonly sinceMs: number }) | undefined;
  #pushedAtMs = Number.NEGATIVE_INFINITY;
  #refused = nothing;

  /** Revision of the last push. */
  get sent(): number {
    return this.#sent;
  }

  /** Revision of the last push that was acknowledged. */
  get acked(): number {
    return this.#acked;
  }

  /** Revision of the last push after which nothing was refused. */
  get applied(): number {
    return this.#applied;
  }

  /** By policy; at most `rejectionsMax`. */
  get refused(): ReadonlyMap<string, Rejection> {
    return this.#refused;
  }

  /** `position`: the end of the interest's log. */
  next(position: number, now: number): Next {
    if (this.#inFlight) return idle;
    if (this.#position === undefined) return { kind: 'push', from: undefined };
    if (this.#position >= position) return idle;
    const untilMs = this.#pushedAtMs + pushIntervalMs;
    return now < untilMs ? { kind: 'wait', untilMs } : { kind: 'push', from: this.#position };
  }

  pushed({ nonce, revision, position }: Push, now: number): void {
    // The first push answers the Hello; a change right behind it is still a first change.
    if (this.#position !== undefined) this.#pushedAtMs = now;
    this.#position = position;
    this.#sent = revision;
    this.#inFlight = { nonce, revision, position, sinceMs: now };
  }

  ack(nonce: number, rejected: readonly Rejection[], now: number): AckOutcome {
    const push = this.#inFlight;
    if (push?.nonce !== nonce) return { kind: 'unknown' };
    this.#inFlight = undefined;
    this.#acked = push.revision;
    if (rejected.length === 0) this.#applied = push.revision;
    const known = this.#refused;
    this.#refused =
      rejected.length === 0
        ? nothing
        : new Map(rejected.slice(0, rejectionsMax).map((entry) => [entry.name, entry]));
    const refusedNow = [...this.#refused.values()].filter(
      ({ name, revision }) => known.get(name)?.revision !== revision,
    );
    return { kind: 'known', delayMs: now - push.sinceMs, refusedNow };
  }

  /** Another dataset: its numbers start anew. */
  forgetRevisions(): void {
    this.#sent = 0;
    this.#acked = 0;
    this.#applied = 0;
    if (this.#inFlight) this.#inFlight = { ...this.#inFlight, revision: 0 };
  }

  /** Whether there is more to push than was pushed, or is in flight: at once or later. `position` as for `next`. */
  lacks(position: number): boolean {
    return this.#position === undefined || this.#position < position;
  }

  /** Since when the push in flight has been waiting; undefined without one. */
  get unackedSinceMs(): number | undefined {
    return this.#inFlight?.sinceMs;
  }

  /** How long the push in flight has been waiting for its acknowledgement; 0 without one. */
  unackedMs(now: number): number {
    return this.#inFlight ? now - this.#inFlight.sinceMs : 0;
  }

  /** Whether the agent has been silent on a push for too long: the stream has to end. */
  overdue(now: number): boolean {
    return this.unackedMs(now) >= ackTimeoutMs;
  }
}
