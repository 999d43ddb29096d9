/**
 * What every benchmark shares: rounds in which the competitors take turns, so that a busy machine slows all of them; medians
 * with their spread; ratios against a baseline of the same run; a table in `docs/benchmarks.md`; `--json` and `--check`.
 * Absolute figures depend on the machine and its neighbours; only ratios are judged.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { type Bounds, boundsOf, type Figure, isPart, judge, objection } from './judging.js';

export type { Figure } from './judging.js';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** All are NaN where there is no value, or one that isn't a number: what it hides can't be judged. */
export function spread(values: readonly number[]): Spread {
  const sorted = ascending(values);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
  return { median: at(0.5), min: at(0), max: at(1) };
}

export function percentile(values: readonly number[], q: number): number {
  const sorted = ascending(values);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

function ascending(values: readonly number[]): number[] {
  return values.some(Number.isNaN) ? [] : [...values].sort((a, b) => a - b);
}

/** One competitor: a loop of `calls` calls, timed as a whole. */
export type Loop = (calls: number) => Promise<void> | void;

/** A round is cut into slices, in which the loops take turns: what slows the machine slows all of them alike. */
const SLICES = 6;

/** Lets timers and sockets have their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Nanoseconds a call of each loop, by round: [loop][round]. Before each slice all garbage is collected: a loop that leaves a lot behind
 * is followed by others that would pay for it. A collection also throws away optimised code of which no object is alive, and gives pages
 * of the young generation back to the system, whose return costs a light call more than the call: so before each slice come as many
 * calls that are not timed.
 */
export async function race(loops: readonly Loop[], rounds: number, calls: number): Promise<number[][]> {
  const gc = () => (globalThis as { gc?: () => void }).gc?.();
  for (const loop of loops) {
    await loop(calls);
    await turn();
  }
  const times: number[][] = loops.map(() => []);
  const perSlice = Math.ceil(calls / SLICES);
  for (let round = 0; round < rounds; round++) {
    const spent = loops.map(() => 0);
    for (let slice = 0; slice < SLICES; slice++) {
      for (let i = 0; i < loops.length; i++) {
        const index = (i + slice) % loops.length;
        await turn();
        const loop = loops[index] as Loop;
        gc();
        await loop(perSlice);
        const start = process.hrtime.bigint();
        await loop(perSlice);
        spent[index] = (spent[index] ?? 0) + Number(process.hrtime.bigint() - start);
      }
    }
    for (const [index, total] of spent.entries()) times[index]?.push(total / (perSlice * SLICES));
  }
  return times;
}

/** Ratios round by round, so that what slowed one round slowed both. */
export function ratios(times: readonly number[], baseline: readonly number[]): Spread {
  return spread(times.map((time, round) => time / (baseline[round] ?? Number.NaN)));
}

export interface Row {
  readonly what: string;
  readonly value: string;
  readonly baseline: string;
  readonly ratio: string;
}

export interface Result {
  /** Section of `docs/benchmarks.md`. */
  readonly title: string;
  /** `npm run bench:<benchmark>`, which says what bounds are its own. */
  readonly command: string;
  readonly notes: string;
  readonly rows: readonly Row[];
  readonly figures: readonly Figure[];
}

/** Before anything is measured: ends with 2 where the flags ask for a judgement on less than the whole, or on too few rounds. */
export function refusePartialCheck(rounds?: number): void {
  const why = objection(process.argv.slice(2), rounds);
  if (why === undefined) return;
  console.error(why);
  process.exit(2);
}

/** Prints, writes and checks as the flags say. Exit code 1 with `--check` if a figure is over its bound, or one of the two is missing. */
export function conclude(result: Result, flags: readonly string[] = process.argv.slice(2)): void {
  const text = readFileSync(new URL('bounds.json', import.meta.url), 'utf8');
  const bounds = boundsOf(result.command.replace('npm run bench:', ''), JSON.parse(text) as Bounds);
  const short = judge(result.figures, bounds);
  const table = markdown(result, bounds);
  if (flags.includes('--json')) {
    const { title, figures } = result;
    console.log(JSON.stringify({ title, figures, bounds, short, ...versions() }));
  } else {
    console.log(table);
  }
  // A part alone is no table to keep.
  if (!isPart(flags) && !flags.includes('--no-write')) record(result.title, table);
  if (flags.includes('--check')) {
    for (const line of short) console.error(`falls short: ${line}`);
    if (short.length > 0) process.exitCode = 1;
    else console.error(`all ${result.figures.length} figures within their bounds`);
  }
}

function versions(): { node: string; grpc: string; cores: number; date: string } {
  const grpc = JSON.parse(
    readFileSync(new URL('../node_modules/@grpc/grpc-js/package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  return {
    node: process.versions.node,
    grpc: grpc.version,
    cores: cpus().length,
    date: new Date().toISOString().slice(0, 10),
  };
}

function markdown({ title, command, notes, rows, figures }: Result, bounds: Bounds): string {
  const { node, grpc, cores, date } = versions();
  const lines = [
    `## ${title}`,
    '',
    `\`${command}\` · ${date} · Node ${node}, grpc-js ${grpc}, ${cores} cores`,
    '',
    notes,
    '',
    '| | measured | baseline | ratio |',
    '| --- | --- | --- | --- |',
    ...rows.map(({ what, value, baseline, ratio }) => `| ${what} | ${value} | ${baseline} | ${ratio} |`),
    '',
    '| bound | measured | at most |',
    '| --- | --- | --- |',
    ...figures.map(({ name, value }) => `| ${name} | ${value.toFixed(3)} | ${bounds[name] ?? '?'} |`),
  ];
  return lines.join('\n');
}

const HEAD = `# Benchmarks

Each table is written by the command above it. Figures of one run on one machine; only ratios against the baseline of the
same run mean anything elsewhere. \`npm run bench:<name> -- --check\` compares with \`bench/bounds.json\`.
`;

/** Replaces this benchmark's section of the document and leaves the others. */
function record(title: string, table: string): void {
  const file = new URL('../docs/benchmarks.md', import.meta.url);
  let text = HEAD;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    // The first benchmark on this checkout.
  }
  const sections = text.split(/\n(?=## )/);
  const head = sections.shift() ?? HEAD;
  const others = sections.filter((section) => !section.startsWith(`## ${title}\n`));
  const all = [...others.map((section) => section.trimEnd()), table].sort();
  writeFileSync(file, `${[head.trimEnd(), ...all].join('\n\n')}\n`);
}

export function nanoseconds({ median, min, max }: Spread): string {
  return `${median.toFixed(0)} ns (${min.toFixed(0)}–${max.toFixed(0)})`;
}

export function times({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} × (${min.toFixed(2)}–${max.toFixed(2)})`;
}
