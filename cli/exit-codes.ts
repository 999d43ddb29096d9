/**
 * The exit codes that scripts rely on, and how every error finds its code. They are part of the contract: `docs/cli.md` has the
 * same table, a test holds the two together, and a number never changes its meaning.
 */
import { CommanderError } from 'commander';
import { type ErrorCode, MeshError } from '../core/errors.js';

export const exitCodes = {
  /** It was done, or the answer is yes. */
  ok: 0,
  /** The answer is no: `diff` found differences, `status` found a refusal, the demo missed a promise; or something broke. */
  no: 1,
  /** A flag, an argument or a variable is wrong; nothing was tried. */
  usage: 2,
  /** The control plane, or its store, can't be reached at present; trying again may help. */
  unavailable: 3,
  /** A policy or a request is wrong; each fault is listed with its place; nothing was changed. */
  refused: 4,
  /** Somebody else changed the policy in between, or its rollout is halted; nothing was changed. */
  conflict: 5,
  /** There is no such policy, revision, service, agent or circuit. */
  notFound: 6,
  /** The token is missing, unknown, or of a role that may not do this. */
  denied: 7,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

const byErrorCode: Partial<Record<ErrorCode, ExitCode>> = {
  invalid_configuration: exitCodes.usage,
  store_unavailable: exitCodes.unavailable,
  unavailable: exitCodes.unavailable,
  rate_limited_request: exitCodes.unavailable,
  invalid_policy: exitCodes.refused,
  invalid_request: exitCodes.refused,
  unsupported_media_type: exitCodes.refused,
  payload_too_large: exitCodes.refused,
  not_acceptable: exitCodes.refused,
  method_not_allowed: exitCodes.refused,
  revision_conflict: exitCodes.conflict,
  rollout_halted: exitCodes.conflict,
  not_found: exitCodes.notFound,
  unauthenticated: exitCodes.denied,
  permission_denied: exitCodes.denied,
};

/** The code of whatever ended the command. */
export function exitCodeOf(thrown: unknown): ExitCode {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (thrown instanceof MeshError) return byErrorCode[thrown.code] ?? exitCodes.no;
  return exitCodes.no;
}
