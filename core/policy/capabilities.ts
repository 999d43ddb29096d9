/**
 * What this release's agent can enforce, by the names that `requirements` uses. A policy that needs anything else is refused
 * whole by it, by name and with its reason, and the last good one stays. It is here because the command line warns by it, before
 * anything is sent. What an agent of another release can do it says itself.
 *
 * `rateLimit.cluster` and `circuit.cluster` are no requirements: without them the scope `cluster` is enforced by each agent for
 * itself, which explain notes.
 */
export const capabilities: readonly string[] = [
  'timeout',
  'attemptTimeout',
  'streamTimeout',
  'idempotent',
  'retry',
  'hedge',
  'circuit',
  'circuit.cluster',
  'bulkhead',
  'bulkhead.auto',
  'bulkhead.shares',
  'bulkhead.per',
  'rateLimit',
  'rateLimit.cluster',
  'admission',
  'outlier',
  'classify',
  'fallback',
  'shadow',
  'rollout',
];
