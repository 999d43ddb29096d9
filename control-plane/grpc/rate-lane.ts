/**
 * One stream's lane for limits of the whole mesh: what its agent is asked for goes to the room of rates, what it is granted
 * goes out behind policies and instances. It holds one message, the latest; a stream that takes nothing is told what holds then.
 * An agent of protocol 1.0 has no word for grants and would end its stream over one, so it is not listened to either.
 */
import type { RateDemand } from '../../proto/messages.js';
import type { Asker, Offer } from '../rates/book.js';
import type { Member } from './group.js';
import type { Introduction } from './hello.js';
import type { Outlet } from './outlet.js';
import type { Room } from './room.js';

/** Of the protocol, in which grants came. */
const MINOR = 1;

export interface LaneOwner extends Member {
  readonly hello: Introduction;
  readonly callees: ReadonlySet<string>;
}

export class RateLane implements Asker {
  readonly #owner: LaneOwner;
  readonly #outlet: Outlet;
  readonly #room: Pick<Room, 'rates' | 'pump'>;
  #offer: Offer | undefined;

  constructor(owner: LaneOwner, outlet: Outlet, room: Pick<Room, 'rates' | 'pump'>) {
    this.#owner = owner;
    this.#outlet = outlet;
    this.#room = room;
  }

  get hello(): LaneOwner['hello'] {
    return this.#owner.hello;
  }

  get callees(): ReadonlySet<string> {
    return this.#owner.callees;
  }

  get blocked(): boolean {
    return this.#outlet.blocked;
  }

  hear(demands: readonly RateDemand[], now: number): void {
    if (demands.length > 0 && this.hello.protocol.minor >= MINOR) this.#room.rates.heard(this, demands, now);
  }

  offer(offer: Offer | undefined): void {
    this.#offer = offer;
    if (offer) this.#room.pump.wake(this.#owner);
  }

  write(now: number): void {
    const offer = this.#offer;
    if (!offer || this.#outlet.blocked) return;
    this.#offer = undefined;
    this.#outlet.write({ message: 'grants', grants: offer.grants });
    offer.written(now);
  }

  /** `over`: the agent has ended the stream in good order, and with it what it was granted. */
  leave(over: boolean): void {
    this.#offer = undefined;
    this.#room.rates.left(this, over);
  }
}
