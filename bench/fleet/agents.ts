/**
 * Thousands of light agents in a process of their own: each a connection with the real protocol on it, its state a few fields, and no
 * SDK. Instants are of the machine's clock, which all processes share.
 */
import { capabilities } from '../../core/policy/capabilities.js';
import { Line, messageFrame, opening } from './frames.js';
import { ack, heartbeat, hello, kindOf, kinds, lease, nonceOf, report } from './messages.js';

/** Opens them all at once; answered with `connected` once each has its first complete state. */
export interface Connect {
  readonly type: 'connect';
  /** Which of several fleets in this process. */
  readonly fleet: string;
  /** The first of them; the next one whenever a stream has ended. */
  readonly ports: readonly number[];
  readonly from: number;
  readonly count: number;
  readonly callees: readonly string[];
  readonly who?: Who | undefined;
}

/** Which services the agents are instances of. */
export interface Who {
  /** Default: `checkout`. */
  readonly service?: string;
  /** So many services, `<service>-<i>`, in turn; default: the one. */
  readonly services?: number;
  /** Each registers an address of its own. */
  readonly registered?: boolean;
  /** HTTP/2's own windows, 64 KB, so that one that reads nothing is felt; default: they never close. */
  readonly narrow?: boolean;
}

/** Answered with `counted`: bytes of messages that the fleet has heard so far, but for heartbeats. */
export interface Count {
  readonly type: 'count';
  readonly fleet: string;
}

/**
 * Answered with `arrived` once each agent of the fleet has heard a message of this kind, from now on; `back`: has a complete state again
 * after its stream had ended.
 */
export interface Expect {
  readonly type: 'expect';
  readonly fleet: string;
  readonly kind: 'delta' | 'directives' | 'back';
}

/** From now on: heartbeats of all, reports of these cells by the first `reporters` (0 ms: none), evenly spread over their period. */
export interface Talk {
  readonly type: 'talk';
  readonly fleet: string;
  readonly heartbeatMs: number;
  readonly reportMs: number;
  readonly reporters: number;
  readonly cells: readonly string[];
}

/** The first `count` agents stop to read, or all go on. */
export interface Stall {
  readonly type: 'stall';
  readonly fleet: string;
  readonly count: number;
}

/** Answered with `latest`: when each agent of the fleet heard its last policies. */
export interface Latest {
  readonly type: 'latest';
  readonly fleet: string;
}

export interface Leave {
  readonly type: 'leave';
  readonly fleet: string;
}

export type ToAgents = Connect | Expect | Talk | Stall | Latest | Leave | Count;

export type FromAgents =
  | { readonly type: 'ready' }
  /** When each had its first state, and how often one was turned away before. */
  | {
      readonly type: 'connected';
      readonly fleet: string;
      readonly at: Float64Array;
      readonly refused: number;
      readonly first: readonly Uint8Array[];
    }
  | {
      readonly type: 'arrived';
      readonly fleet: string;
      readonly at: Float64Array;
      readonly sample: Uint8Array;
    }
  | { readonly type: 'latest'; readonly fleet: string; readonly at: Float64Array }
  | { readonly type: 'counted'; readonly fleet: string; readonly bytes: number }
  | { readonly type: 'left'; readonly fleet: string; readonly lost: number };

/** Not on the wire. */
const BACK = 0;
const PATH = '/switchgear.v1.Agents/Session';
const AGAIN_MS = 500;
const TICK_MS = 20;
const beat = messageFrame(heartbeat);

const tell = (message: FromAgents) => process.send?.(message);
const instant = () => performance.timeOrigin + performance.now();

class LightAgent {
  line: Line | undefined;
  /** When its first complete state had come, policies and the instances of each callee; 0: not yet. */
  knownAt = 0;
  /** What of it hasn't come. */
  lacks: number;
  /** When what is expected came. */
  heardAt = 0;
  /** When its last policies came. */
  deltaAt = 0;
  stalled = false;
  #lines = 0;

  constructor(
    readonly fleet: Fleet,
    readonly opening: Buffer,
  ) {
    this.lacks = fleet.parts;
  }

  connect(): void {
    const { parts, ports } = this.fleet;
    this.lacks = parts;
    const port = ports[this.#lines++ % ports.length] as number;
    this.line = new Line(port, this.opening, this, this.fleet.narrow);
    if (this.stalled) this.line.pause();
  }

  message(bytes: Buffer): void {
    this.fleet.heard(this, bytes);
  }

  ended(): void {
    this.fleet.ended(this);
  }
}

class Fleet {
  readonly agents: LightAgent[] = [];
  readonly ports: readonly number[];
  /** Of a complete state: the policies, a list for each callee, and that an address is registered. */
  readonly parts: number;
  readonly narrow: boolean;
  /** What the first agent heard until it knew all, for servers that are to say the same. */
  readonly #first: Uint8Array[] = [];
  #kind = Number.NaN;
  #waiting = 0;
  #refused = 0;
  #lost = 0;
  #bytes = 0;
  #seq = 0;
  #said: Buffer = Buffer.alloc(0);
  #timers: NodeJS.Timeout[] = [];
  #over = false;
  #sample = new Uint8Array();

  constructor(private readonly options: Connect) {
    this.ports = options.ports;
    const { from, count, callees, who = {} } = options;
    const { service = 'checkout', services, registered = false, narrow = false } = who;
    this.narrow = narrow;
    this.parts = 1 + callees.length + (registered ? 1 : 0);
    const opened = opening(PATH, 'control-plane', narrow);
    for (let i = from; i < from + count; i++) {
      const said = hello({
        service: services === undefined ? service : `${service}-${i % services}`,
        instance: `agent-${i}`,
        callees,
        capabilities: [...capabilities],
      });
      const parts = [opened, messageFrame(said)];
      if (registered) parts.push(messageFrame(lease(`10.0.${i >> 8}.${i & 0xff}:50051`)));
      this.agents.push(new LightAgent(this, Buffer.concat(parts)));
    }
    this.#waiting = count;
    for (const agent of this.agents) agent.connect();
  }

  heard(agent: LightAgent, bytes: Buffer): void {
    const kind = kindOf(bytes);
    if (kind !== kinds.heartbeat) this.#bytes += bytes.length;
    if (agent === this.agents[0] && agent.knownAt === 0) this.#first.push(new Uint8Array(bytes));
    if (kind === kinds.delta) {
      agent.deltaAt = instant();
      agent.line?.write(messageFrame(ack(nonceOf(bytes))));
    }
    if (kind === kinds.drain) {
      agent.line?.close();
      this.ended(agent);
    }
    const isPart = kind === kinds.delta || kind === kinds.endpoints || kind === kinds.lease;
    if (isPart && agent.lacks > 0 && --agent.lacks === 0 && agent.knownAt > 0)
      this.#expected(agent, BACK, bytes);
    if (agent.knownAt === 0) {
      if (agent.lacks > 0) return;
      agent.knownAt = instant();
      if (--this.#waiting > 0) return;
      const at = Float64Array.from(this.agents, ({ knownAt }) => knownAt);
      tell({ type: 'connected', fleet: this.options.fleet, at, refused: this.#refused, first: this.#first });
    } else this.#expected(agent, kind, bytes);
  }

  #expected(agent: LightAgent, kind: number, bytes: Buffer): void {
    if (kind !== this.#kind || agent.heardAt > 0) return;
    agent.heardAt = instant();
    if (this.#sample.length === 0) this.#sample = new Uint8Array(bytes);
    if (--this.#waiting === 0) this.#arrived();
  }

  ended(agent: LightAgent): void {
    if (this.#over) return;
    if (agent.knownAt === 0) this.#refused++;
    else this.#lost++;
    setTimeout(() => !this.#over && agent.connect(), Math.random() * AGAIN_MS);
  }

  expect(kind: number): void {
    this.#kind = kind;
    this.#waiting = 0;
    this.#sample = new Uint8Array();
    for (const agent of this.agents) {
      agent.heardAt = 0;
      if (!agent.stalled) this.#waiting++;
    }
  }

  #arrived(): void {
    this.#kind = Number.NaN;
    const heard = this.agents.filter(({ stalled }) => !stalled);
    const at = Float64Array.from(heard, ({ heardAt }) => heardAt);
    tell({ type: 'arrived', fleet: this.options.fleet, at, sample: this.#sample });
  }

  talk({ heartbeatMs, reportMs, reporters, cells }: Talk): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    if (heartbeatMs > 0) this.#every(heartbeatMs, this.agents, () => beat);
    if (reportMs > 0)
      this.#every(reportMs, this.agents.slice(0, reporters), (round) => {
        if (round > this.#seq) this.#said = messageFrame(report(round, cells));
        this.#seq = round;
        return this.#said;
      });
  }

  /** Each agent once in each period, evenly. */
  #every(periodMs: number, agents: readonly LightAgent[], bytes: (round: number) => Buffer): void {
    let next = 0;
    let round = this.#seq;
    const start = performance.now();
    const { length } = agents;
    const step = () => {
      const due = ((performance.now() - start) / periodMs) * length;
      for (; next < due; next++) {
        if (next % length === 0) round++;
        agents[next % length]?.line?.write(bytes(round));
      }
    };
    this.#timers.push(setInterval(step, TICK_MS));
  }

  stall(count: number): void {
    for (const [i, agent] of this.agents.entries()) {
      agent.stalled = i < count;
      if (agent.stalled) agent.line?.pause();
      else agent.line?.resume();
    }
  }

  latest(): void {
    const at = Float64Array.from(this.agents, ({ deltaAt }) => deltaAt);
    tell({ type: 'latest', fleet: this.options.fleet, at });
  }

  count(): void {
    tell({ type: 'counted', fleet: this.options.fleet, bytes: this.#bytes });
  }

  leave(): void {
    this.#over = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { line } of this.agents) line?.close();
    tell({ type: 'left', fleet: this.options.fleet, lost: this.#lost });
  }
}

const fleets = new Map<string, Fleet>();

process.on('message', (message: ToAgents) => {
  if (message.type === 'connect') {
    fleets.set(message.fleet, new Fleet(message));
    return;
  }
  const fleet = fleets.get(message.fleet);
  if (!fleet) throw new Error(`no fleet ${message.fleet}`);
  if (message.type === 'expect') fleet.expect(message.kind === 'back' ? BACK : kinds[message.kind]);
  else if (message.type === 'talk') fleet.talk(message);
  else if (message.type === 'stall') fleet.stall(message.count);
  else if (message.type === 'latest') fleet.latest();
  else if (message.type === 'count') fleet.count();
  else {
    fleet.leave();
    fleets.delete(message.fleet);
  }
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'ready' });
