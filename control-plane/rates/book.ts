/**
 * Which agent of this replica uses which limit of the whole mesh, within bounds: 10,000 limits, 1,000 for each agent, 100,000
 * pairs of both. What is beyond is left to the agent's own even part of the limit. No IO, no clock of its own.
 */

import type { RateGrants } from '../../proto/messages.js';
import type { Mirror } from '../ports.js';
import { limitsMax } from './accounts.js';
import { Holders } from './holders.js';
import { type ClusterLimit, clusterLimit } from './limit.js';
import { Share } from './share.js';

/** An agent, as this room sees it. */
export interface Asker {
  readonly hello: { readonly agent: string; readonly service: string };
  readonly callees: ReadonlySet<string>;
  /** Its stream takes no more. */
  readonly blocked: boolean;
  /** To be written when the stream takes it; the latest replaces those before, undefined takes the last one back. */
  offer(offer: Offer | undefined): void;
}

export interface Offer {
  readonly grants: RateGrants;
  /** It was written. */
  written(now: number): void;
}

/** A limit that is in use. */
export interface Entry {
  readonly id: string;
  readonly holders: Holders<Asker>;
  readonly share: Share;
  limit: ClusterLimit;
  /** Of all replicas. */
  agents: number;
}

/** An agent that uses limits. */
export interface Use {
  readonly entries: Set<Entry>;
  readonly asker: Asker;
  /** As last written. */
  told: string;
  toldAtMs: number;
}

const EACH_MAX = 1000;
const PAIRS_MAX = 100_000;

export class Book {
  readonly entries = new Map<string, Entry>();
  readonly uses = new Map<string, Use>();
  readonly #policies: Pick<Mirror, 'policy'>;
  #pairs = 0;

  constructor(policies: Pick<Mirror, 'policy'>) {
    this.#policies = policies;
  }

  /** False: no policy in force has such a limit for this agent, or it is beyond the bounds. */
  heard(asker: Asker, id: string, asked: number, now: number): boolean {
    const { agent, service } = asker.hello;
    const limit = clusterLimit(id, this.#policies);
    if (!limit || !asker.callees.has(limit.callee)) return false;
    if (limit.from !== undefined && limit.from !== service) return false;
    const use = this.#useOf(agent, asker);
    const known = this.entries.get(id);
    if (!known?.holders.has(agent) || !use.entries.has(known)) {
      const full = this.#pairs >= PAIRS_MAX || use.entries.size >= EACH_MAX;
      if (full || (!known && this.entries.size >= limitsMax)) return false;
    }
    const entry = known ?? { id, holders: new Holders(), share: new Share(), limit, agents: 0 };
    this.entries.set(id, entry);
    entry.holders.heard(agent, asker, asked, now);
    if (!use.entries.has(entry)) this.#pairs++;
    use.entries.add(entry);
    return true;
  }

  /** A stream ended; `over`: its agent said that it stops. */
  left(asker: Asker, over: boolean, now: number): void {
    const { agent } = asker.hello;
    const use = this.uses.get(agent);
    if (use?.asker !== asker) return;
    this.uses.delete(agent);
    this.#pairs -= use.entries.size;
    for (const { holders } of use.entries) holders.gone(agent, asker, over, now);
  }

  /** Each second: lets go of what is silent, and of limits that no policy has any more. */
  beat(now: number): void {
    for (const entry of this.entries.values()) {
      for (const agent of entry.holders.beat(now)) this.#unuse(agent, entry);
      const limit = clusterLimit(entry.id, this.#policies);
      if (limit) entry.limit = limit;
      if (limit && (entry.holders.size > 0 || entry.holders.exposure(now) > 0)) continue;
      this.entries.delete(entry.id);
      for (const agent of entry.holders.agents()) this.#unuse(agent, entry);
    }
  }

  #useOf(agent: string, asker: Asker): Use {
    const known = this.uses.get(agent);
    if (known?.asker === asker) return known;
    const use = { entries: known?.entries ?? new Set<Entry>(), asker, told: '', toldAtMs: 0 };
    this.uses.set(agent, use);
    return use;
  }

  #unuse(agent: string, entry: Entry): void {
    const use = this.uses.get(agent);
    if (!use?.entries.delete(entry)) return;
    this.#pairs--;
    if (use.entries.size === 0) this.uses.delete(agent);
  }
}
