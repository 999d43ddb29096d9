/**
 * What this release's agent can enforce, by the names that `requirements` uses. A policy that needs anything else is refused
 * whole by it, by name and with its reason, and the last good one stays. It is here because the command line warns by it, before
 * anything is sent.
 */
export const capabilities: readonly string[] = [
  'timeout',
  'attemptTimeout',
  'streamTimeout',
  'idempotent',
  'circuit',
  'bulkhead',
];
