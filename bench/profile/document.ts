/**
 * What is written of profiles: a section of tables for each, and shares inside a text that people write. Both stand between comments in
 * `docs/profiles.md`, so that a new run replaces figures, and the order of what is called largest, and nothing else.
 */
import { type Apart, apart, identityOf } from './apart.js';
import type { Cost, Costs } from './costs.js';
import type { Cpu } from './cpu.js';
import type { Tree } from './frames.js';

export interface Section {
  readonly name: string;
  readonly title: string;
  /** When and on what: `2026-11-26, Node 20.20.2, 2 cores`. */
  readonly made: string;
  readonly cpu: Cpu;
  readonly tree: Tree;
  readonly costs: Costs;
}

const ROWS = 10;
const OWNER_PERCENT_MIN = 0.5;

/** Figures and tables in Markdown, without a heading. */
export function tables({ title, made, cpu, tree, costs }: Section): string {
  const ms = (us: number) => `${(us / 1_000).toFixed(0)} ms`;
  const owners = costs.owners
    .filter(({ sharePercent }) => sharePercent >= OWNER_PERCENT_MIN)
    .map(({ name, sharePercent }) => `${name} ${sharePercent.toFixed(1)} %`);
  const ours = costs.inclusive.filter(({ owner }) => owner === 'ours');
  return [
    `${title}. ${made}.`,
    '',
    `The whole of all shares: ${ms(tree.root.totalUs)} in JavaScript, in what it called and in the collector. Beside it ${ms(tree.programUs)} outside of JavaScript. The process used ${cpu.processMs} ms of CPU in ${ms(tree.wallUs)}, of it ${cpu.mainMs} ms on the thread of JavaScript, of that ${cpu.mainKernelMs} ms in the kernel.`,
    '',
    `By owner, self: ${owners.join(' · ')}.`,
    '',
    ...table('self', costs.self),
    '',
    ...table('with what it called', costs.inclusive),
    '',
    ...table('of ours, with what it called', ours),
  ].join('\n');
}

function table(title: string, list: readonly Cost[]): string[] {
  const rows = list.slice(0, ROWS).map(({ name, place, owner, sharePercent }) => {
    const code = `\`${name.replaceAll('|', '\\|')}\``;
    return `| ${code} | ${place} | ${owner} | ${sharePercent.toFixed(1)} % |`;
  });
  return [`| ${title} | where | owner | share |`, '| --- | --- | --- | --- |', ...rows];
}

const SECTION = /<!-- profile: (\S+) -->\n[\s\S]*?<!-- \/profile -->/g;
const LARGEST = /(<!-- largest: (\S+) -->\n(?:\|.*\n){2})((?:\|.*\n)*)(?=<!-- \/largest -->)/g;
const SHARE = /<!-- share: (\S+) (cost|self|inclusive|owner) (.+?) -->([^<]*)<!-- \/share -->/g;
/** So many of a table are called the largest; those below them are there because a run or two may change places. */
const LARGEST_COUNT = 3;
const FORGOTTEN_SHOWN = 3;
const AND = ' + ';

type List = 'cost' | 'self' | 'inclusive' | 'owner';

/**
 * The document with the figures of these sections; those of others stay. `faults`: sentences about what does not hold any more: shares
 * of what is not in its profile, whose figure becomes `none`; and a table of the largest costs that leaves out a larger one.
 *
 * `<!-- share: NAME self|inclusive FUNCTION FILE -->` names a function by its file without the line (`native` where there is none), or
 * `<!-- share: NAME owner OWNER -->` whose code it is. `<!-- share: NAME cost FUNCTION FILE + FUNCTION FILE -->` names one of the largest
 * costs: its functions are set apart from those of the others (`apart.ts`). Rows between `<!-- largest: NAME -->` and
 * `<!-- /largest -->`, one such share in each, are put in its order.
 */
export function filled(text: string, sections: readonly Section[]): { text: string; faults: string[] } {
  const known = new Map(sections.map((section) => [section.name, section]));
  const aparts = new Map(sections.map(({ name, tree }) => [name, apart(tree.root, namedIn(text, name))]));
  const faults: string[] = [];
  const replaced = text
    .replace(SECTION, (whole, name: string) => {
      const section = known.get(name);
      return section ? `<!-- profile: ${name} -->\n${tables(section)}\n<!-- /profile -->` : whole;
    })
    .replace(SHARE, (whole, name: string, list: List, what: string) => {
      const section = known.get(name);
      if (!section) return whole;
      const share = list === 'cost' ? costOf(aparts.get(name), what) : shareOf(section.costs, list, what);
      if (share === undefined) faults.push(gone(`${name} ${list} ${what}`));
      const figure = share === undefined ? 'none' : `${share.toFixed(1)} %`;
      return `<!-- share: ${name} ${list} ${what} -->${figure}<!-- /share -->`;
    })
    .replace(LARGEST, (whole, head: string, name: string, rows: string) => {
      const found = aparts.get(name);
      if (!found) return whole;
      const sorted = rows
        .trimEnd()
        .split('\n')
        .sort((a, b) => costIn(b) - costIn(a));
      const fault = forgotten(name, sorted, found);
      if (fault) faults.push(fault);
      return `${head}${sorted.join('\n')}\n`;
    });
  return { text: replaced, faults };
}

/** All functions that the costs of a section name. */
function namedIn(text: string, section: string): string[] {
  return [...text.matchAll(SHARE)].flatMap(([, name, list, what]) =>
    name === section && list === 'cost' ? (what as string).split(AND) : [],
  );
}

/** Of a row in a table of the largest costs, as it stands there. */
function costIn(row: string): number {
  const cost = [...row.matchAll(SHARE)].find(([, , list]) => list === 'cost');
  return Number.parseFloat(cost?.[4] ?? '') || 0;
}

/** Why a table, largest first, does not show the largest; nothing if it does. */
function forgotten(name: string, rows: readonly string[], { unnamed }: Apart): string | undefined {
  const least = costIn(rows[LARGEST_COUNT - 1] ?? '');
  const larger = unnamed.filter(({ sharePercent }) => sharePercent > least).slice(0, FORGOTTEN_SHOWN);
  if (larger.length === 0) return undefined;
  const list = larger.map(({ sharePercent, ...cost }) => `${identityOf(cost)} ${sharePercent.toFixed(1)} %`);
  const third = rows.length < LARGEST_COUNT ? `has ${rows.length} rows` : `the third has ${least} %`;
  return `docs/profiles.md does not name the ${LARGEST_COUNT} largest costs of ${name}: ${third}, and without a row there are ${list.join(', ')}; give it one, with what was tried`;
}

function gone(what: string): string {
  return `docs/profiles.md has a share of "${what}", which that profile has not: it is gone, and the text there to be rewritten, or the compiler has put it into its caller, and another run may have it`;
}

function costOf(apart: Apart | undefined, what: string): number | undefined {
  const shares = what.split(AND).flatMap((identity) => apart?.shares.get(identity) ?? []);
  return shares.length === 0 ? undefined : shares.reduce((sum, share) => sum + share, 0);
}

function shareOf(costs: Costs, list: List, what: string): number | undefined {
  if (list === 'owner') return costs.owners.find(({ name }) => name === what)?.sharePercent;
  const shares = costs[list === 'self' ? 'self' : 'inclusive']
    .filter((cost) => identityOf(cost) === what)
    .map(({ sharePercent }) => sharePercent);
  return shares.length === 0 ? undefined : Math.max(...shares);
}
