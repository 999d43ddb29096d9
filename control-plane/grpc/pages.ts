/**
 * Who is connected to a replica, as it tells the others: in 64 pages by the agent's name, each with a version and written anew only
 * when something on it has changed. What an agent has in common with others stands on a page once, and times are instants of the
 * replica's clock, so that nothing changes merely because time passes. A page is read back with suspicion, as `summary.ts` says.
 */
import type { AgentRow } from '../ports.js';
import { list, number, parsed, text } from './json.js';

export const PAGES = 64;

/** An agent, with instants in milliseconds on the monotonic clock of its replica. */
export interface Entry {
  readonly boot: number;
  readonly row: Omit<AgentRow, 'replica' | 'staleMs' | 'connectedMs'>;
  readonly connectedAtMs: number;
  /** Since when a push waits for its acknowledgement; undefined: none does. */
  readonly unackedSinceMs: number | undefined;
}

export interface Page {
  readonly life: string;
  readonly version: number;
  readonly entries: readonly Entry[];
}

/** The page of an agent, 0 to 63; the same at every replica. */
export function pageOf(agent: string): number {
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (let at = 0; at < agent.length; at++) hash = Math.imul(hash ^ agent.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) & (PAGES - 1);
}

const FORMAT = 2;

export function encodePage({ life, version, entries }: Page): string {
  const kinds = new Kinds();
  const rows = entries.map(({ boot, row, connectedAtMs, unackedSinceMs }) => [
    kinds.index(row),
    row.instance,
    boot,
    row.sent,
    row.acked,
    row.applied,
    Math.round(connectedAtMs),
    unackedSinceMs === undefined ? null : Math.round(unackedSinceMs),
    ...extras(row),
  ]);
  return JSON.stringify({ format: FORMAT, life, version, kinds: kinds.all, rows });
}

/** Undefined if it is of another format, or none at all. */
export function decodePage(body: string): Page | undefined {
  const page = parsed(body);
  if (page?.format !== FORMAT) return undefined;
  const kinds = list(page.kinds).map((kind) => kindOf(list(kind)));
  return {
    life: text(page.life),
    version: number(page.version),
    entries: list(page.rows).flatMap((row) => entryOf(list(row), kinds)),
  };
}

/** Only few have any. */
function extras({ refused, notice }: Entry['row']): readonly unknown[] {
  if (refused.length === 0 && notice === undefined) return [];
  return [refused.map(({ policy, revision, reason }) => [policy, revision, reason]), notice ?? ''];
}

type Kind = Pick<
  Entry['row'],
  'service' | 'zone' | 'version' | 'protocol' | 'dataset' | 'capabilities' | 'callees'
>;

/** What agents have in common, each once. Lists that are shared are found by identity. */
class Kinds {
  readonly all: unknown[] = [];
  readonly #indexes = new Map<string, number>();
  readonly #lists = new Map<readonly string[], number>();

  index({ service, zone, version, protocol, dataset, capabilities, callees }: Kind): number {
    const lists = `${this.#list(capabilities)} ${this.#list(callees)}`;
    const key = `${service}\n${zone}\n${version}\n${protocol}\n${dataset}\n${lists}`;
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    this.#indexes.set(key, this.all.length);
    return this.all.push([service, zone, version, protocol, dataset, capabilities, callees]) - 1;
  }

  #list(items: readonly string[]): number {
    const known = this.#lists.get(items);
    if (known !== undefined) return known;
    this.#lists.set(items, this.#lists.size);
    return this.#lists.size - 1;
  }
}

function kindOf([
  service,
  zone,
  version,
  protocol,
  dataset,
  capabilities,
  callees,
]: readonly unknown[]): Kind {
  return {
    service: text(service),
    zone: text(zone),
    version: text(version),
    protocol: text(protocol),
    dataset: text(dataset),
    capabilities: list(capabilities).map(text),
    callees: list(callees).map(text),
  };
}

function entryOf(row: readonly unknown[], kinds: readonly Kind[]): Entry[] {
  const [at, instance, boot, sent, acked, applied, connectedAtMs, unackedSinceMs, refused, notice] = row;
  const kind = kinds[number(at)];
  if (!kind) return [];
  return [
    {
      boot: number(boot),
      row: {
        agent: `${kind.service}/${text(instance)}`,
        ...kind,
        instance: text(instance),
        sent: number(sent),
        acked: number(acked),
        applied: number(applied),
        refused: list(refused).map((entry) => {
          const [policy, revision, reason] = list(entry);
          return { policy: text(policy), revision: number(revision), reason: text(reason) };
        }),
        ...(text(notice) === '' ? {} : { notice: text(notice) }),
      },
      connectedAtMs: number(connectedAtMs),
      unackedSinceMs: typeof unackedSinceMs === 'number' ? number(unackedSinceMs) : undefined,
    },
  ];
}
