/**
 * Limits of the whole mesh in a mesh of nothing but a clock: replicas with what they grant, a store that may be slow or away, and
 * agents on streams that delay, block and break, each with the grants that are in force there.
 */

import type { Asker, Offer } from '../../control-plane/rates/book.js';
import { grantTtlMs } from '../../control-plane/rates/holders.js';
import { Rates } from '../../control-plane/rates/rates.js';
import type { Store } from '../../control-plane/store/store.js';
import { MeshError } from '../../core/errors.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import { parsePolicy } from '../../core/policy/parse.js';
import type { RateGrant, RateGrants } from '../../proto/messages.js';
import type { VirtualClock } from './virtual-clock.js';

/** Lets promises run that wait for no time. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** Moves on in small steps, so that promises run in between. */
export async function pass(clock: VirtualClock, ms: number, stepMs = 50): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    clock.advance(Math.min(stepMs, ms - passed));
    await settle();
  }
}

/** Policies that a test puts and removes. */
export class Policies {
  readonly #byName = new Map<string, PolicyRevision>();

  put(name: string, rateLimit: object, match: object = { to: '*' }): this {
    const parsed = parsePolicy({
      policy: name,
      match,
      spec: { rateLimit: { scope: 'cluster', ...rateLimit } },
    });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    this.#byName.set(name, { policy: parsed.policy, revision: 1 });
    return this;
  }

  remove(name: string): void {
    this.#byName.delete(name);
  }

  policies(): readonly PolicyRevision[] {
    return [...this.#byName.values()];
  }

  policy(name: string): PolicyRevision | undefined {
    return this.#byName.get(name);
  }
}

/** The board of rates of a store. */
export class Board {
  /** How often it was written and read. */
  asked = 0;
  readonly #clock: VirtualClock;
  readonly #bodies = new Map<string, { body: string; untilMs: number }>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** As one replica sees it. `delayMs`: of each way; undefined: nothing arrives; infinite: it does, and no answer comes. */
  face(delayMs: () => number | undefined): Pick<Store, 'publishSummaries' | 'summaries'> {
    const after = async (ms: number) => {
      if (ms > 0) await new Promise<void>((resolve) => void this.#clock.after(ms, resolve));
    };
    const away = () => new MeshError('store_unavailable', 'the store is away');
    return {
      publishSummaries: async (summaries, ttlMs) => {
        this.asked++;
        const there = delayMs();
        if (there === undefined) throw away();
        if (Number.isFinite(there)) await after(there);
        for (const { replica, body } of summaries)
          this.#bodies.set(replica, { body, untilMs: this.#clock.now() + ttlMs });
        const back = delayMs();
        if (back === undefined || !Number.isFinite(there + back)) throw away();
        await after(back);
      },
      summaries: async () => {
        this.asked++;
        const there = delayMs();
        if (there === undefined || !Number.isFinite(there)) throw away();
        await after(there);
        const now = this.#clock.now();
        const found = [...this.#bodies].filter(([, { untilMs }]) => untilMs > now);
        const back = delayMs();
        if (back === undefined || !Number.isFinite(back)) throw away();
        await after(back);
        return found.map(([replica, { body }]) => ({ replica, body }));
      },
    };
  }
}

interface InForce extends RateGrant {
  readonly untilMs: number;
}

/** An agent; its stream is replaced when it connects again, what it was granted stays. */
export class RateAgent {
  /** Calls a second. */
  demand = 0;
  blocked = false;
  rates: Rates | undefined;
  messages = 0;
  /** Grants arrived. */
  onGrants: (grants: RateGrants) => void = () => {};
  readonly #name: string;
  readonly #clock: VirtualClock;
  readonly #delayMs: () => number;
  readonly #inForce = new Map<string, InForce>();
  #asker: (Asker & { blocked: boolean }) | undefined;

  constructor(name: string, clock: VirtualClock, delayMs: () => number = () => 0) {
    this.#name = name;
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  connect(rates: Rates, callees: readonly string[] = ['inventory']): this {
    this.rates = rates;
    this.blocked = false;
    let pending: Offer | undefined;
    let arrivedAtMs = 0;
    const isBlocked = () => this.blocked && this.#asker === asker;
    const write = () => {
      const offer = pending;
      if (!offer || isBlocked() || this.#asker !== asker) return;
      pending = undefined;
      offer.written(this.#clock.now());
      // In order, however long it takes.
      arrivedAtMs = Math.max(arrivedAtMs, this.#clock.now() + this.#delayMs());
      const delayMs = arrivedAtMs - this.#clock.now();
      this.#clock.after(delayMs, () => this.#asker === asker && this.#take(offer));
    };
    const asker: Asker = {
      hello: { agent: `shop/${this.#name}`, service: 'shop' },
      callees: new Set(callees),
      get blocked() {
        return isBlocked();
      },
      offer: (offer) => {
        pending = offer;
        this.#clock.after(1, write);
      },
    };
    this.#asker = asker;
    return this;
  }

  ask(id = 'inventory|p', asked = this.demand): void {
    if (this.#asker && asked > 0) this.rates?.heard(this.#asker, [{ id, asked }], this.#clock.now());
  }

  /** `over`: it stops, and uses nothing any more. */
  leave(over: boolean): void {
    if (this.#asker) this.rates?.left(this.#asker, over);
    this.#asker = undefined;
    this.rates = undefined;
    if (over) this.#inForce.clear();
  }

  grant(id = 'inventory|p'): InForce | undefined {
    const grant = this.#inForce.get(id);
    return grant && grant.untilMs > this.#clock.now() ? grant : undefined;
  }

  /** Tokens per second of the grant in force. */
  perSecond(id = 'inventory|p'): number {
    const grant = this.grant(id);
    return grant ? (grant.tokens * 1000) / grant.intervalMs : 0;
  }

  #take({ grants: word }: Offer): void {
    const { grants, ttlMs } = word;
    this.messages++;
    this.onGrants(word);
    if (ttlMs !== grantTtlMs) throw new Error(`granted for ${ttlMs} ms`);
    for (const grant of grants) this.#inForce.set(grant.id, { ...grant, untilMs: this.#clock.now() + ttlMs });
  }
}

export interface Counted {
  ignored: number;
  limits: number;
  grantedPerSecond: number;
}

export function rateReplica(options: {
  clock: VirtualClock;
  policies: Policies;
  board: Board;
  account?: string;
  delayMs?: () => number | undefined;
  sharers?: () => number;
}): { rates: Rates; counted: Counted } {
  const { clock, policies, board, account = 'r1', delayMs = () => 0, sharers } = options;
  const counted: Counted = { ignored: 0, limits: 0, grantedPerSecond: 0 };
  const rates = new Rates({
    mirror: policies,
    store: board.face(delayMs),
    clock,
    logger: { debug: () => {} },
    account,
    ...(sharers === undefined ? {} : { sharers }),
    metrics: {
      ignored: () => void counted.ignored++,
      rates: (limits, grantedPerSecond) => void Object.assign(counted, { limits, grantedPerSecond }),
    },
  });
  return { rates, counted };
}
