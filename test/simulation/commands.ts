/**
 * What health and circuits of the mesh cost the store, by how many agents report: one replica's circuits (`CircuitRoom`) on a real
 * Redis, and agents that are simulated, since what is asked is whether the commands a second grow with them. Each agent reports by
 * the second, spread evenly, on four of twenty callees. Registry, documents and their log are apart: nothing here writes them.
 *
 * Three fleets: all is well; a call in a thousand fails; one callee is dead, and its circuit open. What its transitions cost is compared,
 * write by write, in `test/unit/control-plane/coordination/cost.test.ts`: how many of them a window holds is chance.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { conclude } from '../../bench/harness.js';
import { startRedis } from '../../bench/redis.js';
import type { Intake } from '../../control-plane/coordination/intake.js';
import { CircuitRoom } from '../../control-plane/coordination/room.js';
import { openStore } from '../../control-plane/store/open.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { type Random, seededRandom } from '../../core/random.js';
import type { Cell } from '../../proto/messages.js';
import { CircuitMirror } from '../support/circuit-rooms.js';

const FLEETS = [100, 1_000, 5_000];
const CALLEES = 20;
const CALLEES_EACH = 4;
const CALLS_EACH = 1;
/** Between two beats of the room, so that as many of them are measured each time. */
const WARMUP_MS = 4_500;
const MEASURED_MS =
  Number(process.argv.find((flag) => flag.startsWith('--seconds='))?.slice(10) ?? 20) * 1_000;
const BEAT_MS = 20;
const DEAD = 'callee-0';

interface Kind {
  readonly name: string;
  /** Of one call in health. */
  readonly failureRate: number;
  readonly dead: boolean;
}

const kinds: readonly Kind[] = [
  { name: 'all is well', failureRate: 0, dead: false },
  { name: 'one call in a thousand fails', failureRate: 0.001, dead: false },
  { name: 'one callee is dead', failureRate: 0, dead: true },
];

interface SimulatedAgent {
  readonly callees: readonly string[];
  readonly intake: Intake;
}

async function main(): Promise<void> {
  const rows = [];
  const figures = [];
  for (const kind of kinds) {
    const rates: number[] = [];
    for (const agents of FLEETS) {
      const rate = await commandsPerSecond(kind, agents);
      rates.push(rate);
      const value = `${rate.toFixed(1)} commands/s, ${(rate / CALLEES).toFixed(2)} for each active circuit`;
      rows.push({ what: `${kind.name}, ${agents} agents`, value, baseline: '', ratio: '' });
    }
    const least = Math.min(...rates);
    figures.push({
      name: `commands: ${kind.name}, 100 to 5,000 agents, most ÷ least`,
      value: Math.max(...rates) / least,
    });
  }
  conclude({
    title: 'Commands to Redis',
    command: 'npm run bench:commands',
    notes: `Health and circuits of the mesh alone: one replica, ${CALLEES} active circuits, simulated agents that report by the second; commands as Redis counts them, those inside scripts too, for each of the room's beats of a second, over ${MEASURED_MS / 1_000} of them.`,
    rows,
    figures,
  });
}

async function commandsPerSecond(kind: Kind, count: number): Promise<number> {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const store = await openStore(redis.url, { mesh: 'bench', replica: 'r1' });
  const mirror = new CircuitMirror();
  for (let i = 0; i < CALLEES; i++) mirror.put(policy(`callee-${i}`));
  const random = seededRandom(1);
  let beats = 0;
  const clock = { ...plainClock, every: counting(() => beats++) };
  const room = new CircuitRoom({ mirror, store, replica: 'r1', clock, random, logger: silentLogger });
  const fleet = new Fleet(kind, room, count, random);
  try {
    fleet.start();
    await pause(WARMUP_MS);
    await client.config('RESETSTAT');
    const before = beats;
    await pause(MEASURED_MS);
    return counted(await client.info('commandstats')) / (beats - before);
  } finally {
    fleet.stop();
    await room.close();
    await store.close();
    client.disconnect();
    await redis.close();
  }
}

class Fleet {
  readonly #agents: readonly SimulatedAgent[];
  #timer: NodeJS.Timeout | undefined;
  #done = 0;
  #startedAt = 0;
  #shut = false;

  constructor(
    private readonly kind: Kind,
    private readonly room: CircuitRoom,
    count: number,
    private readonly random: Random,
  ) {
    this.#agents = Array.from({ length: count }, (_, i) => {
      const instance = `i${i}`;
      const callees = Array.from({ length: CALLEES_EACH }, (_, k) => `callee-${(i + k * 5) % CALLEES}`);
      const hello = {
        agent: `checkout/${instance}`,
        service: 'checkout',
        instance,
        zone: `z${i % 3}`,
        concurrency: 100,
      };
      return { callees, intake: room.intake(hello) };
    });
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Those whose turn came since the last beat: all of them within a second. */
  #beat(): void {
    const due = Math.floor(((performance.now() - this.#startedAt) / 1_000) * this.#agents.length);
    const shut = this.kind.dead && this.#isShut();
    for (; this.#done < due; this.#done++) {
      const agent = this.#agents[this.#done % this.#agents.length] as SimulatedAgent;
      const cells = agent.callees.map((callee) => this.#cell(callee, shut));
      agent.intake.take({ elapsedMs: 1_000, cells, probes: [] }, systemClock.now());
    }
  }

  /** Its circuit stays open for longer than this takes. */
  #isShut(): boolean {
    this.#shut ||= this.room
      .views()
      .some(({ record }) => record.id === `${DEAD}|${DEAD}` && record.state === 'open');
    return this.#shut;
  }

  #cell(callee: string, shut: boolean): Cell {
    const none = { method: '', endpoint: '', slow: 0, rejected: 0, latency: new Uint8Array(0) };
    if (this.kind.dead && callee === DEAD) {
      return { ...none, callee, ok: 0, failed: shut ? 0 : CALLS_EACH, blocked: shut ? CALLS_EACH : 0 };
    }
    let failed = 0;
    for (let i = 0; i < CALLS_EACH; i++) if (this.random.next() < this.kind.failureRate) failed++;
    return { ...none, callee, ok: CALLS_EACH - failed, failed, blocked: 0 };
  }
}

function policy(callee: string): Record<string, unknown> {
  const circuit = { scope: 'cluster', minimumCalls: 20, openFor: '1m' };
  return { policy: callee, match: { to: callee }, spec: { circuit } };
}

const plainClock = {
  now: () => systemClock.now(),
  wallNow: () => systemClock.wallNow(),
  after: systemClock.after.bind(systemClock),
};

/** The system's clock, with beats counted: on a machine that is too busy a second has fewer, which is no saving. */
function counting(beat: () => void): Clock['every'] {
  return (ms, fn) =>
    systemClock.every(ms, () => {
      beat();
      fn();
    });
}

/** Calls of all commands but our own questions. */
function counted(info: string): number {
  let sum = 0;
  for (const [, name, calls] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm))
    if (name !== 'info' && !name?.startsWith('config')) sum += Number(calls);
  return sum;
}

await main();
