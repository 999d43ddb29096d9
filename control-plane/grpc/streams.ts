/**
 * All streams of this replica, and who may have one. One instance name is one process: the newer boot replaces the older, the
 * older is refused while the newer is here (on this replica or, as far as summaries tell, on another), and two processes that
 * keep replacing each other are not let go on. It also keeps the beat of a second, tells some streams to go elsewhere (`age.ts` says
 * which), and ends everything in good order.
 */
import { type Timer, wait } from '../../core/clock.js';
import { MeshError } from '../../core/errors.js';
import type { Hello } from '../../proto/messages.js';
import type { ConnectionAge } from './age.js';
import { ConnectedAgent, type Line } from './connected-agent.js';
import type { SessionCall } from './outlet.js';
import { PAGES } from './pages.js';
import type { Room } from './room.js';
import { type Door, Refused, Stream } from './stream.js';

const BEAT_MS = 1000;
/** What was missed, if anything could be, is found within so many beats. */
const LOOK_BEATS = 5;
/** So many replacements of one name by the same boot within a minute are no reconnects. */
const REPLACEMENTS_MAX = 5;
const REPLACEMENTS_WITHIN_MS = 60_000;
/** How long agents have to leave of their own accord: more when there are many. */
const DRAIN_MIN_MS = 200;
const DRAIN_EACH_MS = 0.4;
const DRAIN_MAX_MS = 4000;
const DRAIN_STEP_MS = 20;
const TOLD_AT_ONCE = 100;
/** Who is told while the replica goes on moves within half of it; the stream is kept until then. */
const MOVE_AFTER_MS = 2000;
/** Those that stay are ended in so many steps. */
const ENDING_STEPS = 30;

export interface StreamsOptions {
  /** Ends the connection of a peer by force. */
  readonly cut: (peer: string) => void;
  /** The boot under which another replica says it has this agent. */
  readonly elsewhere: (agent: string) => number | undefined;
  readonly age: ConnectionAge<Line>;
  /** How many agents each other replica has that takes any. */
  readonly others: () => readonly number[];
}

export class Streams implements Door {
  readonly #room: Room;
  readonly #streams = new Set<Stream>();
  readonly #agents = new Map<string, ConnectedAgent>();
  /** The same, by the page on which other replicas are told of them. */
  readonly #pages: readonly Set<ConnectedAgent>[] = Array.from({ length: PAGES }, () => new Set());
  /** When a name was replaced by the same boot, of late. */
  readonly #replacements = new Map<string, number[]>();
  readonly #beat: Timer;
  #beats = 0;
  readonly #options: StreamsOptions;
  #draining = false;

  constructor(room: Room, options: StreamsOptions) {
    this.#room = room;
    this.#options = options;
    this.#beat = room.clock.every(BEAT_MS, () => this.#tick());
  }

  get size(): number {
    return this.#streams.size;
  }

  has(agent: string): boolean {
    return this.#agents.has(agent);
  }

  agents(): Iterable<ConnectedAgent> {
    return this.#agents.values();
  }

  agentsOn(page: number): Iterable<ConnectedAgent> {
    return this.#pages[page] ?? [];
  }

  open(call: SessionCall): void {
    this.#streams.add(new Stream(call, { room: this.#room, door: this }));
  }

  enter(hello: Hello, line: Line): ConnectedAgent {
    const present = this.#agents.get(hello.agent);
    const notice = this.#judge(hello, present);
    // The newcomer is in the group before the old one leaves it, so that the interest lives on.
    const agent = new ConnectedAgent(hello, line, this.#room, present);
    agent.notice = notice;
    this.#options.age.came(line, this.#room.clock.now());
    this.#agents.set(hello.agent, agent);
    if (present) this.#pages[present.page]?.delete(present);
    this.#pages[agent.page]?.add(agent);
    present?.end(
      'replaced',
      new MeshError('revision_conflict', 'another stream of this instance has taken over', {
        target: hello.agent,
      }),
    );
    this.#room.events.agent(agent.row(this.#room.clock.now()), 'connected');
    return agent;
  }

  cut(peer: string): void {
    this.#options.cut(peer);
  }

  gone(stream: Stream, agent: ConnectedAgent | undefined): void {
    this.#streams.delete(stream);
    this.#options.age.left(stream);
    if (!agent || this.#agents.get(agent.hello.agent) !== agent) return;
    this.#agents.delete(agent.hello.agent);
    this.#pages[agent.page]?.delete(agent);
    this.#room.circuits?.left(agent.hello.agent);
  }

  /** Another replica has the same instance under a newer boot. */
  replacedElsewhere(agent: string, boot: number): void {
    const present = this.#agents.get(agent);
    if (present && present.hello.boot < boot) present.end('replaced', duplicate(agent));
  }

  /** There is something to tell to all of them. */
  wake(): void {
    for (const agent of this.#agents.values()) this.#room.pump.wake(agent);
  }

  /** Policies are gone, and their circuits with them. */
  dropCircuits(gone: (policy: string) => boolean): void {
    for (const agent of this.#agents.values()) agent.reports.circuits.drop(gone);
  }

  /**
   * Tells the streams to go elsewhere, each at a time of its own, and ends those that stay, a few at a time, so that they
   * don't all arrive there at once. Ends as soon as nobody is here, within 5 s at the latest.
   */
  async drain(): Promise<void> {
    const { clock, replica } = this.#room;
    this.#draining = true;
    const afterMs = Math.min(DRAIN_MAX_MS, Math.ceil(DRAIN_MIN_MS + this.#streams.size * DRAIN_EACH_MS));
    const endMs = clock.now() + afterMs;
    for (const batch of batches([...this.#streams], TOLD_AT_ONCE)) {
      for (const stream of batch) stream.outlet.write({ message: 'drain', drain: { afterMs } });
      await new Promise((resolve) => setImmediate(resolve));
    }
    while (this.#streams.size > 0 && clock.now() < endMs) await wait(clock, DRAIN_STEP_MS);
    const error = new MeshError('unavailable', `replica ${replica} is stopping: connect to another one`);
    for (const batch of batches([...this.#streams], Math.ceil(this.#streams.size / ENDING_STEPS))) {
      for (const stream of batch) stream.end('draining', error);
      if (this.#streams.size > 0) await wait(clock, DRAIN_STEP_MS);
    }
  }

  close(): void {
    this.#beat.cancel();
    for (const stream of this.#streams)
      stream.end('draining', new MeshError('unavailable', 'the control plane has stopped'));
  }

  /** Throws `Refused`; answers what a person should know. */
  #judge(hello: Hello, present: ConnectedAgent | undefined): string | undefined {
    const boot = present?.hello.boot ?? this.#options.elsewhere(hello.agent);
    if (boot === undefined || boot === hello.boot) {
      if (present) this.#countReplacement(hello.agent);
      return undefined;
    }
    if (boot > hello.boot) {
      const text = `a second process (boot ${hello.boot}) says it is this instance: give each process an instance name of its own`;
      if (present) {
        present.notice = text;
        this.#room.events.touched(present.page);
      }
      this.#room.logger.warn({ agent: hello.agent, boot: hello.boot, present: boot }, text);
      throw new Refused('duplicate', duplicate(hello.agent));
    }
    return present
      ? `an older process (boot ${boot}) of this instance was still connected and has been replaced`
      : undefined;
  }

  /** Throws `Refused` when a name changes hands as no reconnecting process would do it. */
  #countReplacement(agent: string): void {
    const now = this.#room.clock.now();
    const recent = (this.#replacements.get(agent) ?? []).filter((at) => now - at < REPLACEMENTS_WITHIN_MS);
    if (recent.length >= REPLACEMENTS_MAX) throw new Refused('duplicate', duplicate(agent));
    this.#replacements.set(agent, [...recent, now]);
  }

  #tick(): void {
    const now = this.#room.clock.now();
    let turn = this.#beats++;
    for (const stream of this.#streams) stream.tick(now, turn++ % LOOK_BEATS === 0);
    for (const [agent, times] of this.#replacements)
      if (times.every((at) => now - at >= REPLACEMENTS_WITHIN_MS)) this.#replacements.delete(agent);
    if (!this.#draining) this.#sendElsewhere(now);
  }

  /** Those that the others should have; a call notices nothing, since a stream is kept until the next one is welcomed. */
  #sendElsewhere(now: number): void {
    const { age, others } = this.#options;
    const { tell, round } = age.turn(now, others());
    if (round)
      this.#room.logger.info(
        { agents: round.agents, fairShare: Math.round(round.fairShare), telling: round.telling },
        'this replica has more than its share of the agents: telling some to go elsewhere',
      );
    for (const { stream, why } of tell) {
      stream.outlet.write({ message: 'drain', drain: { afterMs: MOVE_AFTER_MS } });
      this.#room.metrics.sentElsewhere(why);
    }
  }
}

function duplicate(agent: string): MeshError {
  return new MeshError(
    'revision_conflict',
    'a newer process is connected under this name: give each process an instance name of its own',
    { target: agent },
  );
}

function* batches<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
