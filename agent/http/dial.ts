/**
 * One attempt on whichever instance answers the door. A connection that does not come about proves that nothing was sent, so the
 * next instance is tried at once, within the same attempt and unseen by the policies (gRPC's transparent retry): an instance
 * that has just gone costs no failed call. Never after a byte may have left.
 *
 * One whose machine is gone refuses nothing and swallows what comes. So while there is another to ask, a connection has half of the
 * time that is left: it takes one way there and back, an answer another, and what isn't connected by then would not be answered
 * by the end. Only the last one asked is waited for to the end of the attempt.
 */
import { MeshError } from '../../core/errors.js';
import type { GuardContext } from '../guarded-function.js';
import type { Targets } from '../targets.js';
import { Expiry } from '../timeouts.js';
import { isPoolClosed, isUnmakeable, isUnsent } from './faults.js';
import { closedError } from './parts.js';
import type { Places } from './places.js';

/** What one call keeps from attempt to attempt. */
export interface Route {
  readonly service: string;
  readonly places: Places;
  readonly targets: Targets;
  /** Whether the body can be sent, though it may have been handed to an attempt that sent nothing. */
  readonly repeatable: () => boolean;
  /** Instances that earlier attempts went to: others come first. */
  readonly tried: Set<string>;
}

/** Instances that one attempt knocks at, at most. */
const DOORS_MAX = 3;
/** A connection has no longer than that, where there is another instance to ask: so long Linux waits before it knocks again. */
const CONNECT_MS_MAX = 1_000;

/** The time that a connection has to come about. */
export class Knock extends Expiry {
  /** Ends the attempt at this instance unless a connection has taken it. */
  giveUp: (reason: Error) => void = () => {};

  expire(): void {
    this.giveUp(new Error('no connection came about in time'));
  }
}

export async function dial<T>(
  { service, places, targets, repeatable, tried }: Route,
  context: GuardContext,
  send: (address: string, knock: Knock) => Promise<T>,
): Promise<T> {
  const balance = places.get(service) ?? (await places.wait(service, context.signal));
  const refused = new Set<string>();
  const { clock, timeouts } = targets;
  let last: unknown;
  for (let door = 1; door <= DOORS_MAX; door++) {
    const address = balance.pick(clock.now(), tried, refused);
    if (address === undefined) break;
    tried.add(address);
    const knock = new Knock();
    const others = door < DOORS_MAX && balance.size > refused.size + 1;
    if (others && repeatable()) timeouts.set(knock, clock.now(), patienceMs(context, clock.wallNow()));
    try {
      const answer = await send(address, knock);
      balance.reached(address);
      return answer;
    } catch (error) {
      if (isPoolClosed(error)) throw closedError(service);
      const { aborted, reason } = context.signal;
      const unsent = isUnsent(error) && !isUnmakeable(error);
      // A caller who gives up says nothing of the instance.
      if (unsent && (!aborted || isLate(reason))) balance.unreachable(address, clock.now());
      if (aborted || !unsent || !repeatable()) throw error;
      refused.add(address);
      last = error;
    } finally {
      timeouts.lift(knock);
    }
  }
  throw last;
}

function patienceMs({ deadline }: GuardContext, wallNow: number): number {
  if (deadline === undefined) return CONNECT_MS_MAX;
  return Math.min(CONNECT_MS_MAX, Math.max(1, Math.floor((deadline - wallNow) / 2)));
}

/** A limit of time is over. */
function isLate(reason: unknown): boolean {
  return reason instanceof MeshError && reason.code === 'deadline_exceeded';
}
