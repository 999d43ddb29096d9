/**
 * The server interceptor: calls into this service under the policies whose callee is `self`, bound once per method. What they
 * carry (deadline, criticality, trace) is inherited by the calls that their handlers make, also where no policy speaks of `self`.
 *
 * Methods are those the server has registered, since grpc-js answers for the rest before it asks any interceptor; that bounds
 * what is remembered here. An interceptor holds no state of a call.
 */
import type * as grpc from '@grpc/grpc-js';
import { SELF } from './callee-name.js';
import { InboundCall } from './inbound-call.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

export function createServerInterceptor(targets: Targets): grpc.ServerInterceptor {
  const bound = new Map<string, Target>();
  const targetOf = (path: string): Target => {
    const known = bound.get(path);
    if (known !== undefined && !known.evicted) return known;
    const target = targets.ofMethod(SELF, path);
    // A place in the overflow is for one call: by the next there may be room.
    if (!target.overflow) bound.set(path, target);
    return target;
  };
  return ({ path }, wire) => {
    const call = new InboundCall(targets, targetOf(path), wire);
    // The interface is all that grpc-js asks of what an interceptor returns; its type names the class.
    return call as unknown as grpc.ServerInterceptingCall;
  };
}
