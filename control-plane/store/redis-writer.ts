/**
 * A write on Redis: one script that compares and changes everything or nothing, and the question how far the answer is safe.
 * It has a connection of its own, where a WAIT for a slow Redis replica holds up nobody else. Never sends a write twice by
 * itself: who got no answer repeats it, and the script knows the request id.
 */
import { MeshError } from '../../core/errors.js';
import { AUDIT_ENTRIES_MAX, DELETED_MAX, HISTORY_MAX, LOG_ENTRIES_MAX, REQUEST_TTL_MS } from './limits.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';
import { pairs, type Reply, texts, UNSENT, unwrap } from './redis-replies.js';
import { runScript } from './redis-scripts.js';
import { behind, conflict, fingerprint, OutcomeUnknown, type Present, RequestIdReused } from './request.js';
import type { Durability, WriteRequest, WriteResult } from './store.js';

/** A Redis replica that needs longer does not count. */
const WAIT_MS = 500;

export class RedisWriter {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** `seenRequest`: the request id at the revision that the writer has seen; empty: unknown. */
  async write(request: WriteRequest, seenRequest: string): Promise<WriteResult> {
    const memory = this.#keys.request(request.requestId);
    const keys = [
      ...this.#keys.of('meta', 'documents', 'log', 'audit', 'deleted'),
      memory,
      ...request.operations.map(({ name }) => this.#keys.history(name)),
    ];
    const [reply, config, info] = await runScript(
      this.#connection,
      'write',
      keys,
      this.#arguments(request, seenRequest),
      ['config', 'get', 'append*'],
      ['info', 'replication'],
    );
    const [kind, ...rest] = texts(this.#answer(reply));
    if (kind === 'conflict') throw refusal(request, rest);
    if (kind === 'behind') throw behind(request.seen, { dataset: rest[0] ?? '', head: Number(rest[1]) });
    const [print, head, ...outcomes] = (rest[0] ?? '').split(' ');
    if (print !== fingerprint(request)) throw new RequestIdReused(request.requestId);
    return {
      outcomes: request.operations.map(({ name }, i) => {
        const [revision, changed] = (outcomes[i] ?? '').split(':');
        return { name, revision: Number(revision), changed: changed === '1' };
      }),
      head: Number(head),
      durability: await this.#durability(memory, config, info).catch((error: unknown) => {
        throw error instanceof MeshError && error.code === 'store_unavailable'
          ? new OutcomeUnknown(error)
          : error;
      }),
    };
  }

  #answer(reply: Reply | undefined): unknown {
    try {
      return unwrap(reply, this.#connection.description);
    } catch (error) {
      throw isUnanswered(reply) && error instanceof MeshError ? new OutcomeUnknown(error) : error;
    }
  }

  /** As `scripts/write.lua` counts them. */
  #arguments(request: WriteRequest, seenRequest: string): (string | number)[] {
    const { seen, author, action, at, requestId, operations } = request;
    return [
      fingerprint(request),
      seen.dataset,
      seen.revision,
      seenRequest,
      author,
      action,
      at,
      requestId,
      REQUEST_TTL_MS,
      LOG_ENTRIES_MAX,
      HISTORY_MAX,
      AUDIT_ENTRIES_MAX,
      DELETED_MAX,
      this.#keys.history(''),
      ...operations.flatMap((operation) => [
        operation.kind,
        operation.name,
        operation.expected === null ? 'none' : operation.expected,
        operation.kind === 'put' ? operation.document : '',
      ]),
    ];
  }

  /**
   * What the configuration says where we may read it, and more where a replica has it in time. The request's memory is
   * touched on the same connection just before the WAIT, which then covers all that came before it; where that memory is gone, a
   * failover has lost the write.
   */
  async #durability(memory: string, config: Reply | undefined, info: Reply | undefined): Promise<Durability> {
    const settings = new Map(config && 'value' in config ? pairs(config.value) : []);
    const synced = settings.get('appendonly') === 'yes' && settings.get('appendfsync') === 'always';
    const onDisk: Durability = synced ? 'fsync' : 'memory';
    const replication = info && 'value' in info ? String(info.value) : '';
    if (!/^connected_slaves:[1-9]/m.test(replication)) return onDisk;
    const [touched, waited] = await this.#connection.send(
      ['pexpire', memory, REQUEST_TTL_MS],
      ['wait', 1, WAIT_MS],
    );
    if (unwrap(touched, this.#connection.description) !== 1)
      throw this.#connection.unavailable('the write was lost in a failover, repeat it');
    return Number(unwrap(waited, this.#connection.description)) > 0 ? 'replicated' : onDisk;
  }
}

/** Sent, and then silence: neither Redis' own refusal nor a command that found no connection to go out on. */
function isUnanswered(reply: Reply | undefined): boolean {
  if (!reply) return true;
  return 'error' in reply && reply.error.name !== 'ReplyError' && !reply.error.message.includes(UNSENT);
}

/** From `<number of the operation>:<revision, none or damaged>`. */
function refusal({ operations }: WriteRequest, found: readonly string[]): MeshError {
  return conflict(
    found.flatMap((text) => {
      const [number, present = ''] = text.split(':');
      const operation = operations[Number(number) - 1];
      const state: Present = present === 'none' ? null : present === 'damaged' ? present : Number(present);
      return operation ? [{ name: operation.name, expected: operation.expected, present: state }] : [];
    }),
  );
}
