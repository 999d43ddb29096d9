/**
 * Limits of the whole mesh (`rateLimit.scope: cluster`), this replica's part: takes what its agents say they are asked for,
 * agrees with the other replicas on its share of each limit, and grants that to its agents, every second. Calls never wait for
 * any of it. While no agent uses such a limit it does nothing.
 *
 * While the store is away the shares stay as they are for a moment; then nothing more is granted, and each agent falls back to
 * an even part of the limit by itself. Bounds: 10,000 limits, 1,000 for each agent, 100,000 pairs of both; what is beyond is
 * counted and left to the agent's own even part.
 */
import { type Clock, type Timer, wait } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { RateDemand, RateGrant } from '../../proto/messages.js';
import type { Mirror } from '../ports.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { type Accounts, decodeAccounts, encodeAccounts } from './accounts.js';
import { type Asker, Book, type Entry, type Use } from './book.js';
import { grantArrivesMs, grantHoldMs, grantTtlMs, type Holder, type Holders } from './holders.js';
import { type ClusterLimit, measureOf, tokensPerSecond } from './limit.js';
import type { Account } from './share.js';

export interface RatesMetrics {
  /** Something said of a limit that no policy in force has, or beyond the bounds. */
  ignored(what: 'rate'): void;
  /** Limits that agents of this replica use, and what it grants of them, per second. */
  rates(limits: number, grantedPerSecond: number): void;
}

export interface RatesOptions {
  readonly mirror: Pick<Mirror, 'policy'>;
  readonly store: Pick<Store, 'publishSummaries' | 'summaries'>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'debug'>;
  /** Of this process: what a former one of the same replica has claimed stays claimed until it has run out. */
  readonly account: string;
  readonly metrics: RatesMetrics;
  /** Agents that could use a limit, in the whole mesh; absent: nobody but those that do. */
  readonly sharers?: (limit: ClusterLimit) => number;
}

const BEAT_MS = 1000;
/** For so long after the store was last asked, what it said holds. */
const FROZEN_MS = 3000;
/** An account outlives everything that was granted under it. */
const ACCOUNT_TTL_MS = FROZEN_MS + grantHoldMs + BEAT_MS;
/** What is the same as before is written again in time before it runs out. */
const REPEAT_MS = 1900;
const CLOSE_MS = 1000;
/** Rates are quotients. */
const PRECISION = 1e-9;

interface Granted {
  readonly grant: RateGrant;
  /** Per second. */
  readonly rate: number;
  readonly holder: Holder<Asker>;
  readonly holders: Holders<Asker>;
}

export class Rates {
  readonly #options: RatesOptions;
  readonly #timer: Timer;
  readonly #book: Book;
  #round: Promise<void> | undefined;
  /** When the exchange began whose outcome holds. */
  #settledAtMs = Number.NEGATIVE_INFINITY;
  #grantedAtMs = Number.NEGATIVE_INFINITY;
  /** Others may still count what was published. */
  #published = false;
  #closed = false;

  constructor(options: RatesOptions) {
    this.#options = options;
    this.#book = new Book(options.mirror);
    this.#timer = options.clock.every(BEAT_MS, () => this.#beat());
  }

  /** What one report says. */
  heard(asker: Asker, demands: readonly RateDemand[], now: number): void {
    for (const { id, asked } of demands)
      if (!this.#book.heard(asker, id, asked, now)) this.#options.metrics.ignored('rate');
  }

  /** A stream ended; `over`: its agent said that it stops. */
  left(asker: Asker, over: boolean): void {
    this.#book.left(asker, over, this.#options.clock.now());
  }

  /** Tells the other replicas that this one has no agents any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    const { clock } = this.#options;
    const done = new AbortController();
    const goodbye = async () => {
      await this.#round;
      if (this.#published) await this.#publish(this.#accounts(clock.now()), grantHoldMs);
    };
    const said = goodbye()
      .catch(() => {})
      .finally(() => done.abort());
    await Promise.race([said, wait(clock, CLOSE_MS, done.signal)]);
  }

  // --- once a second

  #beat(): void {
    const now = this.#options.clock.now();
    this.#book.beat(now);
    if (this.#book.entries.size === 0 && !this.#published) return;
    // A store that takes its time delays no grants: they go on under the shares there are.
    if (this.#round) this.#grant();
    else
      this.#round = this.#exchange()
        .catch((error: unknown) => {
          this.#options.logger.debug({ error: messageOf(error) }, 'shares of limits not exchanged');
        })
        .finally(() => {
          this.#round = undefined;
          if (!this.#closed) this.#grant();
        });
  }

  // --- with the other replicas

  async #exchange(): Promise<void> {
    const startedAtMs = this.#options.clock.now();
    const raised = await this.#tell(this.#accounts(startedAtMs));
    // Whoever raises a claim has to read once more before it may use it.
    if (raised) await this.#tell(raised);
    this.#settledAtMs = startedAtMs;
  }

  /** Answers what has to be published for more to be used; undefined: nothing. */
  async #tell(accounts: Accounts): Promise<Accounts | undefined> {
    await this.#publish(accounts);
    return this.#settle(accounts, await this.#others());
  }

  #accounts(now: number): Accounts {
    return new Map(
      Array.from(this.#book.entries.values(), ({ id, holders, share }) => {
        const claim = share.claim(holders.exposure(now));
        return [id, { agents: holders.size, demand: holders.demand, claim }];
      }),
    );
  }

  #settle(published: Accounts, others: readonly Accounts[]): Accounts | undefined {
    const raised = new Map(published);
    let more = false;
    for (const [id, mine] of published) {
      const entry = this.#book.entries.get(id);
      if (!entry) continue;
      const accounts = others.flatMap((one): Account[] => (one.has(id) ? [one.get(id) as Account] : []));
      entry.agents = accounts.reduce((sum, { agents }) => sum + agents, mine.agents);
      const claim = entry.share.settle(tokensPerSecond(entry.limit.spec), mine, accounts);
      if (claim === undefined) continue;
      raised.set(id, { ...mine, claim });
      more = true;
    }
    return more ? raised : undefined;
  }

  async #publish(accounts: Accounts, ttlMs = ACCOUNT_TTL_MS): Promise<void> {
    const { store, account } = this.#options;
    // It may arrive even if no answer comes back.
    this.#published = true;
    await store.publishSummaries([{ replica: account, body: encodeAccounts(accounts) }], ttlMs, 'rates');
    this.#published = accounts.size > 0;
  }

  async #others(): Promise<readonly Accounts[]> {
    const { store, account } = this.#options;
    const summaries = await store.summaries('rates');
    return summaries.filter(({ replica }) => replica !== account).map(({ body }) => decodeAccounts(body));
  }

  // --- to the agents

  #grant(): void {
    const now = this.#options.clock.now();
    // After an exchange that took long, the next may come on its heels.
    if (now - this.#grantedAtMs < grantArrivesMs) return;
    this.#grantedAtMs = now;
    const away = now - this.#settledAtMs > FROZEN_MS;
    const grants = new Map<string, Granted[]>();
    let granted = 0;
    for (const entry of this.#book.entries.values()) {
      const { id, holders, share, limit, agents } = entry;
      if (away) share.lose();
      // Nothing of the limit is ours yet, or any more: an even part of it is better than nothing.
      if (share.used === 0) continue;
      const measure = measureOf(limit.spec, agents);
      const users = Math.max(agents, holders.size);
      for (const { holder, tokens } of holders.allot(this.#part(entry, users, now), measure, now)) {
        const rate = (tokens * 1000) / measure.intervalMs;
        const grant = { id, tokens, intervalMs: measure.intervalMs, agents: users };
        const { agent } = holder.asker.hello;
        const list = grants.get(agent) ?? [];
        list.push({ grant, holder, holders, rate });
        grants.set(agent, list);
        granted += rate;
      }
    }
    for (const [agent, use] of this.#book.uses) this.#offer(use, grants.get(agent) ?? [], now);
    this.#options.metrics.rates(this.#book.entries.size, granted);
  }

  /**
   * The even parts of those who could use a limit and don't are theirs until somebody asks for more than his own: they would be
   * given twice. Nobody gets more while users are still coming forward.
   */
  #part({ holders, share, limit }: Entry, users: number, now: number): { share: number; evenly: boolean } {
    const sharers = Math.max(users, this.#options.sharers?.(limit) ?? users);
    if (sharers === users) return { share: share.used, evenly: false };
    // Of the users, those here.
    const even = share.used * (users / sharers);
    const wanted = holders.gathering(now) ? 0 : holders.wanted(even / holders.size, now);
    const evenly = wanted <= even * (1 + PRECISION);
    return { share: evenly ? even : Math.min(share.used, wanted), evenly };
  }

  #offer(use: Use, list: readonly Granted[], now: number): void {
    const grants = list.map(({ grant }) => grant);
    const told = JSON.stringify(grants);
    const known = told === use.told && now - use.toldAtMs < REPEAT_MS;
    if (list.length === 0 || known) {
      use.asker.offer(undefined);
      return;
    }
    use.asker.offer({
      grants: { grants, ttlMs: grantTtlMs },
      written: (writtenAtMs) => {
        use.told = told;
        use.toldAtMs = writtenAtMs;
        for (const { holder, holders, rate } of list) holders.written(holder, rate, writtenAtMs);
      },
    });
  }
}
