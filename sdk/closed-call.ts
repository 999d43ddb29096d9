/**
 * A call that can't be made, as after its mesh was closed: it ends UNAVAILABLE with `[mesh_closed] …`, like any other rejection on
 * the next tick and never within its start, and nothing goes out.
 */
import * as grpc from '@grpc/grpc-js';
import { statusOfError } from '../agent/rejection-status.js';
import type { MeshError } from '../core/errors.js';

type Inner = ConstructorParameters<typeof grpc.InterceptingCall>[0];

/** Stands where the next call would be; the requester below passes nothing on to it. */
const nobody: Inner = {
  cancelWithStatus() {},
  getPeer: () => 'unknown',
  start() {},
  sendMessageWithContext() {},
  sendMessage() {},
  startRead() {},
  halfClose() {},
  getAuthContext: () => null,
};

export function refusedCall(error: MeshError, status = statusOfError(error)): grpc.InterceptingCall {
  return new grpc.InterceptingCall(nobody, {
    start(_metadata, listener) {
      process.nextTick(() => {
        listener.onReceiveMetadata(new grpc.Metadata());
        // grpc-js wants a message, or the word that there is none, before the status.
        listener.onReceiveMessage(null);
        listener.onReceiveStatus(status);
      });
    },
  });
}
