/**
 * The agents' streams: how each finds a replica, reports over it, is told, notices that it is gone, and comes back at the pace of
 * the real agent (`agent/reconnect.ts`). In order both ways; a peer that is silent for 15 seconds is gone.
 */
import { status } from '@grpc/grpc-js';
import { reconnect } from '../../../agent/reconnect.js';
import { Fence } from '../../../core/coordination/fence.js';
import type { ClusterDirective } from '../../../core/coordination/model.js';
import type { AgentReport } from './agent-report.js';
import type { Callee } from './callee.js';
import type { Told } from './directive-lanes.js';
import type { Fleet } from './fleet.js';
import type { Loop } from './loop.js';
import type { Meter } from './meter.js';
import type { Network } from './network.js';
import type { Replica } from './replica.js';
import { Store } from './store.js';

/** Kinds of events of the loop from here on are of streams. */
export const STREAMS = 8;
const REPORT = STREAMS;
const URGENT = 9;
const ARRIVED = 10;
const TOLD = 11;

const REPORT_MS = 1_000;
const URGENT_MS = 100;
const SILENCE_MS = 15_000;
const CONNECT_MS = 5_000;
const KNOWN_MS = 1_000;
const POLL_MS = 20;

const NOBODY = -1;

/** What a replica says to an agent. */
interface Word {
  readonly agent: number;
  readonly stream: number;
  readonly replica: number;
  readonly dataset: string;
  /** Undefined: it is only welcome. */
  readonly told: Told | undefined;
}

export class Streams {
  /** By agent: its replica, or NOBODY. */
  readonly #replica: Int16Array;
  /** By agent: which of its streams it is at. */
  readonly #stream: Int32Array;
  readonly #sentAt: Float64Array;
  readonly #urgentSet: Uint8Array;
  readonly #upAt: Float64Array;
  readonly #downAt: Float64Array;
  readonly #since: Float64Array;
  readonly #failures: Uint16Array;
  /** By agent: the replica whose turn it is, and how many were tried in vain. */
  readonly #address: Uint16Array;
  readonly #tried: Uint16Array;
  /** By agent: its replica drains, and its next stream is being opened. */
  readonly #moving: Uint8Array;
  readonly #fences: (Fence | undefined)[] = [];
  readonly #begun: Uint8Array;
  readonly #ended: Uint8Array;
  /** Reports on their way. */
  readonly #travelling: (AgentReport | undefined)[] = [];
  readonly #free: number[] = [];
  /** What replicas say, on its way. */
  readonly #words: (Word | undefined)[] = [];
  readonly #freeWords: number[] = [];
  /** By replica: what a cut holds back, both ways. */
  readonly #held = new Map<number, (() => void)[]>();

  constructor(
    private readonly loop: Loop,
    private readonly network: Network,
    private readonly fleet: Fleet,
    private readonly replicas: readonly Replica[],
    private readonly meter: Meter,
    private readonly calleeOf: ReadonlyMap<string, number>,
  ) {
    const { size } = fleet;
    this.#replica = new Int16Array(size).fill(NOBODY);
    this.#stream = new Int32Array(size);
    this.#sentAt = new Float64Array(size);
    this.#urgentSet = new Uint8Array(size);
    this.#upAt = new Float64Array(size);
    this.#downAt = new Float64Array(size);
    this.#since = new Float64Array(size);
    this.#failures = new Uint16Array(size);
    this.#begun = new Uint8Array(size);
    this.#tried = new Uint16Array(size);
    this.#moving = new Uint8Array(size);
    this.#address = new Uint16Array(size).map(() => Math.floor(loop.random.next() * replicas.length));
    this.#ended = new Uint8Array(size);
    fleet.urgent = (agent) => this.#urgent(agent);
  }

  /** An agent starts. One that starts after the others waits for the mesh's first word before it calls, but not for long. */
  start(agent: number): void {
    const { loop, fleet } = this;
    const late = (fleet.groups[agent]?.fromMs ?? 0) > 0;
    if (this.replicas.length === 0 || !late) this.#begin(agent);
    else loop.after(fleet.startMs, () => this.#begin(agent));
    if (this.replicas.length > 0) this.#connect(agent, 0);
  }

  /** An agent's process ends, and its stream with it. */
  end(agent: number): void {
    this.#ended[agent] = 1;
    this.#leave(agent);
  }

  handle(kind: number, a: number, b: number): void {
    if (kind === REPORT) {
      if (this.#stream[a] !== b || this.#replica[a] === NOBODY) return;
      this.loop.post(REPORT_MS, REPORT, a, b);
      this.#report(a, false);
    } else if (kind === URGENT) {
      if (this.#stream[a] !== b || this.#replica[a] === NOBODY) return;
      this.#report(a, true);
    } else if (kind === ARRIVED) {
      this.#arrived(a);
    } else if (kind === TOLD) {
      this.#told(a);
    }
  }

  /** The replica's process is gone: its peers see their streams end. */
  reset(replica: number): void {
    for (let agent = 0; agent < this.fleet.size; agent++)
      if (this.#replica[agent] === replica) {
        const stream = this.#stream[agent] as number;
        this.loop.after(this.network.agentDelay(), () => this.#end(agent, stream));
      }
  }

  /** It asks its agents to move on within so long: each opens its next stream before it leaves this one. */
  drain(replica: number, withinMs: number): void {
    for (let agent = 0; agent < this.fleet.size; agent++)
      if (this.#replica[agent] === replica && this.#moving[agent] === 0) {
        this.#moving[agent] = 1;
        this.#address[agent] = ((this.#address[agent] as number) + 1) % this.replicas.length;
        this.#connect(agent, this.loop.random.next() * withinMs);
      }
  }

  /** The replica is silent from now on: whoever hears nothing until its patience ends goes elsewhere. */
  silence(replica: number, isSilent: () => boolean): void {
    for (let agent = 0; agent < this.fleet.size; agent++)
      if (this.#replica[agent] === replica) {
        const stream = this.#stream[agent] as number;
        this.loop.after(SILENCE_MS + this.loop.random.next() * REPORT_MS, () => {
          if (this.#stream[agent] !== stream || !isSilent()) return;
          this.#end(agent, stream);
          this.#gone(replica, agent);
        });
      }
  }

  /** What a cut held back gets through, if its stream is still there. */
  healed(replica: number): void {
    const held = this.#held.get(replica) ?? [];
    this.#held.delete(replica);
    for (const fn of held) fn();
  }

  #begin(agent: number): void {
    if (this.#begun[agent] === 1) return;
    this.#begun[agent] = 1;
    this.fleet.begin(agent);
  }

  #connect(agent: number, waitMs: number): void {
    const { loop, network, replicas } = this;
    loop.after(waitMs, () => {
      if (this.#ended[agent] === 1) return;
      const chosen = this.#address[agent] as number;
      const replica = replicas[chosen] as Replica;
      const silent = network.cutFromAgents.has(chosen) || replica.stopped;
      if (silent) loop.after(CONNECT_MS, () => this.#refused(agent));
      else if (!replica.running) loop.after(2 * network.agentDelay(), () => this.#refused(agent));
      else loop.after(2 * network.agentDelay(), () => this.#welcome(agent, chosen, loop.now));
    });
  }

  /** The next address at once, as long as there are some that weren't tried. */
  #refused(agent: number): void {
    const size = this.replicas.length;
    this.#tried[agent] = (this.#tried[agent] as number) + 1;
    this.#address[agent] = ((this.#address[agent] as number) + 1) % size;
    const ending = { code: status.UNAVAILABLE, details: '' };
    const untried = (this.#tried[agent] as number) < size;
    const next = reconnect(ending, this.#failures[agent] as number, untried, this.loop.random);
    if (next.waitMs > 0) this.#tried[agent] = 0;
    this.#failures[agent] = next.failures;
    this.#connect(agent, next.waitMs);
  }

  /** A replica that doesn't know yet which circuits are open lets its agents wait a little. */
  #welcome(agent: number, chosen: number, since: number): void {
    const { loop, fleet, replicas } = this;
    const replica = replicas[chosen] as Replica;
    if (this.#ended[agent] === 1) return;
    if (!replica.running || replica.stopped) {
      this.#refused(agent);
      return;
    }
    if (!replica.knows && loop.now - since < KNOWN_MS) {
      loop.after(POLL_MS, () => this.#welcome(agent, chosen, since));
      return;
    }
    this.#tried[agent] = 0;
    this.#moving[agent] = 0;
    this.#leave(agent);
    const stream = (this.#stream[agent] as number) + 1;
    this.#stream[agent] = stream;
    this.#replica[agent] = chosen;
    this.#since[agent] = loop.now;
    this.#sentAt[agent] = Number.NEGATIVE_INFINITY;
    this.#urgentSet[agent] = 0;
    // What happened while nobody listened is history.
    fleet.drain(agent, false);
    const name = fleet.names[agent] as string;
    replica.welcome(agent, {
      agent: name,
      service: fleet.groups[agent]?.service as string,
      zone: fleet.zones[agent] as string,
      told: (dataset, told) => this.#down({ agent, stream, replica: chosen, dataset, told }),
    });
    if (this.#begun[agent] === 0)
      this.#down({ agent, stream, replica: chosen, dataset: '', told: undefined });
    loop.post(loop.random.next() * REPORT_MS, REPORT, agent, stream);
  }

  #end(agent: number, stream: number): void {
    const { loop, meter } = this;
    if (this.#stream[agent] !== stream || this.#replica[agent] === NOBODY) return;
    this.#replica[agent] = NOBODY;
    if (this.#moving[agent] === 1) return;
    meter.reconnects++;
    const healthyMs = loop.now - (this.#since[agent] as number);
    const ending = { code: status.UNAVAILABLE, details: '', healthyMs };
    const next = reconnect(ending, this.#failures[agent] as number, true, loop.random);
    this.#failures[agent] = next.failures;
    this.#connect(agent, next.waitMs);
  }

  /** The replica notices that an agent has gone, too. */
  #gone(replica: number, agent: number): void {
    if (this.#replica[agent] !== replica)
      this.replicas[replica]?.left(agent, this.fleet.names[agent] as string);
  }

  /** Its present stream, if it has one. */
  #leave(agent: number): void {
    const replica = this.#replica[agent] as number;
    this.#replica[agent] = NOBODY;
    if (replica !== NOBODY) this.#gone(replica, agent);
  }

  #urgent(agent: number): void {
    if (this.#replica[agent] === NOBODY || this.#urgentSet[agent] === 1) return;
    this.#urgentSet[agent] = 1;
    const dueMs = Math.max(0, (this.#sentAt[agent] as number) + URGENT_MS - this.loop.now);
    this.loop.post(dueMs, URGENT, agent, this.#stream[agent]);
  }

  #report(agent: number, urgent: boolean): void {
    const { fleet, loop, network } = this;
    this.#urgentSet[agent] = 0;
    const rows = fleet.drain(agent, urgent);
    const probes = fleet.probes(agent);
    if (!rows && probes.length === 0) return;
    this.#sentAt[agent] = loop.now;
    const slot = this.#free.pop() ?? this.#travelling.length;
    this.#travelling[slot] = { agent, stream: this.#stream[agent] as number, rows: rows ?? [], probes };
    const arrival = Math.max(this.#upAt[agent] as number, loop.now + network.agentDelay());
    this.#upAt[agent] = arrival;
    loop.post(arrival - loop.now, ARRIVED, slot);
  }

  #arrived(slot: number): void {
    const report = this.#travelling[slot] as AgentReport;
    this.#travelling[slot] = undefined;
    this.#free.push(slot);
    const { agent, stream } = report;
    const chosen = this.#replica[agent] as number;
    if (this.#stream[agent] !== stream || chosen === NOBODY) return;
    if (this.network.cutFromAgents.has(chosen))
      this.#hold(chosen, () => this.replicas[chosen]?.report(report));
    else this.replicas[chosen]?.report(report);
  }

  /** From a replica to an agent, in order, if the stream is still there. */
  #down(word: Word): void {
    const { loop, network } = this;
    const { agent } = word;
    const arrival = Math.max(this.#downAt[agent] as number, loop.now + network.agentDelay());
    this.#downAt[agent] = arrival;
    const slot = this.#freeWords.pop() ?? this.#words.length;
    this.#words[slot] = word;
    loop.post(arrival - loop.now, TOLD, slot);
  }

  #told(slot: number): void {
    const word = this.#words[slot] as Word;
    this.#words[slot] = undefined;
    this.#freeWords.push(slot);
    this.#heard(word);
  }

  #heard(word: Word): void {
    const { agent, stream, replica, dataset, told } = word;
    if (this.#stream[agent] !== stream || this.#replica[agent] === NOBODY) return;
    if (this.network.cutFromAgents.has(replica)) {
      this.#hold(replica, () => this.#heard(word));
      return;
    }
    if (told) {
      for (const directive of told.directives) this.#take(agent, dataset, directive);
      this.#eject(agent, told.ejected);
    }
    this.#begin(agent);
  }

  #hold(replica: number, fn: () => void): void {
    const held = this.#held.get(replica) ?? [];
    held.push(fn);
    this.#held.set(replica, held);
  }

  #take(agent: number, dataset: string, directive: ClusterDirective): void {
    const { fleet, loop, meter } = this;
    const callee = this.calleeOf.get(directive.circuit);
    if (callee === undefined) return;
    let fence = this.#fences[agent];
    if (!fence) {
      fence = new Fence();
      this.#fences[agent] = fence;
    }
    if (!fence.accept(dataset, directive, loop.now)) return;
    meter.accepted(directive.circuit, directive.epoch);
    const lane = agent * fleet.callees.length + callee;
    fleet.probing[lane] = directive.state === 'half-open' ? Store.periodOf(dataset, directive.epoch) : -1;
    fleet.probingEndsAt[lane] = loop.now + directive.ttlMs;
    fleet.circuits[lane]?.direct(directive, loop.now);
  }

  #eject(agent: number, ejected: readonly ReadonlySet<string>[]): void {
    const { fleet } = this;
    for (const [callee, out] of ejected.entries()) {
      const { endpoints } = fleet.callees[callee] as Callee;
      let bits = 0;
      if (out.size > 0)
        for (let i = 0; i < endpoints.length; i++) if (out.has(endpoints[i] as string)) bits |= 1 << i;
      fleet.ejected[agent * fleet.callees.length + callee] = bits;
    }
  }
}
