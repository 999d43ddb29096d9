/**
 * Directives, as streams are told of them: everything that holds of the circuits of the mesh that an agent's callees have, at once
 * when something changes and again every 3 s while any of them isn't closed, since directives lapse. They go past policies and
 * instances, the latest wins, nobody answers; a stream that takes nothing is told what holds then.
 *
 * What agents of one service and zone are told is the same for all of them and encoded once, but for those that hold probe permits.
 * Each stream keeps what it was told last. At most 1,000 circuits for one agent, in messages of 200.
 */
import type { ClusterDirective } from '../../core/coordination/model.js';
import type { Hello } from '../../proto/messages.js';
import type { CircuitRoom } from '../coordination/room.js';
import type { Encode } from './bodies.js';
import type { Group } from './group.js';
import type { Outlet } from './outlet.js';

/** Of the protocol, in which agents began to listen. */
const MINOR = 2;
const RENEW_MS = 2_900;
/** What was made less than that ago still holds, unless something has changed. */
const VALID_MS = 900;
const MESSAGE_MAX = 200;
const DIRECTIVES_MAX = 1_000;
const REASON_LENGTH_MAX = 500;
const ZONES_MAX = 64;

export type DirectiveSource = Pick<CircuitRoom, 'directives'> & {
  readonly news: Pick<CircuitRoom['news'], 'version' | 'isHolder'>;
};

interface Body {
  readonly version: number;
  /** How many it is about; a service's callees only become more. */
  readonly callees: number;
  readonly atMs: number;
  /** What it says, but for how long and why; empty: nothing. */
  readonly told: string;
  /** It has to be said again, since it would lapse. */
  readonly lapses: boolean;
  readonly messages: readonly Buffer[];
}

type Listening = Pick<Hello, 'agent' | 'service' | 'zone'>;

export class DirectiveBodies {
  readonly #source: DirectiveSource;
  readonly #encode: Encode;
  readonly #shared = new WeakMap<Group, Map<string, Body>>();

  constructor(source: DirectiveSource, encode: Encode) {
    this.#source = source;
    this.#encode = encode;
  }

  of({ agent, service, zone }: Listening, group: Group, now: number): Body {
    const { news } = this.#source;
    const { callees } = group.interest;
    if (news.isHolder(agent))
      return this.#body(this.#source.directives({ agent, service, zone }, callees), callees.size, now);
    const byZone = this.#shared.get(group) ?? new Map<string, Body>();
    const known = byZone.get(zone);
    const isOf = known?.version === news.version && known.callees === callees.size;
    if (isOf && now - known.atMs < VALID_MS) return known;
    const body = this.#body(this.#source.directives({ service, zone }, callees), callees.size, now);
    if (byZone.size >= ZONES_MAX) byZone.clear();
    this.#shared.set(group, byZone.set(zone, body));
    return body;
  }

  #body(directives: readonly ClusterDirective[], callees: number, atMs: number): Body {
    const some = directives.slice(0, DIRECTIVES_MAX);
    const told = some
      .map(({ circuit, state, epoch, admitPercent, permits }) =>
        [circuit, state, epoch, admitPercent, ...permits].join(' '),
      )
      .join('\n');
    const lapses = some.some(({ state }) => state !== 'closed');
    const { version } = this.#source.news;
    return { version, callees, atMs, told, lapses, messages: this.#messages(some) };
  }

  #messages(all: readonly ClusterDirective[]): readonly Buffer[] {
    const messages: Buffer[] = [];
    for (let at = 0; at < all.length; at += MESSAGE_MAX) {
      const directives = all.slice(at, at + MESSAGE_MAX).map(({ epoch, ...rest }) => ({
        ...rest,
        circuitEpoch: epoch,
        admitPercent: Math.round(rest.admitPercent),
        ttlMs: Math.round(rest.ttlMs),
        reason: rest.reason.slice(0, REASON_LENGTH_MAX),
      }));
      messages.push(this.#encode({ message: 'directives', directives: { directives } }));
    }
    return messages;
  }
}

/** One stream's part. */
export class DirectiveLane {
  readonly #bodies: DirectiveBodies | undefined;
  readonly #hello: Listening;
  readonly #group: Group;
  #told = '';
  #lapses = false;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  /** `hello`: an agent of an older protocol has no use for directives, and hears none. */
  constructor(bodies: DirectiveBodies | undefined, hello: Listening & Pick<Hello, 'protocol'>, group: Group) {
    this.#bodies = hello.protocol.minor >= MINOR ? bodies : undefined;
    this.#hello = hello;
    this.#group = group;
  }

  /** Whether what was told is about to lapse. */
  isDue(now: number): boolean {
    return this.#lapses && now - this.#toldAtMs >= RENEW_MS;
  }

  write(outlet: Outlet, now: number): void {
    if (!this.#bodies || outlet.blocked) return;
    const body = this.#bodies.of(this.#hello, this.#group, now);
    const isDue = body.lapses && now - this.#toldAtMs >= RENEW_MS;
    if (body.told === this.#told && !isDue) return;
    this.#told = body.told;
    this.#lapses = body.lapses;
    this.#toldAtMs = now;
    for (const message of body.messages) outlet.write(message);
  }
}
