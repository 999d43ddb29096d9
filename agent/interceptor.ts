/**
 * The client interceptor: a call under the policies of its callee, bound once per method. It returns a small class of our own
 * in place of grpc-js's InterceptingCall (a quarter of its bytes), which is at once the call that the client drives and the
 * listener that the next call informs.
 *
 * Rules that grpc-js imposes (1.14): the next call is made only once the attempt is admitted, since it starts the deadline's
 * timer and delivers nothing when cancelled before its start; so what the client does to a call that waits in line is kept and
 * repeated, a cancel is answered here, and no status is delivered within `start`. An interceptor holds no state of a call.
 */
import type * as grpc from '@grpc/grpc-js';
import { CallTools, type Elsewhere } from './call-tools.js';
import { SurroundedCall } from './grpc-call.js';
import { GuardedCall } from './guarded-call.js';
import type { Surround } from './surround.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

/**
 * Calls that are never made, so that the shapes of calls outlive a collection of garbage in which none is under way: the code that
 * was optimised for them would be thrown away with them.
 */
let shapes: readonly object[] | undefined;

/** Methods that one interceptor remembers; a client has as many as its service definition. */
const METHODS_MAX = 1_000;

export interface InterceptorSettings {
  /** Types of the messages, for fallbacks that give a response in JSON; absent: such are skipped. */
  readonly service?: grpc.ServiceDefinition | undefined;
  /** How other services are called, for fallbacks to one; absent: such are skipped. */
  readonly elsewhere?: Elsewhere | undefined;
  /** One attempt, and no fallback, whatever the policies say. */
  readonly once?: boolean | undefined;
}

export function createInterceptor(
  targets: Targets,
  name: string,
  { service, elsewhere, once = false }: InterceptorSettings = {},
): grpc.Interceptor {
  const bound = new Map<string, Target>();
  const tools = new CallTools(service, elsewhere);
  let lastPath = '';
  let last: Target | undefined;
  const targetOf = (path: string): Target => {
    if (path === lastPath && last !== undefined && !last.evicted) return last;
    const target = find(path);
    lastPath = path;
    last = target.overflow ? undefined : target;
    return target;
  };
  const find = (path: string): Target => {
    const known = bound.get(path);
    if (known !== undefined && !known.evicted) return known;
    if (bound.size >= METHODS_MAX) bound.clear();
    const target = targets.ofMethod(name, path);
    // A place in the overflow is for one call: by the next there may be room.
    if (!target.overflow) bound.set(path, target);
    return target;
  };
  return (options, nextCall) => {
    const target = targetOf(options.method_definition.path);
    if (shapes === undefined) shapes = shapesOf(targets, target, options.method_definition, tools);
    const surrounded = !once && target.surround !== undefined && surrounds(target.surround);
    const call = surrounded
      ? new SurroundedCall(targets, target, options, nextCall, tools)
      : new GuardedCall(targets, target, options, nextCall);
    // The interface is all that grpc-js asks of what an interceptor returns; its type names the class.
    return call as unknown as grpc.InterceptingCall;
  };
}

/** Whether there is more to a call than one attempt. */
function surrounds({ retry, hedge, fallback }: Surround): boolean {
  return retry !== undefined || hedge !== undefined || fallback !== undefined;
}

function shapesOf(
  targets: Targets,
  target: Target,
  method_definition: grpc.InterceptorOptions['method_definition'],
  tools: CallTools,
): readonly object[] {
  const nextCall: grpc.NextCall = () => {
    throw new Error('this call is never made');
  };
  return [
    new GuardedCall(targets, target, { method_definition }, nextCall),
    new SurroundedCall(targets, target, { method_definition }, nextCall, tools),
  ];
}
