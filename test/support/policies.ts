/**
 * Policies for tests of what happens between documents and agents: small, valid, and told apart by their timeout.
 */

import { type PolicyRevision, parsePolicy } from '../../core/policy/index.js';
import type { DocumentRevision } from '../../core/sync/delta.js';

export interface PolicySketch {
  name: string;
  to: string;
  from?: string;
  timeoutMs?: number;
  /** Needs more than agents in these tests say that they can do. */
  retry?: boolean;
}

export function policyRevision(sketch: PolicySketch, revision: number): PolicyRevision {
  const { name, to, from, timeoutMs = 100, retry } = sketch;
  const result = parsePolicy({
    policy: name,
    match: { to, ...(from === undefined ? {} : { from }) },
    spec: { timeout: `${timeoutMs}ms`, ...(retry ? { retry: { attempts: 2 } } : {}) },
  });
  if (!result.ok) throw new Error(`the sketch ${name} is no policy: ${JSON.stringify(result.issues)}`);
  return { policy: result.policy, revision };
}

export function documentOf({ policy, revision }: PolicyRevision): DocumentRevision {
  return { name: policy.name, revision, document: policy.document, hash: policy.hash };
}
