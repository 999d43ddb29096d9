/**
 * The other replicas, as their summaries and pages tell, and ours for them. Once a second: write the pages that are out of date and
 * the summary, if it is (or every few seconds), then read the others' summaries, and of their pages those that are newer than what is
 * known. One round at a time; while the store is away, what was read last goes on being answered until it is too old.
 *
 * In a second in which no agent comes, goes or acknowledges nobody reads a page. One is written all the same in each round, so that a
 * page lost with the store's memory is back within a minute or so, and one that nobody writes any more runs out. Summaries are read
 * whole each round, and hold the circuits that are not closed: what an outage costs is in `docs/scaling.md`.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { AgentRow } from '../ports.js';
import type { ReplicaSummary, Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { decodePage, type Entry, encodePage, PAGES, type Page, pageOf } from './pages.js';
import { decodeSummary, encodeSummary, type Summary } from './summary.js';

const ROUND_MS = 1000;
const REPEAT_MS = 3000;
const TTL_MS = 10_000;
/** Each page is written once in `PAGES` rounds at least. */
const PAGE_TTL_MS = 180_000;
/** Pages made or taken in at one turn of the loop, and asked for at once. */
const AT_ONCE = 4;
const ASKED_AT_ONCE = 32;
/** Agents read in one round, or a few more: past that many, what is told of those elsewhere is some seconds older. */
const READ_MAX = 20_000;

/** What a replica says of itself, but for who it is and when. */
export type OwnSummary = Pick<Summary, 'agents' | 'circuits' | 'health' | 'latencies'>;

export interface OthersOptions {
  readonly store: Pick<Store, 'publishSummaries' | 'summaries'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly replica: string;
  /** Of this life of this replica, unique. */
  readonly life: string;
  /** This replica's present state. */
  readonly summary: () => OwnSummary;
  /** Its agents on this page. */
  readonly entries: (page: number) => readonly Entry[];
  /** Whether the summary is out of date, and which pages are. */
  readonly takeChanged: () => boolean;
  readonly takeTouched: () => ReadonlySet<number>;
  /** The others were read; `fresh`: the pages that are new. */
  readonly read: (views: readonly ReplicaView[], fresh: readonly Page[]) => void;
}

/** Another replica as it was `ageMs` ago. */
export interface ReplicaView {
  readonly summary: Summary;
  readonly pages: Iterable<Page>;
  readonly ageMs: number;
}

interface SeenPage {
  readonly page: Page;
  readonly boots: ReadonlyMap<string, number>;
}

interface Seen {
  readonly body: string;
  readonly summary: Summary;
  readonly atMs: number;
  readonly pages: Map<number, SeenPage>;
}

export class Others {
  readonly #options: OthersOptions;
  readonly #timer: Timer;
  readonly #seen = new Map<string, Seen>();
  /** Of our pages. */
  readonly #versions: number[] = new Array(PAGES).fill(0);
  /** Pages that are out of date in the store. */
  readonly #unwritten = new Set<number>();
  #rounds = 0;
  #publishedAtMs = Number.NEGATIVE_INFINITY;
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(options: OthersOptions) {
    this.#options = options;
    this.#timer = options.clock.every(ROUND_MS, () => this.#start());
    this.#start();
  }

  /** What the other replicas say. */
  views(): readonly ReplicaView[] {
    const now = this.#options.clock.now();
    return [...this.#seen.values()]
      .map(({ summary, pages, atMs }) => ({ summary, pages: pagesOf(pages), ageMs: now - atMs }))
      .filter(({ ageMs }) => ageMs < TTL_MS);
  }

  /** The boot under which another replica has this agent. */
  bootOf(agent: string): number | undefined {
    const since = this.#options.clock.now() - TTL_MS;
    const at = pageOf(agent);
    for (const { pages, atMs } of this.#seen.values()) {
      const boot = atMs > since ? pages.get(at)?.boots.get(agent) : undefined;
      if (boot !== undefined) return boot;
    }
    return undefined;
  }

  /** Takes this replica's agents out of the others' answers. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer.cancel();
    await this.#round;
    const { store, replica, life, clock } = this.#options;
    const nothing = { agents: 0, pages: [], circuits: [], health: new Map(), latencies: new Map() };
    const body = encodeSummary({ replica, life, nowMs: clock.now(), ...nothing });
    await store.publishSummaries([{ replica, body }], TTL_MS).catch(() => {});
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
    const { takeChanged, takeTouched } = this.#options;
    // At one moment: what comes while pages are being written is for the next round, with the summary that says so.
    const changed = takeChanged();
    await this.#writePages(takeTouched());
    await this.#writeSummary(changed);
    const summaries = await this.#options.store.summaries();
    if (this.#closed) return;
    this.#take(summaries);
    const fresh = await this.#readPages();
    if (!this.#closed) this.#options.read(this.views(), fresh);
  }

  /** All pages that are out of date, and one that isn't. */
  async #writePages(touched: ReadonlySet<number>): Promise<void> {
    const { store, replica, life, entries } = this.#options;
    for (const page of touched) {
      this.#unwritten.add(page);
      this.#versions[page] = (this.#versions[page] ?? 0) + 1;
    }
    const repeated = this.#rounds++ % PAGES;
    if (this.#versions[repeated]) this.#unwritten.add(repeated);
    const written = [...this.#unwritten];
    const bodies: ReplicaSummary[] = [];
    for (const some of inParts(written, AT_ONCE)) {
      if (bodies.length > 0) await turn();
      for (const page of some) {
        const body = encodePage({ life, version: this.#versions[page] ?? 0, entries: entries(page) });
        bodies.push({ replica: `${replica} ${page}`, body });
      }
    }
    await store.publishSummaries(bodies, PAGE_TTL_MS, 'pages');
    for (const page of written) this.#unwritten.delete(page);
  }

  async #writeSummary(changed: boolean): Promise<void> {
    const { store, clock, replica, life, summary } = this.#options;
    const now = clock.now();
    if (!changed && now - this.#publishedAtMs < REPEAT_MS) return;
    this.#publishedAtMs = now;
    const body = encodeSummary({ replica, life, nowMs: now, pages: this.#versions, ...summary() });
    await store.publishSummaries([{ replica, body }], TTL_MS);
  }

  #take(summaries: readonly ReplicaSummary[]): void {
    const { replica, clock } = this.#options;
    const present = new Set<string>();
    for (const { replica: name, body } of summaries) {
      if (name === replica) continue;
      present.add(name);
      const known = this.#seen.get(name);
      if (known?.body === body) continue;
      const summary = decodeSummary(body);
      if (!summary) continue;
      const pages = known?.summary.life === summary.life ? known.pages : new Map<number, SeenPage>();
      // It has left, and said so.
      if (summary.pages.length === 0) pages.clear();
      this.#seen.set(name, { body, summary, pages, atMs: clock.now() });
    }
    for (const name of this.#seen.keys()) if (!present.has(name)) this.#seen.delete(name);
  }

  async #readPages(): Promise<readonly Page[]> {
    const wanted = new Map<string, readonly [Seen, number]>();
    for (const [replica, seen] of this.#seen)
      for (const [at, version] of seen.summary.pages.entries())
        if (version > (seen.pages.get(at)?.page.version ?? 0)) wanted.set(`${replica} ${at}`, [seen, at]);
    const fresh: Page[] = [];
    let agents = 0;
    for (const some of inParts(rotated([...wanted.keys()], this.#rounds * ASKED_AT_ONCE), ASKED_AT_ONCE)) {
      if (agents >= READ_MAX) break;
      const bodies = await this.#options.store.summaries('pages', some);
      for (const [i, { replica: name, body }] of bodies.entries()) {
        if (i > 0 && i % AT_ONCE === 0) await turn();
        const page = decodePage(body);
        const [seen, at] = wanted.get(name) ?? [];
        if (!page || !seen || at === undefined || page.life !== seen.summary.life) continue;
        const boots = new Map(page.entries.map(({ row, boot }) => [row.agent, boot]));
        seen.pages.set(at, { page, boots });
        fresh.push(page);
        agents += page.entries.length;
      }
    }
    return fresh;
  }
}

/** The agents of another replica, as of now. */
export function* rowsOf({ summary, pages, ageMs }: ReplicaView): Generator<AgentRow> {
  const { replica, nowMs } = summary;
  const since = (atMs: number | undefined) =>
    atMs === undefined ? 0 : Math.max(0, Math.round(nowMs - atMs + ageMs));
  for (const { entries } of pages)
    for (const { row, connectedAtMs, unackedSinceMs } of entries)
      yield { ...row, replica, staleMs: since(unackedSinceMs), connectedMs: since(connectedAtMs) };
}

function* pagesOf(pages: ReadonlyMap<number, SeenPage>): Generator<Page> {
  for (const { page } of pages.values()) yield page;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Each has its turn, also where no round reads all of them. */
function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const at = all.length === 0 ? 0 : by % all.length;
  return [...all.slice(at), ...all.slice(0, at)];
}

function* inParts<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
