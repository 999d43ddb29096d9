/**
 * Where the time goes: flame graphs of the control plane under a fleet of light agents, and of a call through the agent, with the largest
 * costs of each. Pictures go to `docs/profiles/`, figures to `docs/profiles.md`; exits with 1 where that page's text does not hold of
 * them: a function is gone, or a larger cost than the third that it names has no row. `--agents=2000`, `--only=control-plane` or `agent`,
 * `--no-write`, `--keep=DIRECTORY` for the profiles themselves, which browsers' tools open.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { profileCalls } from './profile/calls.js';
import { costs } from './profile/costs.js';
import { filled, type Section, tables } from './profile/document.js';
import { flame } from './profile/flame.js';
import { frames } from './profile/frames.js';
import { profilePlane } from './profile/plane.js';
import type { Profiled } from './profile/profiled.js';

const { values: flags } = parseArgs({
  options: {
    agents: { type: 'string', default: '2000' },
    only: { type: 'string' },
    keep: { type: 'string' },
    'no-write': { type: 'boolean', default: false },
  },
});
const root = new URL('../', import.meta.url);
const made = `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus().length} cores`;
const page = new URL('docs/profiles.md', root);

function refuse(why: string): never {
  console.error(why);
  return process.exit(2);
}

async function profiles(): Promise<Profiled[]> {
  const { only } = flags;
  const agents = Number(flags.agents);
  if (!(Number.isInteger(agents) && agents > 0 && agents % 2 === 0))
    refuse(`--agents=${flags.agents}: write an even number, for example --agents=2000`);
  if (only !== undefined && only !== 'control-plane' && only !== 'agent')
    refuse(`--only=${only}: write --only=control-plane or --only=agent`);
  return [
    ...(only === 'agent' ? [] : await profilePlane(agents)),
    ...(only === 'control-plane' ? [] : await profileCalls()),
  ];
}

function sectionOf({ name, title, profile, cpu }: Profiled): Section {
  const tree = frames(profile, root.href);
  return { name, title, made, cpu, tree, costs: costs(tree.root) };
}

function writePicture({ name, title, tree }: Section): void {
  const ms = (tree.root.totalUs / 1_000).toFixed(0);
  const subtitle = `${ms} ms in JavaScript, what it called and the collector; waiting is left out. ${made}`;
  writeFileSync(new URL(`docs/profiles/${name}.svg`, root), flame(tree.root, { title, subtitle }));
}

/** Whether the page holds of these profiles is told with `--no-write` too. */
function document(sections: readonly Section[]): void {
  const { text, faults } = filled(readFileSync(page, 'utf8'), sections);
  if (!flags['no-write']) writeFileSync(page, text);
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

const all = await profiles();
if (flags.keep !== undefined) {
  mkdirSync(flags.keep, { recursive: true });
  for (const { name, profile } of all)
    writeFileSync(join(flags.keep, `${name}.cpuprofile`), JSON.stringify(profile));
}
const sections = all.map(sectionOf);
for (const section of sections) console.log(`## ${section.name}\n\n${tables(section)}\n`);
if (!flags['no-write']) {
  mkdirSync(new URL('docs/profiles/', root), { recursive: true });
  for (const section of sections) writePicture(section);
}
document(sections);
