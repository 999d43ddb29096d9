/**
 * What a policy in shadow hears of a gRPC attempt: what it came to, with a stream's first message or with its status, and that it is
 * over; so that it tells only of retries, copies and fallbacks that this kind of call has. Asked where there is such a policy, and
 * nowhere else.
 */
import * as grpc from '@grpc/grpc-js';
import type { Outcome } from '../core/resilience/outcome.js';
import { statusName } from './classify.js';
import { NO_SHADOW, type Rare } from './deferred-call.js';
import type { FallbackHandlers } from './fallback-handlers.js';
import { isUnsent } from './rejection-status.js';
import type { Shadowed } from './shadow.js';
import type { Surround } from './surround.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

/** An attempt, as far as it is told of. */
interface Watched {
  readonly targets: Targets;
  readonly target: Target;
  readonly surround: Surround | undefined;
  readonly options: grpc.InterceptorOptions;
  readonly startedAt: number;
  readonly instance: string;
}

function shadowedOf(
  { requestStream, responseStream }: grpc.InterceptorOptions['method_definition'],
  handlers: FallbackHandlers,
  unsent: boolean,
): Shadowed {
  return {
    repeatable: !requestStream,
    streams: responseStream,
    unsent,
    canAnswer(entry) {
      if (requestStream || responseStream) return entry.kind === 'error';
      return entry.kind !== 'handler' || handlers.has(entry.name);
    },
  };
}

/** What ends or is decided before its status. */
const codeOf = {
  success: grpc.status.OK,
  failure: grpc.status.DEADLINE_EXCEEDED,
  neutral: grpc.status.CANCELLED,
} as const;

/** What it came to is known: of a stream with its first message, like its probe. `status`: undefined, there is none yet. */
export function shadowEnds(
  { targets, target, surround, options, startedAt }: Watched,
  rare: Rare | undefined,
  outcome: Outcome,
  now: number,
  status?: grpc.StatusObject,
): void {
  if (rare === undefined || rare.shadow === NO_SHADOW) return;
  const { shadow } = rare;
  // Whoever hears what it would have done may end the call, which comes through here again.
  rare.shadow = NO_SHADOW;
  const unsent = status !== undefined && isUnsent(status);
  const shadowed = shadowedOf(options.method_definition, targets.handlers, unsent);
  const code = statusName(status === undefined ? codeOf[outcome] : status.code);
  surround?.shadow?.end(shadow, outcome, code, startedAt, now, target, shadowed);
}

/** The attempt is over, whenever it was known what it came to. */
export function shadowLeaves(
  { target, surround, options, startedAt, instance }: Watched,
  rare: Rare | undefined,
  code: grpc.status,
  now: number,
): void {
  const shadow = surround?.shadow;
  if (rare === undefined || !rare.shadowed || shadow === undefined) return;
  rare.shadowed = false;
  if (options.method_definition.responseStream) shadow.streamed(now - startedAt, target);
  shadow.left(instance, code === grpc.status.OK, now, target);
}
