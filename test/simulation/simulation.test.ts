/**
 * The quick scenarios, with few seeds, and that a seed repeats a run to the last figure. `npm run sim -- --check` runs all of them
 * under all of their seeds; so does `npm run test:long`.
 */
import { expect } from 'chai';
import { judge } from './engine/judge.js';
import { simulate } from './engine/simulate.js';
import { loadScenarios, runOnce } from './run.js';

const SEED = Number(process.env.SEED ?? 1);

const scenarios = loadScenarios();

describe('simulation', () => {
  for (const scenario of scenarios.filter(({ quick }) => quick))
    it(`${scenario.name}: ${scenario.title} (seed ${SEED})`, () => {
      expect(judge(scenario, runOnce(scenario, SEED))).to.deep.equal([]);
    });

  it('repeats a run to the last figure, and another seed is another run', () => {
    const scenario = scenarios.find(({ name }) => name === 'dead-callee');
    if (!scenario) throw new Error('test/simulation/scenarios/dead-callee.txt is missing');
    const first = simulate(scenario, { seed: 5 });
    expect(simulate(scenario, { seed: 5 })).to.deep.equal(first);
    expect(simulate(scenario, { seed: 6 }).samples).to.not.deep.equal(first.samples);
  });
});
