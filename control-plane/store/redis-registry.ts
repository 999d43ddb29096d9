/**
 * Instances, leases, interests and summaries on Redis. Every deadline is on Redis' own clock, so that replicas whose clocks
 * differ agree on what has run out.
 */
import type { Issue } from '../../core/errors.js';
import { fitHint } from './health-request.js';
import {
  EXPIRE_BATCH_MAX,
  EXPIRE_GAP_MS,
  INTEREST_SERVICES_MAX,
  INTERESTS_MAX,
  LEASE_GRACE_MS,
  REGISTRY_EVENTS_MAX,
} from './limits.js';
import type { KeyName, RedisKeys } from './redis-keys.js';
import { parseJson } from './redis-read.js';
import { pairs, texts } from './redis-replies.js';
import type { ScriptName } from './redis-scripts.js';
import { isInstance, isRecord, isStrings } from './shapes.js';
import type {
  Board,
  Instance,
  LeasedInstance,
  RegistryEvent,
  RegistrySnapshot,
  ReplicaSummary,
} from './store.js';

/** Instances in one script: a replica that renews ten thousand leases must not hold Redis up. */
const LEASES_EACH = 500;
const boards: { readonly [B in Board]: readonly [bodies: KeyName, deadlines: KeyName] } = {
  roster: ['summaries', 'freshness'],
  pages: ['pages', 'pages-freshness'],
  rates: ['rates', 'rates-freshness'],
};

type Run = (
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

export class RedisRegistry {
  readonly #keys: RedisKeys;
  readonly #run: Run;

  constructor(keys: RedisKeys, run: Run) {
    this.#keys = keys;
    this.#run = run;
  }

  async load(): Promise<RegistrySnapshot> {
    const answer = await this.#run(
      'registry',
      this.#keys.of('instances', 'leases', 'interests', 'registry', 'meta'),
      [],
    );
    const [number, now, stored, leases, learned] = Array.isArray(answer) ? answer : [];
    const [instancesKey = '', interestsKey = ''] = this.#keys.of('instances', 'interests');
    const faults: Issue[] = [];
    const deadlines = new Map(pairs(leases).map(([id, deadline]) => [id, Number(deadline)]));
    const instances: LeasedInstance[] = [];
    for (const [id, text] of pairs(stored)) {
      const instance = parseJson(text);
      const deadline = deadlines.get(id);
      const path = `${instancesKey} ${id}`;
      if (!isInstance(instance) || instance.id !== id)
        faults.push({ path, message: 'is not an instance as we write it; it is skipped' });
      else if (deadline === undefined)
        faults.push({ path, message: 'is an instance without a lease; it is skipped' });
      else instances.push({ ...instance, remainingMs: Math.max(0, deadline - Number(now)) });
    }
    const interests = new Map<string, readonly string[]>();
    for (const [service, text] of pairs(learned)) {
      const callees = parseJson(text);
      if (isStrings(callees)) interests.set(service, callees);
      else
        faults.push({ path: `${interestsKey} ${service}`, message: 'is not a list of names; it is skipped' });
    }
    return { instances, interests, cursor: String(number), faults };
  }

  async lease(instances: readonly Instance[], ttlMs: number): Promise<readonly ('held' | 'stale')[]> {
    const answers: ('held' | 'stale')[] = [];
    for (let from = 0; from < instances.length; from += LEASES_EACH) {
      const part = instances.slice(from, from + LEASES_EACH);
      const answer = await this.#run('lease', this.#keys.of('instances', 'leases', 'registry', 'meta'), [
        Math.max(1, Math.round(ttlMs)),
        REGISTRY_EVENTS_MAX,
        ...part.flatMap((instance) => [instance.id, instance.boot, JSON.stringify(instance)]),
      ]);
      answers.push(...texts(answer).map((text) => (text === 'stale' ? 'stale' : 'held')));
    }
    return answers;
  }

  async release(id: string, boot: number): Promise<void> {
    const keys = this.#keys.of('instances', 'leases', 'registry', 'meta');
    await this.#run('release', keys, [id, boot, REGISTRY_EVENTS_MAX]);
  }

  async expire(): Promise<number> {
    const keys = this.#keys.of('instances', 'leases', 'registry', 'meta');
    let total = 0;
    for (;;) {
      const args = [EXPIRE_BATCH_MAX, REGISTRY_EVENTS_MAX, EXPIRE_GAP_MS, LEASE_GRACE_MS];
      const ended = Number(await this.#run('expire', keys, args));
      total += ended;
      if (ended < EXPIRE_BATCH_MAX) return total;
    }
  }

  async learn(service: string, callees: readonly string[]): Promise<void> {
    if (callees.length === 0) return;
    const names = [...new Set(callees)].slice(0, INTERESTS_MAX);
    await this.#run('learn', this.#keys.of('interests', 'registry', 'meta'), [
      service,
      INTERESTS_MAX,
      INTEREST_SERVICES_MAX,
      REGISTRY_EVENTS_MAX,
      ...names,
    ]);
  }

  async publishSummaries(summaries: readonly ReplicaSummary[], ttlMs: number, board: Board): Promise<void> {
    if (summaries.length === 0) return;
    const named = summaries.flatMap(({ replica, body }) => [replica, body]);
    await this.#run('publish', this.#keys.of(...boards[board]), [Math.max(1, Math.round(ttlMs)), ...named]);
  }

  async summaries(board: Board, only?: readonly string[]): Promise<readonly ReplicaSummary[]> {
    if (only?.length === 0) return [];
    const answer = await this.#run('summaries', this.#keys.of(...boards[board]), only ?? []);
    return pairs(answer).map(([replica, body]) => ({ replica, body }));
  }
}

/** An event of the registry's stream; undefined for what only wakes the readers, and for what is none of ours. */
export function registryEvent(text: string | undefined): RegistryEvent | undefined {
  const event = parseJson(text ?? '');
  if (!isRecord(event)) return undefined;
  const { kind, instance, id, service, reason, callees, circuits } = event;
  if (kind === 'up' && isInstance(instance)) return { kind, instance };
  if (kind === 'circuits' && Array.isArray(circuits)) {
    const named = fitHint(circuits);
    return named.length > 0 ? { kind, circuits: named } : undefined;
  }
  if (typeof service !== 'string') return undefined;
  if (kind === 'down' && typeof id === 'string' && (reason === 'released' || reason === 'expired'))
    return { kind, id, service, reason };
  if (kind === 'interest' && isStrings(callees)) return { kind, service, callees };
  return undefined;
}
