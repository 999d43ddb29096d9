/**
 * The agents of this replica that use one limit: what each is asked for, what it was granted, and what is left in the hands of
 * those that went. From these follows what may be granted next: never more than the replica's share, and never so much that,
 * with everything that may still be in force from before, it comes to more than twice the share.
 *
 * A grant counts from the writing on, and the one before it for half a second more: by then the new one has arrived, or the
 * stream is blocked or broken. Of an agent whose stream is, all counts that may have arrived, until it has run out there. Pure: `now` is an argument. Bounded by the book.
 */
import { splitGrants } from '../../core/resilience/grants.js';
import type { Measure } from './limit.js';

/** How long a grant holds with the agent. */
export const grantTtlMs = 3000;
/** A grant that was written has arrived by then, if the stream is well. */
export const grantArrivesMs = 500;
/** How long, from the writing on, it may be in force. */
export const grantHoldMs = grantTtlMs + grantArrivesMs;
/** An agent that has said nothing for so long doesn't use the limit. */
const SILENT_MS = 3000;
/** An agent that has said nothing for so long, with reports once a second, was asked for nothing since. */
const CALM_MS = 2000;
/** Calls don't come evenly: this much more than what was asked for is given, where it is there. */
const HEADROOM = 1.25;
/** Those that began to use the limit at the same moment have all been heard by then: they report once a second. */
const GATHERING_MS = 1500;
/** Agents that can't all be given a token take turns of so many intervals: the first goes into filling the bucket. */
const TURN_INTERVALS = 4;
/** Rates are quotients: so much is none. */
const PRECISION = 1e-6;

export interface Holder<A> {
  readonly asker: A;
  /** Calls asked for since the last beat, and smoothed, per second. */
  asked: number;
  demand: number | undefined;
  heardAtMs: number;
  last: Written;
  /** The one before it. */
  former: Written;
}

/** A grant, per second. */
interface Written {
  readonly rate: number;
  readonly atMs: number;
}

const nothing: Written = { rate: 0, atMs: Number.NEGATIVE_INFINITY };

export interface Allotment<A> {
  readonly holder: Holder<A>;
  readonly tokens: number;
}

export class Holders<A extends { readonly blocked: boolean }> {
  readonly #byAgent = new Map<string, Holder<A>>();
  /** Rates in the hands of agents that went, by the second in which they run out; as many entries as a grant holds seconds. */
  readonly #left = new Map<number, number>();

  #firstAtMs = Number.NEGATIVE_INFINITY;

  get size(): number {
    return this.#byAgent.size;
  }

  /** Per second, of all. */
  get demand(): number {
    let sum = 0;
    for (const { demand = 0 } of this.#byAgent.values()) sum += demand;
    return Math.round(sum * 1000) / 1000;
  }

  /**
   * What it takes to give each as much as `even`, or what it is asked for where that is more. What is smoothed goes on for
   * seconds after the last call, so only those count that have just said so.
   */
  wanted(even: number, now: number): number {
    let sum = 0;
    for (const { demand = 0, heardAtMs } of this.#byAgent.values())
      sum += Math.max(even, now - heardAtMs < CALM_MS ? demand * HEADROOM : 0);
    return sum;
  }

  agents(): Iterable<string> {
    return this.#byAgent.keys();
  }

  has(agent: string): boolean {
    return this.#byAgent.has(agent);
  }

  heard(agent: string, asker: A, asked: number, now: number): void {
    const known = this.#byAgent.get(agent);
    if (known?.asker === asker) {
      known.asked += asked;
      known.heardAtMs = now;
      return;
    }
    if (this.#byAgent.size === 0) this.#firstAtMs = now;
    // The process that is back on another stream has kept what it was granted, perhaps not the last of it.
    const last = known
      ? { rate: Math.max(known.last.rate, known.former.rate), atMs: known.last.atMs }
      : nothing;
    this.#byAgent.set(agent, {
      asker,
      asked,
      demand: known?.demand,
      heardAtMs: now,
      last,
      former: nothing,
    });
  }

  /** `over`: its process has said that it stops, so it uses nothing any more. */
  gone(agent: string, asker: A, over: boolean, now: number): void {
    const holder = this.#byAgent.get(agent);
    if (holder?.asker !== asker) return;
    this.#byAgent.delete(agent);
    if (!over) this.#leave(holder, now);
  }

  /** `rate` was granted to it. */
  written(holder: Holder<A>, rate: number, now: number): void {
    holder.former = holder.last;
    holder.last = { rate, atMs: now };
  }

  /** Nobody used the limit a moment ago, so there may be others that do by now and haven't said so. */
  gathering(now: number): boolean {
    return now - this.#firstAtMs < GATHERING_MS;
  }

  /** Each second: what was asked since the last time counts by half, so that a report that comes a little late is no drop. */
  beat(now: number): readonly string[] {
    const silent: string[] = [];
    for (const [agent, holder] of this.#byAgent) {
      holder.demand = holder.demand === undefined ? holder.asked : (holder.demand + holder.asked) / 2;
      holder.asked = 0;
      if (now - holder.heardAtMs < SILENT_MS) continue;
      silent.push(agent);
      this.#byAgent.delete(agent);
      this.#leave(holder, now);
    }
    for (const second of this.#left.keys()) if (second * 1000 <= now) this.#left.delete(second);
    return silent;
  }

  /** The sum of all grants that may be in force, per second. */
  exposure(now: number): number {
    let sum = 0;
    for (const holder of this.#byAgent.values()) sum += inForce(holder, now);
    for (const [second, rate] of this.#left) if (second * 1000 > now) sum += rate;
    return sum;
  }

  /**
   * What each is granted of `share` (per second) from now on: by what it is asked for, or as much as any other. Nothing is said
   * of those whose stream is blocked.
   */
  allot(
    { share, evenly }: { readonly share: number; readonly evenly: boolean },
    { intervalMs }: Measure,
    now: number,
  ): Allotment<A>[] {
    const perInterval = (perSecond: number) => (perSecond * intervalMs) / 1000;
    const open = new Map([...this.#byAgent].filter(([, { asker }]) => !asker.blocked));
    let before = 0;
    for (const holder of open.values()) before += inForce(holder, now);
    const elsewhere = Math.max(0, this.exposure(now) - before);
    const tokens = Math.floor(perInterval(share) + PRECISION);
    const demands = new Map<string, number>();
    for (const [agent, { demand = 0 }] of open) demands.set(agent, evenly ? 0 : perInterval(demand));
    const parts = splitGrants(tokens, demands, Math.floor(now / (intervalMs * TURN_INTERVALS)));
    const allotments = Array.from(open, ([agent, holder]) => ({ holder, tokens: parts.get(agent) ?? 0 }));

    const had = ({ holder }: Allotment<A>) => perInterval(inForce(holder, now));
    const growth = allotments.reduce((sum, one) => sum + Math.max(0, one.tokens - had(one)), 0);
    const room = Math.max(0, perInterval(2 * share - elsewhere - before));
    if (growth <= room + PRECISION) return allotments;
    return allotments.map((one) => {
      const more = one.tokens - had(one);
      if (more <= 0) return one;
      return { holder: one.holder, tokens: Math.floor(had(one) + (more * room) / growth + PRECISION) };
    });
  }

  #leave(holder: Holder<A>, now: number): void {
    // A stream that breaks may have been broken for a while.
    const rate = Math.max(held(holder.last, now), held(holder.former, now));
    if (rate === 0) return;
    const second = Math.ceil((holder.last.atMs + grantHoldMs) / 1000);
    this.#left.set(second, (this.#left.get(second) ?? 0) + rate);
  }
}

/** The most that the agent may have, per second. */
function inForce({ asker, last, former }: Holder<{ readonly blocked: boolean }>, now: number): number {
  const arrived = now >= last.atMs + grantArrivesMs && !asker.blocked;
  return arrived ? held(last, now) : Math.max(held(last, now), held(former, now));
}

function held({ rate, atMs }: Written, now: number): number {
  return now < atMs + grantHoldMs ? rate : 0;
}
