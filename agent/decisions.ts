/**
 * What a policy did to a call, told as it happens: to the application (`mesh.on('decision')`), to telemetry, to whoever asks why.
 * Each names the policy and revision that did it. Nothing is told, and nothing made, while nobody listens.
 */
import type { Source } from '../core/policy/model.js';

export type DecisionKind =
  /** The call, or an attempt of it, never started. */
  | 'reject'
  /** A limit of time ended it. */
  | 'timeout'
  | 'retry'
  /** Another attempt is not made although the policy names retries; `code` says why. */
  | 'give-up'
  | 'hedge'
  /** Answered by a fallback, of the policy or the caller's own. */
  | 'degrade'
  /** A policy in shadow would have done so. */
  | 'would-reject'
  | 'would-timeout'
  | 'would-retry'
  | 'would-hedge'
  | 'would-degrade'
  /** Of `outlier`: an instance would get no calls for a while. */
  | 'would-eject';

export interface Decision extends Source {
  readonly kind: DecisionKind;
  readonly callee: string;
  /** Empty: the callee as a whole. */
  readonly method: string;
  /** Code of the rejection, status that is tried again, reason for giving up or for leaving out, kind of fallback (`caller`: the caller's own). */
  readonly code: string;
  /** In words. */
  readonly text: string;
}

/** Where decisions go. Must not throw. */
export interface DecisionListener {
  /** Whether anybody wants to hear at present. */
  readonly listening: boolean;
  /** `rpc`: its method is one of gRPC's, not a key of the application's own. */
  tell(decision: Decision, rpc: boolean): void;
}

export const nobody: DecisionListener = { listening: false, tell() {} };
