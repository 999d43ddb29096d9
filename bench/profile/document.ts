/**
 * What is written of profiles: a section of tables for each, and shares inside a text that people write. Both stand between comments in
 * `docs/profiles.md`, so that a new run replaces figures and nothing else.
 */
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
const SHARE = /<!-- share: (\S+) (self|inclusive|owner) (.+?) -->[^<]*<!-- \/share -->/g;

/**
 * The document with the figures of these sections; those of others stay. `missing`: shares of what is not in its profile any more, as
 * written there; their figure becomes `none`.
 *
 * `<!-- share: NAME self|inclusive FUNCTION FILE -->` names a function by its file without the line (`native` where there is none), or
 * `<!-- share: NAME owner OWNER -->` whose code it is.
 */
export function filled(text: string, sections: readonly Section[]): { text: string; missing: string[] } {
  const known = new Map(sections.map((section) => [section.name, section]));
  const missing: string[] = [];
  const replaced = text
    .replace(SECTION, (whole, name: string) => {
      const section = known.get(name);
      return section ? `<!-- profile: ${name} -->\n${tables(section)}\n<!-- /profile -->` : whole;
    })
    .replace(SHARE, (whole, name: string, list: 'self' | 'inclusive' | 'owner', what: string) => {
      const section = known.get(name);
      if (!section) return whole;
      const share = shareOf(section.costs, list, what);
      if (share === undefined) missing.push(`${name} ${list} ${what}`);
      const figure = share === undefined ? 'none' : `${share.toFixed(1)} %`;
      return `<!-- share: ${name} ${list} ${what} -->${figure}<!-- /share -->`;
    });
  return { text: replaced, missing };
}

function shareOf(costs: Costs, list: 'self' | 'inclusive' | 'owner', what: string): number | undefined {
  if (list === 'owner') return costs.owners.find(({ name }) => name === what)?.sharePercent;
  const shares = costs[list]
    .filter(({ name, place }) => `${name} ${place.replace(/:\d+$/, '')}` === what)
    .map(({ sharePercent }) => sharePercent);
  return shares.length === 0 ? undefined : Math.max(...shares);
}
