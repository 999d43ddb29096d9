/**
 * The agent's judgement of one document: a policy it can enforce, or the reason why not. It goes through the one parser of the
 * project, so what an agent refuses is what REST would have refused, plus what this build can't enforce yet. It never throws.
 */
import { createHash } from 'node:crypto';
import type { Issue } from '../errors.js';
import { type Policy, parseDocument, unmet } from '../policy/index.js';

/** A policy's text and what its hash has to be. */
export interface Announced {
  readonly name: string;
  readonly document: string;
  readonly hash: string;
}

export type Reading =
  | { readonly kind: 'usable'; readonly policy: Policy }
  /** A staged rollout that does not reach this agent: whether it could enforce it is of no matter. */
  | { readonly kind: 'outside' }
  /** `damaged`: what arrived isn't what was sent, so the content counts as not seen. */
  | { readonly kind: 'refused' | 'damaged'; readonly reason: string };

/** `capabilities`: what this agent can enforce, in the words of `requirements`. `reaches`: whether a rollout is for it. */
export function readDocument(
  { name, document, hash }: Announced,
  capabilities: ReadonlySet<string>,
  reaches: (policy: Policy) => boolean = () => true,
): Reading {
  const actual = hashOf(document);
  if (actual !== hash)
    return { kind: 'damaged', reason: `arrived damaged: its hash is ${actual}, announced was ${hash}` };
  const result = parseDocument(document, { name });
  if (!result.ok) return { kind: 'refused', reason: reasonOf(result.issues) };
  if (!reaches(result.policy)) return { kind: 'outside' };
  const missing = unmet(result.policy, capabilities);
  if (missing.length === 0) return { kind: 'usable', policy: result.policy };
  return {
    kind: 'refused',
    reason: `this agent can't enforce ${missing.join(', ')}: update the service, or leave it out of the policy`,
  };
}

/** First 16 hexadecimal digits of the SHA-256. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

const REASON_LENGTH_MAX = 1000;

function reasonOf(issues: readonly Issue[]): string {
  const text = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
  return text.slice(0, REASON_LENGTH_MAX);
}
