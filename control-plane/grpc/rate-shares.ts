/**
 * Tells the agents of each service among how many each limit of the whole mesh is divided while there is no grant: before the
 * policies that have it, and again when it is another. The bytes are the same for all streams of a service, and each keeps
 * those that it was told last. While no policy has such a limit nothing is counted and nothing told.
 *
 * Numbers are looked at once a second, and a moment after agents or callees came: a fleet that starts counts as a whole, and one
 * that comes in the meantime is told of the others. Until it is told, an agent takes next to nothing.
 */
import type { Clock, Timer } from '../../core/clock.js';
import type { Mirror } from '../ports.js';
import { Crowd, type Population } from '../rates/crowd.js';
import type { Encode } from './bodies.js';
import type { FanOut } from './fan-out.js';
import type { Group } from './group.js';
import type { ReplicaView } from './others.js';
import type { Outlet } from './outlet.js';
import type { Page } from './pages.js';
import type { Pump } from './pump.js';

const BEAT_MS = 1000;
const SOON_MS = 50;

interface Body {
  readonly told: string;
  readonly bytes: Buffer;
}

export interface RateSharesParts {
  readonly mirror: Mirror;
  readonly fanOut: FanOut;
  readonly pump: Pump;
  readonly clock: Clock;
  readonly encode: Encode;
}

export class RateShares {
  readonly crowd = new Crowd();
  readonly #parts: RateSharesParts;
  readonly #bodies = new WeakMap<Group, Body>();
  /** A page is looked through once. */
  readonly #pages = new WeakMap<Page, readonly Population[]>();
  #elsewhere: readonly ReplicaView[] = [];
  readonly #beat: Timer;
  #soon: Timer | undefined;
  readonly #stops: (() => void)[];

  constructor(parts: RateSharesParts) {
    this.#parts = parts;
    const { mirror, clock } = parts;
    this.crowd.use(mirror.policies());
    this.#beat = clock.every(BEAT_MS, () => this.#refresh());
    this.#stops = [
      mirror.on('reset', () => {
        this.crowd.use(mirror.policies());
        this.#refresh();
      }),
      mirror.on('policies', (changes) => {
        if (this.crowd.change(changes)) this.#refresh();
      }),
    ];
  }

  /** What the other replicas said last. */
  read(views: readonly ReplicaView[]): void {
    this.#elsewhere = views;
  }

  /** Agents came, or callees. */
  came(): void {
    if (!this.#active) return;
    this.#soon ??= this.#parts.clock.after(SOON_MS, () => {
      this.#soon = undefined;
      this.#refresh();
    });
  }

  /** The present word for agents of this group; undefined: there is none. */
  body(group: Group): Buffer | undefined {
    return this.#bodies.get(group)?.bytes;
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#beat.cancel();
    this.#soon?.cancel();
  }

  /** Of a store that was not seen yet nothing is known, and its agents may have such limits from before. */
  get #active(): boolean {
    return this.crowd.limited || this.#parts.mirror.dataset === '';
  }

  #refresh(): void {
    if (!this.#active) return;
    const { mirror, fanOut, clock, encode, pump } = this.#parts;
    const groups = [...fanOut.groups()];
    const here = groups.map(populationOf);
    const elsewhere = this.#elsewhere.map(({ pages }) =>
      [...pages].flatMap((page) => this.#populations(page)),
    );
    this.crowd.count(here, elsewhere, clock.now());
    const { agents } = this.crowd;
    for (const group of groups) {
      const { service, callees } = group.interest;
      const shares = this.crowd.sharesOf(service, callees);
      const known = this.#bodies.get(group);
      const seen = mirror.dataset !== '';
      if (seen && shares.length === 0 && !known) continue;
      // The sum of all is for what has no name here. It is told along, and no reason to tell where there are names.
      const told = seen ? JSON.stringify(shares) : String(agents);
      if (known?.told === told) continue;
      this.#bodies.set(group, { told, bytes: encode({ message: 'shares', shares: { shares, agents } }) });
      for (const member of group.members) pump.wake(member);
    }
  }

  #populations(page: Page): readonly Population[] {
    const known = this.#pages.get(page);
    if (known) return known;
    const found = new Map<string, { service: string; agents: number; callees: Set<string> }>();
    let list: readonly string[] | undefined;
    for (const { row } of page.entries) {
      const population = found.get(row.service) ?? { service: row.service, agents: 0, callees: new Set() };
      found.set(row.service, population);
      population.agents++;
      // Agents of a service share their list.
      if (row.callees === list) continue;
      list = row.callees;
      for (const callee of list) population.callees.add(callee);
    }
    const populations = [...found.values()];
    this.#pages.set(page, populations);
    return populations;
  }
}

/** One stream's part. */
export class RateSharesFeed {
  readonly #shares: RateShares | undefined;
  readonly #group: Group;
  #told: Buffer | undefined;

  /** `minor`: of the protocol that the agent speaks; 1.0 has no word for it and would end its stream. */
  constructor(shares: RateShares, group: Group, minor: number) {
    this.#shares = minor >= 1 ? shares : undefined;
    this.#group = group;
  }

  write(outlet: Outlet): void {
    const bytes = this.#shares?.body(this.#group);
    if (!bytes || bytes === this.#told || outlet.blocked) return;
    this.#told = bytes;
    outlet.write(bytes);
  }
}

function populationOf({ interest, members }: Group): Population {
  return { service: interest.service, agents: members.size, callees: interest.callees };
}
