/**
 * How many agents could use a limit of the whole mesh, whether they ask for anything or not: those connected to any replica
 * whose service may and whose service uses the callee. A fleet that starts all at once, before the first of them has asked, is
 * why this has to be known.
 *
 * It errs towards many, since too few would make the sum of all parts more than the limit. A count goes down half a minute after
 * the agents have: they may just be restarting. While agents come here, as many are taken to come to each of the other replicas,
 * whose own word of it is a second or two old. Above 99 it is rounded up to two digits, so that a large mesh isn't told of each
 * of its agents. Pure: `now` is an argument. Its memory grows with the services that are connected.
 */

import type { PolicyRevision } from '../../core/policy/model.js';
import { NamedPolicies } from '../../core/policy/named.js';
import { SELF } from '../../core/policy/names.js';
import { rateSharesMax } from '../../proto/bounds.js';
import type { RateShare } from '../../proto/messages.js';
import type { PolicyChange } from '../ports.js';
import type { ClusterLimit } from './limit.js';

/** The agents of one service at one replica. */
export interface Population {
  readonly service: string;
  readonly agents: number;
  readonly callees: { has(callee: string): boolean };
}

const HELD_MS = 30_000;
/** Until then the others' counts tell of those that came there at the same time. */
const COMING_MS = 3_000;

interface Service {
  here: number;
  cameAtMs: number;
  /** In the whole mesh; the most of late. */
  agents: number;
  /** When it was as many for the last time. */
  atMs: number;
  uses: readonly Population['callees'][];
}

export class Crowd {
  readonly #services = new Map<string, Service>();
  /** Policies with such limits, by the callee that they are `to`. */
  readonly #limits = new Map<string, NamedPolicies>();
  /** By callee and caller, as of the last count. */
  readonly #counted = new Map<string, number>();

  /** In the whole mesh. */
  get agents(): number {
    let sum = 0;
    for (const { agents } of this.#services.values()) sum += agents;
    return rounded(sum);
  }

  /** Whether any policy in force has such a limit. */
  get limited(): boolean {
    return this.#limits.size > 0;
  }

  /** Takes the policies that have such limits out of all there are. */
  use(policies: readonly PolicyRevision[]): void {
    this.#limits.clear();
    for (const entry of policies) this.#change(undefined, entry);
  }

  /** Some of them changed. Answers whether any of those has or had such a limit. */
  change(changes: readonly PolicyChange[]): boolean {
    const concerned = changes.filter(({ before, after }) => isLimit(before) || isLimit(after));
    for (const { before, after } of concerned) this.#change(before, after);
    return concerned.length > 0;
  }

  /** `elsewhere`: of each other replica. */
  count(here: readonly Population[], elsewhere: readonly (readonly Population[])[], now: number): void {
    this.#counted.clear();
    const sums = new Map<string, { here: number; agents: number; uses: Population['callees'][] }>();
    for (const [i, populations] of [here, ...elsewhere].entries())
      for (const { service, agents, callees } of populations) {
        const sum = sums.get(service) ?? { here: 0, agents: 0, uses: [] };
        if (i === 0) sum.here += agents;
        sum.agents += agents;
        sum.uses.push(callees);
        sums.set(service, sum);
      }
    const none = { here: 0, agents: 0, uses: [] };
    for (const service of new Set([...this.#services.keys(), ...sums.keys()])) {
      const sum = sums.get(service) ?? none;
      const known = this.#services.get(service);
      const cameAtMs = sum.here > (known?.here ?? 0) ? now : (known?.cameAtMs ?? Number.NEGATIVE_INFINITY);
      const coming = now - cameAtMs < COMING_MS ? sum.here * (1 + elsewhere.length) : 0;
      const agents = Math.max(sum.agents, coming);
      const held = known !== undefined && known.agents > agents && now - known.atMs < HELD_MS;
      if (agents === 0 && !held) this.#services.delete(service);
      else
        this.#services.set(service, {
          here: sum.here,
          cameAtMs,
          agents: held ? known.agents : agents,
          atMs: held ? known.atMs : now,
          uses: sum.uses.length > 0 ? sum.uses : (known?.uses ?? []),
        });
    }
  }

  /** That could use this limit. */
  of({ callee, from }: Pick<ClusterLimit, 'callee' | 'from'>): number {
    const key = `${callee}|${from ?? ''}`;
    const known = this.#counted.get(key);
    if (known !== undefined) return known;
    let sum = 0;
    for (const [service, { agents, uses }] of this.#services)
      if ((from === undefined || from === service) && uses.some((callees) => callees.has(callee)))
        sum += agents;
    this.#counted.set(key, rounded(sum));
    return rounded(sum);
  }

  /** What the agents of `service`, which use these callees, have to know. */
  sharesOf(service: string, callees: ReadonlySet<string>): readonly RateShare[] {
    const limits = ['*', ...callees].flatMap((to) => this.#to(to)).sort(byName);
    const shares: RateShare[] = [];
    for (const { policy } of limits) {
      const { to, from } = policy.match;
      if (from !== undefined && from !== service) continue;
      for (const callee of to === '*' ? callees : [to]) {
        // What is general is not of calls into the service.
        if (to === '*' && callee === SELF) continue;
        if (shares.length >= rateSharesMax) return shares;
        shares.push({ id: `${callee}|${policy.name}`, agents: this.of({ callee, from }) });
      }
    }
    return shares;
  }

  #to(callee: string): readonly PolicyRevision[] {
    return this.#limits.get(callee)?.list() ?? none;
  }

  #change(before: PolicyRevision | undefined, after: PolicyRevision | undefined): void {
    if (isLimit(before)) {
      const { name, match } = before.policy;
      const those = this.#limits.get(match.to);
      those?.delete(name);
      if (those?.size === 0) this.#limits.delete(match.to);
    }
    if (isLimit(after)) {
      const { to } = after.policy.match;
      const those = this.#limits.get(to) ?? new NamedPolicies();
      those.set(after);
      this.#limits.set(to, those);
    }
  }
}

const none: readonly PolicyRevision[] = [];

function byName(a: PolicyRevision, b: PolicyRevision): number {
  return a.policy.name < b.policy.name ? -1 : 1;
}

/** In shadow as well: the agent limits there, too, if only to tell. */
function isLimit(entry: PolicyRevision | undefined): entry is PolicyRevision {
  return entry?.policy.spec.rateLimit?.scope === 'cluster';
}

function rounded(count: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, count))) - 1);
  return Math.ceil(count / unit) * unit;
}
