/**
 * The instances of the callees, as one stream is told of them: of each callee the whole list, the latest wins, nobody answers.
 * The first change goes out at once, what follows a little later; a stream that takes no more is told what holds when it does.
 */
import type { EndpointBodies } from './bodies.js';
import type { Group } from './group.js';
import { endpointsIntervalMs } from './intervals.js';
import type { Outlet } from './outlet.js';

/** Lists written at one turn of the pump. */
const AT_ONCE = 16;

export class EndpointFeed {
  readonly #group: Group;
  readonly #bodies: EndpointBodies;
  /** Callees whose lists are being written, and how many have been. */
  #callees: readonly string[] = [];
  #at = 0;
  /** Place in the group's log of what has been written, or is being; undefined: nothing yet. */
  #position: number | undefined;
  #startedAtMs = Number.NEGATIVE_INFINITY;

  constructor(group: Group, bodies: EndpointBodies) {
    this.#group = group;
    this.#bodies = bodies;
  }

  /** Writes what is due; answers when to come back. */
  write(outlet: Outlet, now: number): number | undefined {
    const { position } = this.#group.endpoints;
    if (this.#at >= this.#callees.length && this.#position !== position) {
      const dueMs = this.#startedAtMs + endpointsIntervalMs;
      if (now < dueMs) return dueMs;
      // The first lists answer the Hello; a change right behind them is still a first change.
      if (this.#position !== undefined) this.#startedAtMs = now;
      this.#callees =
        this.#position === undefined ? this.#group.callees : this.#group.endpointsSince(this.#position);
      this.#at = 0;
      this.#position = position;
    }
    for (let written = 0; written < AT_ONCE && !outlet.blocked; written++) {
      const callee = this.#callees[this.#at];
      if (callee === undefined) break;
      outlet.write(this.#bodies.body(callee));
      this.#at++;
    }
    return this.#at < this.#callees.length || this.#position !== position ? now : undefined;
  }
}
