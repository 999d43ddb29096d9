/**
 * How much either store keeps. Each number is a promise of `store.ts` or a bound on memory and disk; the contract suite holds
 * both implementations to the same ones.
 */

/** Operations of one write. */
export const OPERATIONS_MAX = 1000;
/** Entries of the log that a reader may be behind before it has to load everything anew. */
export const LOG_ENTRIES_MAX = 10_000;
/** Revisions kept of one document. */
export const HISTORY_MAX = 200;
/** Deleted documents whose history is kept; the longest gone go first. */
export const DELETED_MAX = 10_000;
export const AUDIT_ENTRIES_MAX = 10_000;
/** Events of the registry that a reader may be behind. */
export const REGISTRY_EVENTS_MAX = 10_000;
/** Callees kept for one service, and services that have any. */
export const INTERESTS_MAX = 1000;
export const INTEREST_SERVICES_MAX = 10_000;
/** How long the answer to a request id is remembered. The number of ids is bounded by what can be written in that time. */
export const REQUEST_TTL_MS = 600_000;
/** Leases that one call of `expire` ends at most in one step. */
export const EXPIRE_BATCH_MAX = 1000;
/**
 * If nobody has asked for leases to end for so long, the store was away or everybody was: nobody could renew either. Replicas
 * ask every 5 to 6 s; a longer gap would let leases lapse of which a short outage left less than their owners' way back takes...
 */
export const EXPIRE_GAP_MS = 15_000;
/**
 * ...and every lease gets at least so much more before it may end: a whole lease time, since an instance may wait 30 s before it
 * tries to connect again, and go through several addresses then.
 */
export const LEASE_GRACE_MS = 60_000;

/** Accounts in one exchange; what is beyond is left out. */
export const ACCOUNTS_MAX = 10_000;
/** Bytes of one account or record. */
export const BODY_MAX_BYTES = 16_384;
/** Characters of a circuit's id, and of a replica's name. */
export const CIRCUIT_ID_MAX = 1024;
export const REPLICA_NAME_MAX = 200;
/** Accounts, and records, of one shard; in the embedded store, records of all. */
export const SHARD_ENTRIES_MAX = 20_000;
/** No account and no record lives longer without being written again. */
export const HEALTH_TTL_MAX_MS = 86_400_000;
/** Circuits named in one hint. */
export const HINT_CIRCUITS_MAX = 1000;
