/**
 * Thousands of agents on one replica: a control plane in a process of its own on a real Redis, and light agents that speak the real
 * protocol over a connection each (`fleet/`). Beside it, in the same run, the same bytes to as many agents from a bare grpc-js server and
 * from `node:http2`: what is judged is the ratio. `--agents=1000` for fewer, `--rounds=3`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cores } from './fleet/cores.js';
import * as measures from './fleet/measures.js';
import { CALLEES, type Fan, type Server, type Storm } from './fleet/measures.js';
import { type Bare, Generators, startBare } from './fleet/parts.js';
import * as strains from './fleet/strains.js';
import { conclude, type Figure, type Row, spread } from './harness.js';
import { type Plane, startPlane } from './plane.js';
import { inspected, inspectorIn } from './profile/inspector.js';
import { startRedis } from './redis.js';

const { values: flags } = parseArgs({
  strict: false,
  options: {
    agents: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});
const GENERATORS = 2;
/** Half of them report, and each generator has an equal part of both. */
const AGENTS = whole('agents', 2 * GENERATORS);
const ROUNDS = whole('rounds', 1);
const STEADY_MS = 20_000;

/** A flag's number, a positive multiple of `of`; ends with 2 on anything else. */
function whole(flag: 'agents' | 'rounds', of: number): number {
  const value = Number(flags[flag]);
  if (Number.isInteger(value) && value > 0 && value % of === 0) return value;
  console.error(
    `--${flag}=${String(flags[flag])}: write a whole number, a multiple of ${of}, for example --${flag}=${of * 5}`,
  );
  return process.exit(2);
}

/** `--only=storms` looks at one part, and writes nothing. */
function wanted(part: string): boolean {
  return flags.only === undefined || flags.only === part;
}

interface BareServer extends Server {
  readonly process: Bare;
}

async function startBares(first: readonly Uint8Array[]): Promise<BareServer[]> {
  const servers: BareServer[] = [];
  for (const name of ['grpc-js', 'node:http2'] as const) {
    const { process, port } = await startBare(name, first);
    const lagMs = async () => {
      const answer = process.hear('lag');
      process.tell({ type: 'lag' });
      return (await answer).ms;
    };
    servers.push({ name, pid: process.pid, port, process, lagMs });
  }
  return servers;
}

const median = <T>(list: readonly T[], key: keyof T) => spread(list.map((each) => Number(each[key]))).median;

/** Median over the rounds. */
function ratio<T>(ours: readonly T[], key: keyof T, theirs: readonly T[], theirKey: keyof T = key): number {
  return spread(ours.map((each, i) => Number(each[key]) / Number(theirs[i]?.[theirKey]))).median;
}

class Table {
  readonly rows: Row[] = [];
  readonly figures: Figure[] = [];

  row(what: string, value: string, baseline = '', ratio = ''): void {
    this.rows.push({ what, value, baseline, ratio });
    console.error(`${what}: ${value} ${baseline} ${ratio}`);
  }

  /** Ours beside each of the bare servers. */
  beside<T>(
    what: string,
    ours: readonly T[],
    key: keyof T,
    bare: readonly (readonly [string, readonly T[]])[],
    theirKey: keyof T = key,
    unit = 'ms',
  ): void {
    for (const [name, theirs] of bare)
      this.row(
        what,
        `${median(ours, key).toFixed(0)} ${unit}`,
        `${name}: ${median(theirs, theirKey).toFixed(0)} ${unit}`,
        `${ratio(ours, key, theirs, theirKey).toFixed(2)} ×`,
      );
  }
}

interface Fleet {
  readonly generators: Generators;
  readonly plane: Plane;
  readonly server: Server;
  readonly bare: readonly BareServer[];
}

/** Each server's agents come, and but for the last time leave again. */
async function storms({ generators, server, bare }: Fleet, first: Storm, table: Table): Promise<void> {
  const all = new Map<string, Storm[]>([[server.name, [first]]]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of round === 0 ? bare : [server, ...bare]) {
      if (round > 0) await generators.leave(each.name);
      const came = await measures.storm(generators, each, AGENTS);
      all.set(each.name, [...(all.get(each.name) ?? []), came]);
    }
  }
  const ours = all.get(server.name) ?? [];
  const others = bare.map(({ name }) => [name, all.get(name) ?? []] as const);
  const grpc = others[0]?.[1] ?? [];
  table.beside('connect storm: until the last agent knows all', ours, 'lastMs', others);
  table.beside('connect storm: CPU for each agent', ours, 'cpuUs', others, 'cpuUs', 'µs');
  table.beside('connect storm: lag of the loop, p99', ours, 'lagMs', others);
  table.row('connect storm: agents turned away first', `${median(ours, 'refused')}`);
  table.row(
    'connect storm: longest answer of the REST face',
    `${median(ours, 'restMs').toFixed(0)} ms`,
    `${median(ours, 'restFailed')} not ready`,
  );
  table.row(
    'memory for each agent, all included',
    `${first.kbEach.toFixed(1)} KB`,
    `grpc-js: ${grpc[0]?.kbEach.toFixed(1)} KB`,
  );
  table.figures.push(
    { name: 'fleet: storm to the last state ÷ bare grpc-js', value: ratio(ours, 'lastMs', grpc) },
    { name: 'fleet: storm, loop lag p99 ÷ bare grpc-js', value: ratio(ours, 'lagMs', grpc) },
    { name: 'fleet: KB an agent, all included', value: first.kbEach },
  );
}

/** One policy change to all, and one directive. */
async function fans(fleet: Fleet, table: Table): Promise<readonly Fan[]> {
  const { generators, plane, server, bare } = fleet;
  const changes: Fan[] = [];
  const directives: Fan[] = [];
  const pushed = bare.map(({ name }) => [name, [] as Fan[], [] as Fan[]] as const);
  for (let round = 0; round < ROUNDS; round++) {
    const changed = await measures.change(generators, plane, server, AGENTS, round);
    changes.push(changed);
    for (const [i, each] of bare.entries())
      pushed[i]?.[1].push(await measures.push(generators, each, each.process, changed.sample, true));
    const directed = await measures.direct(generators, plane, server, 'open');
    directives.push(directed);
    for (const [i, each] of bare.entries())
      pushed[i]?.[2].push(await measures.push(generators, each, each.process, directed.sample, false));
    await measures.direct(generators, plane, server, 'auto');
  }
  const theirChanges = pushed.map(([name, changes]) => [name, changes] as const);
  const theirDirectives = pushed.map(([name, , directives]) => [name, directives] as const);
  const [grpcChanges = [], grpcDirectives = []] = [theirChanges[0]?.[1], theirDirectives[0]?.[1]];
  const bytes = (fans: readonly Fan[]) => `${fans[0]?.sample.length} bytes`;
  table.beside(`a policy change (${bytes(changes)}): put to the last agent`, changes, 'lastMs', theirChanges);
  table.beside(
    'a policy change: put to the last acknowledgement',
    changes,
    'ackedMs',
    theirChanges,
    'lastMs',
  );
  table.beside('a policy change: CPU for each agent', changes, 'cpuUs', theirChanges, 'cpuUs', 'µs');
  table.beside(
    `a directive (${bytes(directives)}): put to the last agent`,
    directives,
    'lastMs',
    theirDirectives,
  );
  table.figures.push(
    { name: 'fleet: change to the last agent ÷ bare grpc-js', value: ratio(changes, 'lastMs', grpcChanges) },
    {
      name: 'fleet: change to the last acknowledgement ÷ bare grpc-js',
      value: ratio(changes, 'ackedMs', grpcChanges, 'lastMs'),
    },
    {
      name: 'fleet: directive to the last agent ÷ bare grpc-js',
      value: ratio(directives, 'lastMs', grpcDirectives),
    },
  );
  return changes;
}

/** Nothing but heartbeats, and reports from half of the agents. */
async function steady({ generators, server, bare }: Fleet, table: Table): Promise<void> {
  const [grpc] = bare;
  if (!grpc) return;
  const reporters = AGENTS / 2;
  await pause(STEADY_MS / 2);
  const beats = await measures.share(server.pid, STEADY_MS);
  const shares: number[] = [];
  for (const { name, pid } of [server, grpc]) {
    measures.busy(generators, name, reporters / GENERATORS);
    await pause(STEADY_MS / 4);
    shares.push(await measures.share(pid, STEADY_MS));
    measures.quiet(generators, name);
  }
  const [ours = Number.NaN, theirs = Number.NaN] = shares;
  table.row(`${AGENTS} agents that only beat`, `${beats.toFixed(1)} % of a core`);
  table.row(
    `${reporters} agents that report four cells a second`,
    `${ours.toFixed(1)} % of a core`,
    `grpc-js: ${theirs.toFixed(1)} %`,
    `${(ours - theirs).toFixed(1)} % more`,
  );
  table.figures.push(
    { name: 'fleet: 10,000 agents that only beat, % of a core', value: (beats * 10_000) / AGENTS },
    {
      name: 'fleet: 5,000 agents that report each second, % of a core more than bare grpc-js',
      value: ((ours - theirs) * 5_000) / reporters,
    },
  );
}

const STALLED_MS = 60_000;
const UNHINDERED_MS = 30_000;

/** A hundred edits, readers that don't read, all the reports it can take, another replica that dies. */
async function strained(fleet: Fleet & { inspector: string }, store: string, table: Table): Promise<void> {
  const { generators, plane, server, inspector } = fleet;
  const parts = { generators, plane, server, agents: AGENTS, inspector };
  const edits = await strains.edits(plane, server, AGENTS);
  table.row('a hundred edits in a row: first put to the last agent level', `${edits.lastMs.toFixed(0)} ms`);
  table.row('a hundred edits: messages for each agent', edits.messages.toFixed(1));
  table.row('a hundred edits: CPU a message', `${edits.cpuUsEach.toFixed(0)} µs`);
  table.row('a hundred edits: a put, p99', `${edits.putP99Ms.toFixed(0)} ms`);

  const stalled = Math.max(1, Math.round(AGENTS / 100 / GENERATORS));
  const free = await strains.readers(parts, { stalled: 0, forMs: UNHINDERED_MS, round: 1 });
  const slow = await strains.readers(parts, { stalled, forMs: STALLED_MS, round: 2 });
  const kbEach = Math.max(0, slow.heldKb - free.heldKb) / (stalled * GENERATORS);
  table.row(
    `${stalled * GENERATORS} agents read nothing for a minute: a change to the others, p99`,
    `${slow.p99Ms.toFixed(0)} ms`,
    `all read: ${free.p99Ms.toFixed(0)} ms`,
    `${(slow.p99Ms / free.p99Ms).toFixed(2)} ×`,
  );
  table.row('memory more for each of those', `${kbEach.toFixed(1)} KB`);

  const offered = { reporters: Math.min(2_000, AGENTS / GENERATORS), periodMs: 80, processes: GENERATORS };
  const ingest = await strains.ingest(parts, offered);
  table.row(
    `${ingest.offered.toFixed(0)} reports of four cells a second offered: taken in`,
    `${ingest.taken.toFixed(0)} a second`,
    `${ingest.corePercent.toFixed(0)} % of a core`,
  );

  const other = await startPlane(store);
  const killed = await strains.killed({ generators, plane, other }, AGENTS / 5).finally(() => other.close());
  table.row(
    `another replica is killed: until the last of its ${killed.agents} agents knows all again`,
    `${killed.lastMs.toFixed(0)} ms`,
    `${killed.restFailed} times not ready`,
  );
  table.figures.push(
    { name: 'fleet: p99 of a change while 1 % read nothing ÷ all read', value: slow.p99Ms / free.p99Ms },
    { name: 'fleet: KB more for each agent that reads nothing', value: kbEach },
    // Upside down, since a bound is the most that may be.
    { name: 'fleet: 30,000 reports a second ÷ taken in', value: 30_000 / ingest.taken },
  );
}

/** Twice as many agents on two workers, beside what one had with half of them. */
async function spreadOut(
  generators: Generators,
  store: string,
  single: readonly Fan[],
  table: Table,
): Promise<void> {
  const agents = 2 * AGENTS;
  const both = await cores(generators, store, { agents, rounds: ROUNDS });
  const [lastMs, cpuUs] = [median(single, 'lastMs'), median(single, 'cpuUs')];
  table.row(
    `${agents} agents on two workers, a policy change: put to the last agent`,
    `${both.lastMs.toFixed(0)} ms`,
    `${AGENTS} on one: ${lastMs.toFixed(0)} ms`,
    `${(both.lastMs / lastMs).toFixed(2)} ×`,
  );
  table.row(
    'two workers, a policy change: CPU for each agent',
    `${both.cpuUs.toFixed(0)} µs`,
    `on one: ${cpuUs.toFixed(0)} µs`,
    `${(both.cpuUs / cpuUs).toFixed(2)} ×`,
  );
  table.row(
    'a worker is killed: until all agents are connected again',
    `${(both.backMs / 1_000).toFixed(1)} s`,
    `before: ${both.before.join(' and ')} agents`,
  );
  table.row(
    'a worker is killed: until the new one has its share',
    `${(both.levelMs / 1_000).toFixed(1)} s`,
    `then: ${both.after.join(' and ')} agents`,
  );
  table.figures.push(
    { name: 'fleet: two workers, CPU a message ÷ one worker', value: both.cpuUs / cpuUs },
    {
      name: 'fleet: two workers, change to the last of twice as many ÷ one worker',
      value: both.lastMs / lastMs,
    },
  );
}

async function main(): Promise<void> {
  const table = new Table();
  const redis = await startRedis();
  let generators: Generators | undefined;
  let plane: Plane | undefined;
  let bare: BareServer[] = [];
  try {
    generators = await Generators.start(GENERATORS);
    let inspector = '';
    const onErrorLine = (line: string) => {
      inspector = inspectorIn(line) ?? inspector;
    };
    plane = await startPlane(redis.url, { nodeFlags: [inspected], onErrorLine });
    const spec = { timeout: '1s', circuit: { scope: 'cluster' }, bulkhead: { maxConcurrent: 100 } };
    for (const callee of CALLEES) await plane.put(`${callee}-default`, callee, spec);
    const port = Number(plane.grpc.split(':').at(-1));
    const { pid, rest } = plane;
    const lagMs = () => measures.planeLagMs(plane as Plane);
    const server: Server = { name: 'control plane', pid, port, rest, lagMs };
    const first = await measures.storm(generators, server, AGENTS);
    bare = await startBares(first.first);
    const fleet = { generators, plane, server, bare };
    if (!wanted('storms')) for (const each of bare) await measures.storm(generators, each, AGENTS);
    let single: readonly Fan[] = [];
    const parts = {
      storms: () => storms(fleet, first, table),
      async fans() {
        single = await fans(fleet, table);
      },
      steady: () => steady(fleet, table),
      strained: () => strained({ ...fleet, inspector }, redis.url, table),
    };
    for (const [name, part] of Object.entries(parts)) if (wanted(name)) await part();
    if (flags.only !== undefined && flags.only !== 'fans') return;
    for (const { name } of [server, ...bare]) await generators.leave(name);
    await plane.close();
    await spreadOut(generators, redis.url, single, table);
    if (flags.only !== undefined) return;
    conclude({
      title: 'A fleet on one replica',
      command: 'npm run bench:fleet',
      notes: `${AGENTS} light agents in ${GENERATORS} processes, one TCP connection each, ${CALLEES.length} callees; medians of ${ROUNDS} rounds in which the servers take turns. All share two cores with Redis and with the agents.`,
      ...table,
    });
  } finally {
    generators?.close();
    for (const each of bare) each.process.close();
    await plane?.close();
    await redis.close();
  }
}

await main();
