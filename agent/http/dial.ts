/**
 * One attempt on whichever instance answers the door. A connection that does not come about proves that nothing was sent, so the
 * next instance is tried at once, within the same attempt and unseen by the policies (gRPC's transparent retry): an instance
 * that has just gone costs no failed call. Never after a byte may have left. One whose machine is gone refuses nothing: the attempt's
 * time is over before the connection fails, and all there is to do is to ask others next.
 */
import type { Clock } from '../../core/clock.js';
import { MeshError } from '../../core/errors.js';
import type { GuardContext } from '../guarded-function.js';
import { isPoolClosed, isUnmakeable, isUnsent } from './faults.js';
import { closedError } from './parts.js';
import type { Places } from './places.js';

/** What one call keeps from attempt to attempt. */
export interface Route {
  readonly service: string;
  readonly places: Places;
  readonly clock: Clock;
  /** Whether the body can be sent more than once. */
  readonly repeatable: boolean;
  /** Instances that earlier attempts went to: others come first. */
  readonly tried: Set<string>;
}

/** Instances that one attempt knocks at, at most. */
const DOORS_MAX = 3;

export async function dial<T>(
  { service, places, clock, repeatable, tried }: Route,
  context: GuardContext,
  send: (address: string) => Promise<T>,
): Promise<T> {
  const balance = places.get(service) ?? (await places.wait(service, context.signal));
  const refused = new Set<string>();
  let last: unknown;
  for (let door = 1; door <= DOORS_MAX; door++) {
    const address = balance.pick(clock.now(), tried, refused);
    if (address === undefined) break;
    tried.add(address);
    try {
      const answer = await send(address);
      balance.reached(address);
      return answer;
    } catch (error) {
      if (isPoolClosed(error)) throw closedError(service);
      const { aborted, reason } = context.signal;
      const unsent = isUnsent(error) && !isUnmakeable(error);
      // A caller who gives up says nothing of the instance.
      if (unsent && (!aborted || isLate(reason))) balance.unreachable(address, clock.now());
      if (aborted || !unsent || !repeatable) throw error;
      refused.add(address);
      last = error;
    }
  }
  throw last;
}

/** A limit of time is over. */
function isLate(reason: unknown): boolean {
  return reason instanceof MeshError && reason.code === 'deadline_exceeded';
}
