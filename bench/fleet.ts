/**
 * Thousands of agents on one replica: a control plane in a process of its own on a real Redis, and light agents that speak the real
 * protocol over a connection each (`fleet/`). Beside it, in the same run, the same bytes to as many agents from a bare grpc-js server and
 * from `node:http2`: what is judged is the ratio.
 * `--agents=1000` for fewer, `--rounds=3`; `--only=storms` (memory, fans, steady, strained, sizes) for a part.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cores } from './fleet/cores.js';
import * as measures from './fleet/measures.js';
import { CALLEES, type Fan, type Server, type Storm } from './fleet/measures.js';
import { memory } from './fleet/memory.js';
import { type BareServer, Generators, startBare } from './fleet/parts.js';
import { site } from './fleet/site.js';
import { sizes } from './fleet/sizes.js';
import { steady } from './fleet/steady.js';
import { strained } from './fleet/strained.js';
import { median, ratio, Table } from './fleet/table.js';
import { conclude, refusePartialCheck, spread } from './harness.js';
import { type Plane, startPlane } from './plane.js';
import { inspected, inspectorIn } from './profile/inspector.js';
import { type BenchRedis, startRedis } from './redis.js';

const { values: flags } = parseArgs({
  strict: false,
  options: {
    agents: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    check: { type: 'boolean' },
  },
});
const GENERATORS = 2;
/** The bounds are of so many agents. */
const JUDGED = 10_000;
/** Half of them report, and each generator has an equal part of both. */
const AGENTS = whole('agents', 2 * GENERATORS);
const ROUNDS = whole('rounds', 1);
refusePartialCheck(ROUNDS);
if (flags.check && AGENTS !== JUDGED) {
  console.error(`--check judges a fleet of ${JUDGED} agents: leave --agents out`);
  process.exit(2);
}
/** So long Redis commands are counted that come without a change. */
const IDLE_MS = 10_000;

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

const extent = { agents: AGENTS, processes: GENERATORS, rounds: ROUNDS };

interface Fleet {
  readonly generators: Generators;
  readonly plane: Plane;
  readonly server: Server;
  readonly bare: readonly BareServer[];
  readonly redis: BenchRedis;
}

type Came = Storm & { readonly commands: number };

async function storm(generators: Generators, server: Server, redis: BenchRedis): Promise<Came> {
  const { result, perSecond } = await measures.commands(redis, () =>
    measures.storm(generators, server, AGENTS),
  );
  return { ...result, commands: perSecond };
}

/** Each server's agents come, and but for the last time leave again. */
async function storms({ generators, server, bare, redis }: Fleet, first: Came, table: Table): Promise<void> {
  const all = new Map<string, Came[]>([[server.name, [first]]]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const each of round === 0 ? bare : [server, ...bare]) {
      if (round > 0) await generators.leave(each.name);
      const came = await storm(generators, each, redis);
      all.set(each.name, [...(all.get(each.name) ?? []), came]);
    }
  }
  const ours = all.get(server.name) ?? [];
  const others = bare.map(({ name }) => [name, all.get(name) ?? []] as const);
  const grpc = others[0]?.[1] ?? [];
  table.beside('connect storm: until the last agent knows all', ours, 'lastMs', others);
  table.several('connect storm: p50 / p99', ours, ['p50Ms', 'p99Ms'], others);
  table.beside('connect storm: CPU for each agent', ours, 'cpuUs', others, 'cpuUs', 'µs');
  table.beside('connect storm: lag of the loop, p99', ours, 'lagMs', others);
  table.row('connect storm: agents turned away first', `${median(ours, 'refused')}`);
  table.row('connect storm: Redis commands', `${median(ours, 'commands').toFixed(0)} a second`);
  const unanswered = ours.reduce((sum, { restFailed }) => sum + restFailed, 0);
  table.row(
    'connect storm: longest answer of the REST face',
    `${Math.max(...ours.map(({ restMs }) => restMs)).toFixed(0)} ms`,
    `${unanswered} not ready or without an answer, in all rounds`,
  );
  // Who comes again finds memory that others have left.
  const theirFirst = others.map(([name, all]) => [name, all.slice(0, 1)] as const);
  table.several('memory for each agent, all included', [first], ['kbEach'], theirFirst, 'KB');
  table.figures.push(
    { name: 'fleet: storm to the last state ÷ bare grpc-js', value: ratio(ours, 'lastMs', grpc) },
    { name: 'fleet: storm, loop lag p99 ÷ bare grpc-js', value: ratio(ours, 'lagMs', grpc) },
    { name: 'fleet: storms, answers of /readyz and REST that did not come', value: unanswered },
    { name: 'fleet: KB an agent, all included', value: first.kbEach },
  );
}

/** One policy change to all, and one directive. */
async function fans(fleet: Fleet, table: Table): Promise<readonly Fan[]> {
  const { generators, plane, server, bare, redis } = fleet;
  const changes: Fan[] = [];
  const directives: Fan[] = [];
  const pushed = bare.map(({ name }) => [name, [] as Fan[], [] as Fan[]] as const);
  const idle = await measures.commands(redis, () => pause(IDLE_MS));
  const commands: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const change = () => measures.change(generators, plane, server, AGENTS, round);
    const { result: changed, seconds, perSecond } = await measures.commands(redis, change);
    changes.push(changed);
    commands.push((perSecond - idle.perSecond) * seconds);
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
  table.several('a policy change: p50 / p99', changes, ['p50Ms', 'p99Ms'], theirChanges);
  table.beside('a policy change: lag of the loop, p99', changes, 'lagMs', theirChanges);
  table.row(
    'a policy change: Redis commands more than without one',
    spread(commands).median.toFixed(0),
    `without: ${idle.perSecond.toFixed(1)} a second`,
  );
  table.beside('a policy change: CPU for each agent', changes, 'cpuUs', theirChanges, 'cpuUs', 'µs');
  table.beside(
    `a directive (${bytes(directives)}): put to the last agent`,
    directives,
    'lastMs',
    theirDirectives,
  );
  table.several('a directive: p50 / p99', directives, ['p50Ms', 'p99Ms'], theirDirectives);
  table.beside('a directive: CPU for each agent', directives, 'cpuUs', theirDirectives, 'cpuUs', 'µs');
  table.beside('a directive: lag of the loop, p99', directives, 'lagMs', theirDirectives);
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
    'a worker is killed: until 99 of 100 agents are connected again',
    `${(both.backMs / 1_000).toFixed(1)} s`,
    `before: ${both.before.join(' and ')} agents`,
  );
  table.row(
    'a worker is killed: until the new one has its share, of streams that were sent there',
    `${(both.levelMs / 1_000).toFixed(1)} s`,
    `then: ${both.after.join(' and ')} agents, ${both.moved} sent`,
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
  const bare: BareServer[] = [];
  try {
    generators = await Generators.start(GENERATORS);
    if (wanted('memory')) await memory({ generators, redis }, extent, table);
    if (flags.only === 'memory') return;
    let inspector = '';
    const onErrorLine = (line: string) => {
      inspector = inspectorIn(line) ?? inspector;
    };
    plane = await startPlane(redis.url, { nodeFlags: [inspected], onErrorLine });
    const server = await site(plane, 'control plane');
    const first = await storm(generators, server, redis);
    for (const name of ['grpc-js', 'node:http2'] as const) bare.push(await startBare(name, first.first));
    const fleet = { generators, plane, server, bare, redis };
    if (!wanted('storms')) for (const each of bare) await measures.storm(generators, each, AGENTS);
    let single: readonly Fan[] = [];
    const parts = {
      storms: () => storms(fleet, first, table),
      async fans() {
        single = await fans(fleet, table);
      },
      steady: () => steady(fleet, extent, table),
      strained: () => strained({ ...fleet, inspector, first: first.first }, extent, table),
    };
    for (const [name, part] of Object.entries(parts)) if (wanted(name)) await part();
    if (!['sizes', 'fans', undefined].includes(flags.only as string)) return;
    for (const { name } of [server, ...bare]) await generators.leave(name);
    if (wanted('sizes'))
      await sizes(fleet, { most: 2 * AGENTS, processes: GENERATORS, rounds: ROUNDS }, table);
    if (flags.only === 'sizes') return;
    await plane.close();
    await spreadOut(generators, redis.url, single, table);
    if (flags.only !== undefined || AGENTS !== JUDGED) return;
    conclude({
      title: 'A fleet on one replica',
      command: 'npm run bench:fleet',
      notes: `${AGENTS} light agents in ${GENERATORS} processes, one TCP connection each, ${CALLEES.length} callees; medians of ${ROUNDS} rounds in which the servers take turns, other sizes of 3. All share two cores with Redis and with the agents.`,
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
