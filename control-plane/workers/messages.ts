/**
 * What the primary and its workers say to each other, over the channel that every child of Node has. Both ends are of one release
 * and one start, so nothing is negotiated; what is no such message (Node's own, a loader's) is passed over.
 */
import { type ErrorCode, type Issue, MeshError, messageOf } from '../../core/errors.js';
import type { ControlPlaneOptions } from '../settings.js';

/** What can travel: flags, as they were written. */
export type WorkerOptions = Omit<ControlPlaneOptions, 'logger' | 'clock' | 'random'>;

/** Where a worker is to be found. */
export interface Ready {
  readonly restUrl: string;
  readonly grpcAddress: string;
  readonly mesh: string;
  readonly store: string;
}

export interface Failure {
  /** Undefined: it was no MeshError. */
  readonly code: ErrorCode | undefined;
  readonly text: string;
  readonly issues: readonly Issue[] | undefined;
}

export type ToWorker =
  | { readonly kind: 'start'; readonly options: WorkerOptions }
  | { readonly kind: 'stop'; readonly signal: string | undefined }
  /** What are your figures? */
  | { readonly kind: 'figures'; readonly id: number }
  /** Those of the others. */
  | { readonly kind: 'gathered'; readonly id: number; readonly texts: readonly string[] };

export type ToPrimary =
  /** It listens. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready'; readonly ready: Ready }
  /** It could not start, and ends. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** What are the figures of the others? */
  | { readonly kind: 'gather'; readonly id: number }
  | { readonly kind: 'figures'; readonly id: number; readonly text: string };

export function isMessage(said: unknown): said is { kind: string } {
  return typeof said === 'object' && said !== null && 'kind' in said && typeof said.kind === 'string';
}

export function failureOf(thrown: unknown): Failure {
  if (!(thrown instanceof MeshError)) return { code: undefined, text: messageOf(thrown), issues: undefined };
  const text = thrown.message.replace(`[${thrown.code}] `, '');
  return { code: thrown.code, text, issues: thrown.issues };
}

/** The error as it was thrown in the worker, for the same message and the same exit code. */
export function errorOf({ code, text, issues }: Failure): Error {
  return code === undefined ? new Error(text) : new MeshError(code, text, { issues });
}
