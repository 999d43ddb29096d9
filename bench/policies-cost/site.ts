/**
 * A control plane with so many policies, and the agents that watch one callee of it: what of them an edit of another policy costs is
 * what the benchmark asks. Each policy is of a callee of its own, every second one with a circuit of the mesh; none but `inventory`'s
 * concerns any agent.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { cpuMs, type Generators, instant, rssKb } from '../fleet/parts.js';
import { spread } from '../harness.js';
import { type Plane, startPlane } from '../plane.js';
import { type BenchRedis, startRedis } from '../redis.js';

export interface Shape {
  readonly name: string;
  readonly policies: number;
  readonly callers: number;
  /** Of which the callers are instances, in turn. */
  readonly services: number;
  /** Registered instances of the callee. */
  readonly instances: number;
}

export interface Start {
  /** From its spawn until it says that it is ready. */
  readonly seconds: number;
  /** Of CPU, which neighbours on the machine don't stretch. */
  readonly cpuSeconds: number;
  readonly rssKb: number;
}

export interface Edits {
  /** Of the control plane for each edit, more than it uses without edits. */
  readonly cpuUs: number;
  /** Of a put, median. */
  readonly putMs: number;
  /** Puts that the store was too slow for, and that were said again. */
  readonly repeats: number;
  /** That each caller heard for each edit, more than it hears without edits. */
  readonly bytes: number;
}

const CALLEE = 'inventory';
/** Of one batch, since CPU is counted in hundredths of a second; dear ones are fewer. */
export const EDITS = 400;
const BATCH_MS = 5_000;
/** Documents of one POST; the control plane takes up to 1,000. */
const AT_ONCE = 500;
const TRIES_MAX = 30;
const AGAIN_MS = 1_000;
const IDLE_MS = 3_000;
const SETTLE_MS = 2_000;
/** What an edit leaves for the next beat of a second. */
const AFTERMATH_MS = 1_200;
const READY_WITHIN_MS = 120_000;
const READY_POLL_MS = 5;
const HEARTBEAT_MS = 15_000;

/** A Redis with so many policies, and the control planes that are started on it, one after the other. */
export class Site {
  #plane: Plane | undefined;
  #threshold = 0;
  #repeats = 0;

  private constructor(
    readonly shape: Shape,
    private readonly redis: BenchRedis,
    private readonly generators: Generators,
  ) {}

  static async fill(shape: Shape, generators: Generators): Promise<Site> {
    const site = new Site(shape, await startRedis(), generators);
    try {
      await site.start();
      await site.#fill();
      return site;
    } catch (error) {
      await site.close();
      throw error;
    }
  }

  /** Stops the one that runs, and starts another on what Redis holds. */
  async start(): Promise<Start> {
    await this.#plane?.close();
    const from = instant();
    this.#plane = await startPlane(this.redis.url);
    await ready(this.#plane);
    const seconds = (instant() - from) / 1_000;
    const { pid } = this.#plane;
    return { seconds, cpuSeconds: cpuMs(pid) / 1_000, rssKb: rssKb(pid) };
  }

  async #fill(): Promise<void> {
    const { policies } = this.shape;
    await this.#send('PUT', `policies/${CALLEE}-default`, { match: { to: CALLEE }, spec: specOf(0, 50) });
    for (let from = 1; from < policies; from += AT_ONCE) {
      const count = Math.min(AT_ONCE, policies - from);
      const documents = Array.from({ length: count }, (_, i) => documentOf(from + i));
      await this.#send('POST', 'apply', documents);
    }
  }

  /** Instances of the callee and its callers come, and stay. */
  async people(): Promise<void> {
    const { name, callers, services, instances } = this.shape;
    const ports = [Number(this.#running.grpc.split(':').at(-1))];
    if (instances > 0) {
      const who = { service: CALLEE, registered: true };
      await this.generators.connect(`${name}: instances`, ports, instances, ['stock'], who);
      this.#talk('instances', false);
    }
    await this.generators.connect(`${name}: callers`, ports, callers, [CALLEE], { services });
    this.#talk('callers', false);
  }

  /** A policy that concerns nobody is edited over and over, while all callers report on another callee. */
  async edit(): Promise<Edits> {
    const { pid } = this.#running;
    const fleet = `${this.shape.name}: callers`;
    this.#talk('callers', true);
    await pause(SETTLE_MS);
    const idle = await this.#stretch(fleet, pid, () => pause(IDLE_MS));
    const putsMs: number[] = [];
    const repeated = this.#repeats;
    const busy = await this.#stretch(fleet, pid, async () => {
      const end = instant() + BATCH_MS;
      while (putsMs.length < EDITS && instant() < end) {
        const from = instant();
        await this.#put();
        putsMs.push(instant() - from);
      }
      await pause(AFTERMATH_MS);
    });
    this.#talk('callers', false);
    const more = (key: 'cpuMs' | 'bytes') => busy[key] - (idle[key] * busy.ms) / idle.ms;
    const putMs = spread(putsMs).median;
    const each = (key: 'cpuMs' | 'bytes') => more(key) / putsMs.length;
    return {
      ...{ cpuUs: each('cpuMs') * 1_000, putMs, bytes: each('bytes') / this.shape.callers },
      repeats: this.#repeats - repeated,
    };
  }

  async #stretch(fleet: string, pid: number, act: () => Promise<void>) {
    const bytes = await this.generators.count(fleet);
    const cpu = cpuMs(pid);
    const from = instant();
    await act();
    const [ms, used] = [instant() - from, cpuMs(pid) - cpu];
    return { ms, cpuMs: used, bytes: (await this.generators.count(fleet)) - bytes };
  }

  /** The one in the middle, with another threshold than before. */
  async #put(): Promise<void> {
    const index = this.shape.policies / 2;
    this.#threshold = (this.#threshold % 99) + 1;
    await this.#send('PUT', `policies/${nameOf(index)}`, documentOf(index, this.#threshold));
  }

  /** A write that says how things are to be, so that it is repeated where the store was too slow for an answer. */
  async #send(method: 'POST' | 'PUT', path: string, body: object): Promise<void> {
    for (let tries = 1; ; tries++) {
      const response = await fetch(`${this.#running.rest}/v1/${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (response.ok) return;
      if (response.status !== 503 || tries === TRIES_MAX)
        throw new Error(`${method} ${path}: ${response.status} ${text}`);
      this.#repeats++;
      await pause(AGAIN_MS);
    }
  }

  #talk(who: 'callers' | 'instances', reports: boolean): void {
    this.generators.tell({
      ...{ type: 'talk', fleet: `${this.shape.name}: ${who}`, heartbeatMs: HEARTBEAT_MS },
      ...{ reportMs: reports ? 1_000 : 0, reporters: this.shape.callers, cells: [CALLEE] },
    });
  }

  get #running(): Plane {
    if (!this.#plane) throw new Error(`${this.shape.name}: no control plane runs`);
    return this.#plane;
  }

  /** Whoever has come goes. */
  async leave(): Promise<void> {
    const { name, instances } = this.shape;
    await this.generators.leave(`${name}: callers`);
    if (instances > 0) await this.generators.leave(`${name}: instances`);
  }

  async close(): Promise<void> {
    await this.#plane?.close();
    await this.redis.close();
  }
}

const nameOf = (index: number) => `s-${index}-default`;
const calleeOf = (index: number) => `s-${index}`;

function specOf(index: number, threshold: number): object {
  const circuit = { failureRate: `${threshold}%`, ...(index % 2 === 0 && { scope: 'cluster' }) };
  return { timeout: '1s', circuit, bulkhead: { maxConcurrent: 100 } };
}

function documentOf(index: number, threshold = 50): object {
  return { policy: nameOf(index), match: { to: calleeOf(index) }, spec: specOf(index, threshold) };
}

async function ready({ rest }: Plane): Promise<void> {
  const end = instant() + READY_WITHIN_MS;
  for (;;) {
    const response = await fetch(`${rest}/readyz`);
    await response.arrayBuffer();
    if (response.ok) return;
    if (instant() > end) throw new Error(`not ready within ${READY_WITHIN_MS} ms: ${response.status}`);
    await pause(READY_POLL_MS);
  }
}
