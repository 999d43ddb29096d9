/**
 * The primary's part of a scrape: one worker asks for the figures of the others, the others answer, and what has come within a second
 * goes back. A worker that is stuck or gone is left out, which is itself a figure: its series are missing.
 */
import type { Clock, Timer } from '../../core/clock.js';

const WITHIN_MS = 1000;

interface Gathering<P> {
  readonly missing: Set<P>;
  readonly texts: string[];
  readonly done: (texts: readonly string[]) => void;
  readonly timer: Timer;
}

/** `P`: a worker. */
export class Gatherings<P> {
  readonly #clock: Clock;
  readonly #open = new Map<number, Gathering<P>>();
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `ask` puts the question to one of them; `done` is called once, within a second. */
  begin(
    peers: readonly P[],
    ask: (peer: P, id: number) => void,
    done: (texts: readonly string[]) => void,
  ): void {
    const id = ++this.#last;
    const timer = this.#clock.after(WITHIN_MS, () => this.#finish(id));
    this.#open.set(id, { missing: new Set(peers), texts: [], done, timer });
    for (const peer of peers) ask(peer, id);
    if (peers.length === 0) this.#finish(id);
  }

  answered(peer: P, id: number, text: string): void {
    const gathering = this.#open.get(id);
    if (!gathering?.missing.delete(peer)) return;
    gathering.texts.push(text);
    if (gathering.missing.size === 0) this.#finish(id);
  }

  /** Will answer nothing any more. */
  gone(peer: P): void {
    for (const [id, { missing }] of this.#open)
      if (missing.delete(peer) && missing.size === 0) this.#finish(id);
  }

  #finish(id: number): void {
    const gathering = this.#open.get(id);
    if (!gathering) return;
    this.#open.delete(id);
    gathering.timer.cancel();
    gathering.done(gathering.texts);
  }
}
