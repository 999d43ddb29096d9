/**
 * Who gets a stream at all, before anything is read from it: not while the replica is stopping, not without a token where
 * tokens are asked for, and no more at once than the event loop can bear.
 */
import type { Metadata } from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.js';
import { MeshError, toMeshError } from '../../core/errors.js';
import type { Admission } from './admission.js';
import type { EndReason, GrpcMetrics } from './metrics.js';
import type { SessionCall } from './outlet.js';
import { statusOf } from './status.js';

/** Who opens a stream; a MeshError, returned or thrown, refuses it. */
export type Authenticate = (metadata: Metadata, peer: string) => { readonly name: string } | MeshError;

export interface EntranceParts {
  readonly admission: Admission;
  readonly authenticate: Authenticate | undefined;
  readonly clock: Clock;
  readonly metrics: GrpcMetrics;
  readonly replica: string;
  readonly enter: (call: SessionCall) => void;
}

export class Entrance {
  readonly #parts: EntranceParts;
  #closed = false;

  constructor(parts: EntranceParts) {
    this.#parts = parts;
  }

  /** From now on nobody comes in. */
  close(): void {
    this.#closed = true;
  }

  readonly open = (call: SessionCall): void => {
    const refusal = this.#refusal(call);
    if (!refusal) {
      this.#parts.enter(call);
      return;
    }
    this.#parts.metrics.streamEnd(refusal.reason);
    call.emit('error', statusOf(refusal.error));
  };

  #refusal(call: SessionCall): { readonly reason: EndReason; readonly error: MeshError } | undefined {
    const { admission, authenticate, clock, replica } = this.#parts;
    if (this.#closed) {
      const error = new MeshError('unavailable', `replica ${replica} is stopping: connect to another one`);
      return { reason: 'draining', error };
    }
    const denied = denial(authenticate, call);
    if (denied) return { reason: 'unauthenticated', error: denied };
    const retryAfterMs = admission.admit(clock.now());
    if (retryAfterMs === undefined) return undefined;
    const text = `too many agents connect at once: try again in ${retryAfterMs} ms`;
    return { reason: 'admission', error: new MeshError('rate_limited_request', text, { retryAfterMs }) };
  }
}

function denial(authenticate: Authenticate | undefined, call: SessionCall): MeshError | undefined {
  try {
    const identity = authenticate?.(call.metadata, call.getPeer());
    return identity instanceof MeshError ? identity : undefined;
  } catch (error) {
    return toMeshError(error, 'unauthenticated');
  }
}
