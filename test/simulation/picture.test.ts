/**
 * The picture of a run: a document that any reader of SVG takes, with a band for each circuit of the mesh and both fleets' lines. And
 * each scenario has one in docs/simulation (`npm run sim` draws them).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { picture } from './engine/picture.js';
import { loadScenarios, runOnce } from './run.js';

/** One element a line, closed on it, with no sign in it that would end an attribute or a text. */
const ELEMENT = /^<(\w+)( [\w-]+="[^"<]*")*(\/>|>[^<]*<\/\1>)+$/;

function bodyOf(svg: string): string[] {
  const lines = svg.trimEnd().split('\n');
  expect(lines.shift()).to.match(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"( [\w-]+="[^"<]*")*>$/);
  expect(lines.pop()).to.equal('</svg>');
  return lines;
}

describe('the picture of a run', () => {
  const scenarios = loadScenarios();
  const scenario = scenarios.find(({ name }) => name === 'dead-callee');
  if (!scenario) throw new Error('test/simulation/scenarios/dead-callee.txt is missing');

  it('shows the states of the circuit, the calls wasted, and the fleet with local circuits alone', () => {
    const run = runOnce({ ...scenario, title: 'Dead & <buried>' }, 1);
    const lines = bodyOf(picture({ ...scenario, title: 'Dead & <buried>' }, run));
    for (const line of lines.flatMap((each) => each.replace(/></g, '>\n<').split('\n')))
      expect(line).to.match(ELEMENT);
    expect(lines[0]).to.equal('<title>Dead &amp; &lt;buried> (seed 1)</title>');
    expect(lines.filter((line) => line.startsWith('<polyline'))).to.have.length(4);
    const band = lines.filter((line) => /^<rect .*height="10" fill="#[0-9a-f]{6}"\/>$/.test(line));
    // Closed, and then one for each state it came to; each begins where the one before ends.
    expect(band).to.have.length(1 + run.outcome.moments.length);
    const numbers = band.map((rect) => /x="([\d.]+)".* width="([\d.]+)"/.exec(rect) ?? []);
    for (const [i, [, x]] of numbers.slice(1).entries())
      expect(Number(x)).to.be.closeTo(Number(numbers[i]?.[1]) + Number(numbers[i]?.[2]), 1);
    expect(lines.join('\n')).to.contain(`calls wasted, so far: ${run.outcome.metrics.wasted}, with local`);
  });

  it('is in the docs for every scenario, and for nothing else', () => {
    const folder = fileURLToPath(new URL('../../docs/simulation', import.meta.url));
    const drawn = readdirSync(folder).sort();
    expect(drawn).to.deep.equal(scenarios.map(({ name }) => `${name}.svg`));
    for (const { name, title } of scenarios)
      expect(readFileSync(`${folder}/${name}.svg`, 'utf8')).to.contain(`${title} (seed `);
  });
});
