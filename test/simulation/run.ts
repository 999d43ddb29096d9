/**
 * `npm run sim`: runs scenarios and draws what happened. `npm run sim -- --check` runs each under all of its seeds and ends with 1,
 * naming every bound that falls short. Further words: names of scenarios; `--seeds 3`, `--seed 7`, `--quick` (those of
 * the suite alone), `--out <directory>` for the pictures (default: docs/simulation, only without `--check`).
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { comparesWithLocal, judge, type Run } from './engine/judge.js';
import { metricNames } from './engine/outcome.js';
import { picture } from './engine/picture.js';
import { readScenario } from './engine/read-scenario.js';
import type { Scenario } from './engine/scenario.js';
import { simulate } from './engine/simulate.js';

const scenariosFolder = fileURLToPath(new URL('scenarios', import.meta.url));
const picturesFolder = fileURLToPath(new URL('../../docs/simulation', import.meta.url));

export function loadScenarios(): Scenario[] {
  return readdirSync(scenariosFolder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => readScenario(file, readFileSync(join(scenariosFolder, file), 'utf8')));
}

/** Both fleets, where a bound compares them; `compare`: in any case. */
export function runOnce(scenario: Scenario, seed: number, compare = false): Run {
  const outcome = simulate(scenario, { seed });
  if (!compare && !comparesWithLocal(scenario)) return { seed, outcome };
  return { seed, outcome, local: simulate(scenario, { seed, local: true }) };
}

function figures({ outcome, local }: Run): string {
  const shown = metricNames.filter((name) => outcome.metrics[name as keyof typeof outcome.metrics] !== 0);
  return shown
    .map((name) => {
      const key = name as keyof typeof outcome.metrics;
      const beside = local && name === 'wasted' ? ` (local alone: ${local.metrics[key]})` : '';
      return `${name} ${Math.round(outcome.metrics[key] * 10) / 10}${beside}`;
    })
    .join(', ');
}

interface Options {
  readonly check: boolean;
  readonly seed: number;
  readonly seeds: number | undefined;
  readonly out: string | undefined;
}

/** Answers the bounds that fell short. */
function run(scenario: Scenario, { check, seed, seeds, out }: Options): string[] {
  const faults: string[] = [];
  const count = seeds ?? (check ? scenario.seeds : 1);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const once = runOnce(
      scenario,
      seed + i,
      out !== undefined && scenario.callers.every(({ count }) => count < 10_000),
    );
    const seconds = (performance.now() - start) / 1_000;
    const events = once.outcome.events + (once.local?.events ?? 0);
    const pace = `${seconds.toFixed(1)} s, ${(events / 1e6).toFixed(1)} million events`;
    console.log(`${scenario.name}, seed ${seed + i}: ${figures(once)} [${pace}]`);
    for (const fault of judge(scenario, once)) {
      faults.push(fault);
      console.log(`  falls short: ${fault}`);
    }
    if (i > 0 || out === undefined) continue;
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, `${scenario.name}.svg`), picture(scenario, once));
  }
  return faults;
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      check: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const all = loadScenarios();
  const unknown = positionals.filter((name) => !all.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    const names = all.map(({ name }) => name).join(', ');
    console.error(`no scenario is called ${unknown.join(', ')}; there are: ${names}`);
    process.exit(2);
  }
  const chosen = all.filter(({ name, quick }) =>
    positionals.length > 0 ? positionals.includes(name) : quick || !values.quick,
  );
  const faults = chosen.flatMap((scenario) =>
    run(scenario, {
      check: values.check,
      seed: Number(values.seed),
      seeds: values.seeds === undefined ? undefined : Number(values.seeds),
      out: values.out ?? (values.check ? undefined : picturesFolder),
    }),
  );
  if (faults.length === 0) {
    console.log(`${chosen.length} scenarios, all bounds hold`);
    return;
  }
  console.log(`\n${faults.length} bounds fall short:\n${faults.join('\n')}`);
  if (values.check) process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
