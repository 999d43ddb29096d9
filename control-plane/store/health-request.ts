/**
 * What both stores think of the accounts and records of the mesh's circuits, before they are sent and when they are read: how
 * large, under which names, in which of 64 shards. Shared so that either store refuses the same and names the same; knows
 * nothing of either.
 */
import type { RecordWrite, StoredAccount, StoredRecord } from '../../core/coordination/contract.js';
import { MeshError } from '../../core/errors.js';
import type { Logger } from '../telemetry/logger.js';
import {
  ACCOUNTS_MAX,
  BODY_MAX_BYTES,
  CIRCUIT_ID_MAX,
  HEALTH_TTL_MAX_MS,
  HINT_CIRCUITS_MAX,
  REPLICA_NAME_MAX,
} from './limits.js';
import type { HealthExchange } from './store.js';

export const SHARDS = 64;

/**
 * The shard of a circuit: FNV-1a, 32 bits, over its callee, which is what stands before the first `|`. The rest takes no part,
 * because a zone's circuit must be where the circuit itself is, and where a zone begins in an id only its callee's end is
 * certain of: method and zone may hold an `@` of their own.
 */
export function shardOf(circuit: string): number {
  const bar = circuit.indexOf('|');
  const callee = Buffer.from(bar < 0 ? circuit : circuit.slice(0, bar));
  let hash = 0x811c9dc5;
  for (const byte of callee) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % SHARDS;
}

/** One line of well-formed text: what can be a name in a key's field, and in a log. */
function isName(text: string, max: number): boolean {
  return text.length > 0 && text.length <= max && !/[\p{Surrogate}\p{Cc}]/u.test(text);
}

export function isCircuitId(text: string): boolean {
  return isName(text, CIRCUIT_ID_MAX);
}

/**
 * The accounts that can be sent. Throws `invalid_request` for a replica or time that makes all of them senseless; an account
 * that no store may hold goes to `unfit`, since the others must not wait for it.
 */
export function fitAccounts(
  { replica, ttlMs, accounts }: HealthExchange,
  unfit: (circuit: string, message: string) => void,
): [circuit: string, body: string][] {
  if (!isName(replica, REPLICA_NAME_MAX))
    throw invalid(`the replica's name must be one line of 1 to ${REPLICA_NAME_MAX} characters`);
  checkTtl(ttlMs);
  const fit: [string, string][] = [];
  let beyond = 0;
  for (const [circuit, body] of accounts) {
    const fault = faultOf(circuit, body);
    if (fault !== undefined) unfit(circuit, `${fault}; this account is left out`);
    else if (fit.length === ACCOUNTS_MAX) beyond += 1;
    else fit.push([circuit, body]);
  }
  if (beyond > 0)
    unfit(
      'exchange',
      `${beyond} accounts beyond the ${ACCOUNTS_MAX} of one exchange are left out; have fewer circuits of scope cluster, or per: service`,
    );
  return fit;
}

/** Throws `invalid_request` for a record that no store may hold. */
export function checkRecord({ circuit, expected, seq, body }: RecordWrite, ttlMs: number): void {
  checkTtl(ttlMs);
  const fault = faultOf(circuit, body);
  if (fault !== undefined) throw invalid(`record of circuit "${circuit.slice(0, CIRCUIT_ID_MAX)}": ${fault}`);
  if (!Number.isSafeInteger(expected) || expected < 0 || !Number.isSafeInteger(seq) || seq <= expected)
    throw invalid(
      `record of circuit "${circuit}": seq ${seq} must be an integer greater than the expected one, ${expected}, which is 0 or more`,
    );
}

/** What a hint may name; the rest is left to the next exchange. */
export function fitHint(circuits: readonly unknown[]): string[] {
  const fit = circuits
    .slice(0, HINT_CIRCUITS_MAX)
    .filter((circuit): circuit is string => typeof circuit === 'string' && isCircuitId(circuit));
  return [...new Set(fit)];
}

function checkTtl(ttlMs: number): void {
  if (!(ttlMs >= 1 && ttlMs <= HEALTH_TTL_MAX_MS))
    throw invalid(`the time to live must be 1 to ${HEALTH_TTL_MAX_MS} ms, it is ${ttlMs}`);
}

function faultOf(circuit: string, body: string): string | undefined {
  if (!isCircuitId(circuit)) return `its id must be one line of 1 to ${CIRCUIT_ID_MAX} characters`;
  const bytes = Buffer.byteLength(body);
  return bytes > BODY_MAX_BYTES ? `it has ${bytes} bytes, ${BODY_MAX_BYTES} are allowed` : undefined;
}

function invalid(message: string): MeshError {
  return new MeshError('invalid_request', message);
}

/** A field of a shard's accounts, `<replica>\n<circuit>`, and what it holds; undefined: none of ours. */
export function accountOf(field: string, body: string, shard: number): StoredAccount | undefined {
  const end = field.indexOf('\n');
  const replica = field.slice(0, Math.max(0, end));
  const circuit = field.slice(end + 1);
  if (!isName(replica, REPLICA_NAME_MAX) || !isOf(circuit, body, shard)) return undefined;
  return { circuit, replica, body };
}

/** A field of a shard's records and what it holds; undefined: none of ours. */
export function recordOf(
  circuit: string,
  seq: number,
  body: string,
  shard = shardOf(circuit),
): StoredRecord | undefined {
  if (!Number.isSafeInteger(seq) || seq < 1 || !isOf(circuit, body, shard)) return undefined;
  return { circuit, seq, body };
}

function isOf(circuit: string, body: string, shard: number): boolean {
  return faultOf(circuit, body) === undefined && shardOf(circuit) === shard;
}

/** Faults remembered, so that each is logged once and not at every tick; then all are forgotten. */
const FAULTS_MAX = 1000;

/** Says each fault once. */
export class FaultLog {
  readonly #logger: Logger;
  readonly #store: string;
  readonly #said = new Set<string>();

  constructor(logger: Logger, store: string) {
    this.#logger = logger;
    this.#store = store;
  }

  /** `path`: the key, and the field in it. */
  say(path: string, message: string): void {
    const shown = path.slice(0, 2 * CIRCUIT_ID_MAX);
    if (this.#said.has(shown)) return;
    if (this.#said.size >= FAULTS_MAX) this.#said.clear();
    this.#said.add(shown);
    this.#logger.error(
      { store: this.#store, path: shown, fault: message },
      'an account or a record of circuits is unfit',
    );
  }
}
