/**
 * What a gRPC status says beside its code, and ours as such a status. A rejection has the standard code, the same text as
 * elsewhere, and metadata that names the reason, so that a caller further up knows that this was a policy and not the callee.
 *
 * "Never sent" is only what grpc-js 1.14 says in the words below, each of which a test gets out of the real library, and only in a
 * status that no server wrote: whatever comes over the wire has metadata (its content type at least), so the words of a callee
 * that passes on its own failure to reach somebody aren't taken for ours.
 */
import * as grpc from '@grpc/grpc-js';
import type { ErrorCode, MeshError } from '../core/errors.js';
import type { ClassifySpec } from '../core/policy/model.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { parsePushback, pushbackHeader } from '../core/resilience/pushback.js';
import type { AttemptFailure } from '../core/resilience/retry.js';
import { outcomeOfCode, statusName } from './classify.js';

export const REJECT_KEY = 'switchgear-reject';

const statusOfCode: { readonly [C in ErrorCode]?: grpc.status } = {
  circuit_open: grpc.status.UNAVAILABLE,
  no_instances: grpc.status.UNAVAILABLE,
  mesh_closed: grpc.status.UNAVAILABLE,
  bulkhead_full: grpc.status.RESOURCE_EXHAUSTED,
  bulkhead_timeout: grpc.status.RESOURCE_EXHAUSTED,
  rate_limited: grpc.status.RESOURCE_EXHAUSTED,
  overloaded: grpc.status.RESOURCE_EXHAUSTED,
  deadline_exceeded: grpc.status.DEADLINE_EXCEEDED,
  cancelled: grpc.status.CANCELLED,
};

export function statusOfError(error: MeshError): grpc.StatusObject {
  const metadata = new grpc.Metadata();
  metadata.set(REJECT_KEY, error.code);
  return { code: statusOfCode[error.code] ?? grpc.status.UNAVAILABLE, details: error.message, metadata };
}

/** What an attempt that ended so says of its target. `partOfAnother`: of a call that grpc-js knows to be. */
export function outcomeOfEnd(
  status: grpc.StatusObject,
  classify: ClassifySpec | undefined,
  partOfAnother: boolean,
): Outcome {
  const { code } = status;
  if (code === grpc.status.OK) return 'success';
  // The call that this one is part of was cancelled, and grpc-js passed that on.
  if (code === grpc.status.CANCELLED && partOfAnother) return 'neutral';
  const outcome = outcomeOfCode(code, classify);
  return outcome === 'failure' && (isShed(status) || isOurFault(status)) ? 'neutral' : outcome;
}

/** An answer that is no answer: the callee shed the call by a policy of its own, or there was nobody to call. */
function isShed({ details, metadata }: grpc.StatusObject): boolean {
  return metadata.get(REJECT_KEY).length > 0 || details.startsWith('[no_instances]');
}

/** A request that couldn't be written down never left this process: grpc-js 1.14 says so in these words alone. */
function isOurFault({ code, details }: grpc.StatusObject): boolean {
  return code === grpc.status.INTERNAL && details.startsWith('Request message serialization failure');
}

/** How grpc-js begins to say that a call reached no handler. */
const unsentTexts: readonly string[] = [
  'No connection established',
  'round_robin: No connection established',
  'Name resolution failed for target ',
  'Stream refused by server',
];

/** It provably reached no handler. */
export function isUnsent({ code, details, metadata }: grpc.StatusObject): boolean {
  return (
    code === grpc.status.UNAVAILABLE &&
    unsentTexts.some((text) => details.startsWith(text)) &&
    Object.keys(metadata.getMap()).length === 0
  );
}

/** What the rules of retries need to know of a failed attempt. `local`: it never began. */
export function failureOf(status: grpc.StatusObject, local: boolean): AttemptFailure {
  return {
    status: statusName(status.code),
    unsent: isUnsent(status),
    shed: !local && isShed(status),
    local: local || isOurFault(status),
    pushback: parsePushback(status.metadata.get(pushbackHeader)),
  };
}
