/**
 * The other replicas, as their summaries tell, and ours for them. Once a second: publish if something has changed (or every few
 * seconds, since ages are in it), then read what the others say. One round at a time; while the store is away, what was read
 * last goes on being answered until it is too old. The store's work grows with replicas, not with agents.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { decodeSummary, encodeSummary, type ReplicaView } from './summary.js';

const ROUND_MS = 1000;
const REPEAT_MS = 3000;
const TTL_MS = 10_000;

interface Seen {
  readonly body: string;
  readonly view: ReplicaView;
  /** Of its agents. */
  readonly boots: ReadonlyMap<string, number>;
  readonly atMs: number;
}

export interface OthersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replica: string;
  /** This replica's present state. */
  readonly view: () => ReplicaView;
  readonly takeChanged: () => boolean;
  /** New summaries were read. */
  readonly read: (views: readonly ReplicaView[]) => void;
}

export class Others {
  readonly #options: OthersOptions;
  readonly #timer: Timer;
  readonly #seen = new Map<string, Seen>();
  #publishedAtMs = Number.NEGATIVE_INFINITY;
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(options: OthersOptions) {
    this.#options = options;
    this.#timer = options.clock.every(ROUND_MS, () => this.#start());
    this.#start();
  }

  /** What the other replicas say, with how long ago they said it. */
  views(): readonly { readonly view: ReplicaView; readonly ageMs: number }[] {
    const now = this.#options.clock.now();
    return [...this.#seen.values()]
      .map(({ view, atMs }) => ({ view, ageMs: now - atMs }))
      .filter(({ ageMs }) => ageMs < TTL_MS);
  }

  /** The boot under which another replica has this agent. */
  bootOf(agent: string): number | undefined {
    const since = this.#options.clock.now() - TTL_MS;
    for (const { boots, atMs } of this.#seen.values()) {
      const boot = atMs > since ? boots.get(agent) : undefined;
      if (boot !== undefined) return boot;
    }
    return undefined;
  }

  /** Takes this replica's agents out of the others' answers. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    await this.#round;
    const { store, replica } = this.#options;
    const body = encodeSummary({
      replica,
      agents: [],
      circuits: [],
      health: new Map(),
      latencies: new Map(),
    });
    await store.publishSummary({ replica, body }, TTL_MS).catch(() => {});
  }

  #start(): void {
    this.#round ??= this.#run()
      .catch((error: unknown) => {
        this.#publishedAtMs = Number.NEGATIVE_INFINITY;
        this.#options.logger.debug({ error: messageOf(error) }, 'summaries not exchanged');
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  async #run(): Promise<void> {
    const { store, clock, replica, view, takeChanged, read } = this.#options;
    const now = clock.now();
    if (takeChanged() || now - this.#publishedAtMs >= REPEAT_MS) {
      this.#publishedAtMs = now;
      await store.publishSummary({ replica, body: encodeSummary(view()) }, TTL_MS);
    }
    const summaries = await store.summaries();
    if (this.#closed) return;
    const present = new Set<string>();
    for (const { replica: name, body } of summaries) {
      if (name === replica) continue;
      present.add(name);
      const known = this.#seen.get(name);
      if (known?.body === body) continue;
      const decoded = decodeSummary(body);
      if (!decoded) continue;
      const boots = new Map(decoded.agents.map(({ row, boot }) => [row.agent, boot]));
      this.#seen.set(name, { body, view: decoded, boots, atMs: clock.now() });
    }
    for (const name of this.#seen.keys()) if (!present.has(name)) this.#seen.delete(name);
    read([...this.#seen.values()].map(({ view: one }) => one));
  }
}
