/**
 * What policies, services and instances cost a control plane that has many of them: how long it takes to start from Redis, and what an
 * edit costs that concerns no agent there is. Control planes of all sizes run side by side on a Redis each, and take turns, so that a
 * busy machine slows all of them; CPU is of the process as the kernel counts it, less what it uses in as long a time without edits.
 */
import { parseArgs } from 'node:util';
import { Generators } from './fleet/parts.js';
import { conclude, type Figure, type Row, ratios, refusePartialCheck, spread, times } from './harness.js';
import { EDITS, type Edits, type Shape, Site, type Start } from './policies-cost/site.js';

const { values: flags } = parseArgs({
  strict: false,
  options: { rounds: { type: 'string', default: '5' }, only: { type: 'string' } },
});
const ROUNDS = Math.max(1, Math.floor(Number(flags.rounds)));
refusePartialCheck(ROUNDS);
const FEW = 100;
const MANY = 100_000;
const SIZES = [FEW, 1_000, 10_000, MANY];
const STARTS = [FEW, 10_000, MANY];
const CALLERS = 200;
/** As many callers each time, of so many services: what is compared is the services. */
const SERVICES = [1, 200, 1_000];
const INSTANCES = [10, 1_000, 5_000];

/** `--only=sizes` or `--only=services` looks at one part, and writes nothing. */
const wanted = (part: string) => flags.only === undefined || flags.only === part;
const text = (count: number) => count.toLocaleString('en-US');
const median = <T>(list: readonly T[], key: keyof T) => spread(list.map((each) => Number(each[key]))).median;
const rows: Row[] = [];
const figures: Figure[] = [];
/** To each agent, of each batch of edits at any of the control planes. */
const bytes: number[] = [];

function row(what: string, value: string, baseline = '', ratio = ''): void {
  rows.push({ what, value, baseline, ratio });
  console.error(`${what}: ${value} ${baseline} ${ratio}`);
}

/** Of each shape, by round: one batch of edits after another at each control plane in turn. A first one, to get warm, isn't counted. */
async function edits(sites: readonly Site[]): Promise<Map<string, Edits[]>> {
  const all = new Map<string, Edits[]>(sites.map(({ shape }) => [shape.name, []]));
  for (const site of sites) await site.people();
  for (let round = 0; round <= ROUNDS; round++)
    for (const site of sites) {
      const { name } = site.shape;
      const measured = await site.edit();
      console.error(`round ${round} of ${ROUNDS}, ${name}: ${measured.cpuUs.toFixed(0)} µs of CPU`);
      bytes.push(measured.bytes);
      if (round > 0) all.get(name)?.push(measured);
    }
  return all;
}

async function withSites<T>(
  generators: Generators,
  shapes: readonly Shape[],
  use: (sites: readonly Site[]) => Promise<T>,
): Promise<T> {
  const sites: Site[] = [];
  try {
    for (const shape of shapes) sites.push(await Site.fill(shape, generators));
    const result = await use(sites);
    for (const site of sites) await site.leave();
    return result;
  } finally {
    for (const site of sites) await site.close();
  }
}

/** A row for each but the first, beside the first; the ratio of the last to the first. */
function compared(all: ReadonlyMap<string, Edits[]>, names: readonly string[]): number {
  const [first = '', ...others] = names;
  const of = (name: string) => all.get(name) ?? [];
  const cpu = (name: string) => of(name).map(({ cpuUs }) => cpuUs);
  const us = (name: string) => `${spread(cpu(name)).median.toFixed(0)} µs`;
  const put = (name: string) => `a put ${median(of(name), 'putMs').toFixed(1)} ms`;
  for (const name of others)
    row(
      `CPU of an edit, ${name}`,
      `${us(name)}; ${put(name)}`,
      `${first}: ${us(first)}; ${put(first)}`,
      times(ratios(cpu(name), cpu(first))),
    );
  return ratios(cpu(others.at(-1) ?? ''), cpu(first)).median;
}

function started(all: ReadonlyMap<number, readonly Start[]>): void {
  const of = (size: number) => all.get(size) ?? [];
  const seconds = (size: number) => median(of(size), 'seconds');
  const cpu = (size: number) => `${median(of(size), 'cpuSeconds').toFixed(2)} s of CPU`;
  const memory = (size: number) => median(of(size), 'rssKb');
  for (const size of STARTS) {
    const each = ((seconds(size) - seconds(FEW)) / (size - FEW)) * 1_000_000;
    const more = (memory(size) - memory(FEW)) / (size - FEW);
    row(
      `start from Redis with ${text(size)} policies`,
      `${seconds(size).toFixed(2)} s, ${cpu(size)}, ${(memory(size) / 1_024).toFixed(0)} MB`,
      size === FEW ? '' : `${text(FEW)}: ${seconds(FEW).toFixed(2)} s`,
      size === FEW ? '' : `${each.toFixed(0)} µs and ${more.toFixed(1)} KB a policy`,
    );
  }
  figures.push({ name: 'policies: start with 100,000, s', value: seconds(MANY) });
}

async function sizes(generators: Generators): Promise<void> {
  const shapes = SIZES.map((policies) => ({
    ...{ name: `${text(policies)} policies`, policies, callers: CALLERS, services: 1, instances: 0 },
  }));
  await withSites(generators, shapes, async (sites) => {
    const starts = new Map<number, Start[]>(SIZES.map((size) => [size, []]));
    for (let round = 0; round < ROUNDS; round++)
      for (const site of sites) starts.get(site.shape.policies)?.push(await site.start());
    started(starts);
    const all = await edits(sites);
    const value = compared(
      all,
      shapes.map(({ name }) => name),
    );
    figures.push({ name: 'policies: CPU of an edit, 100,000 ÷ 100 policies', value });
    const repeats = [...all.values()].flat().reduce((sum, each) => sum + each.repeats, 0);
    row('edits that Redis did not answer in time, and that were repeated', `${repeats}`);
  });
}

async function services(generators: Generators): Promise<void> {
  const most = Math.max(...SERVICES);
  const callers = SERVICES.map((count) => ({
    ...{ name: `callers of ${text(count)} services`, policies: FEW, callers: most },
    ...{ services: count, instances: 0 },
  }));
  const instances = INSTANCES.map((count) => ({
    ...{ name: `${text(count)} instances`, policies: FEW, callers: CALLERS, services: 1, instances: count },
  }));
  await withSites(generators, [...callers, ...instances], async (sites) => {
    const all = await edits(sites);
    const names = (shapes: readonly Shape[]) => shapes.map(({ name }) => name);
    const [ofServices, ofInstances] = [compared(all, names(callers)), compared(all, names(instances))];
    figures.push(
      { name: 'policies: CPU of an edit, callers of 1,000 ÷ 1 services', value: ofServices },
      { name: 'policies: CPU of an edit, 5,000 ÷ 10 instances', value: ofInstances },
    );
  });
}

const generators = await Generators.start(1);
try {
  if (wanted('sizes')) await sizes(generators);
  if (wanted('services')) await services(generators);
  const most = Math.max(...bytes);
  row('bytes to each agent by an edit that does not concern it, most', most.toFixed(1));
  figures.push({
    name: 'policies: bytes to an agent by an edit that does not concern it, most',
    value: most,
  });
} finally {
  generators.close();
}
conclude({
  title: 'Many policies, services and instances',
  command: 'npm run bench:policies',
  notes: `Each policy is of a callee of its own, half of them with a circuit of the mesh. ${CALLERS} light agents (${text(Math.max(...SERVICES))} where their services are counted) call another callee and report each second while one policy is put ${EDITS} times in a row (for at most 5 s). Medians of ${ROUNDS} rounds in which control planes of all sizes take turns, on a Redis each; ratios with the least and the most of a round. All share two cores.`,
  rows,
  figures,
});
