/**
 * Variables that look misspelt, and those that only look like it.
 */
import { expect } from 'chai';
import type { Command } from 'commander';
import { Context } from '../../../cli/context.js';
import { systemIo } from '../../../cli/io.js';
import { buildProgram } from '../../../cli/program.js';
import { variableOf } from '../../../cli/settings.js';
import { misspelt } from '../../../sdk/variables.js';

describe('a variable of the SDK', () => {
  for (const [variable, meant] of [
    ['SWITCHGEAR_CONTROLPLANE', 'SWITCHGEAR_CONTROL_PLANE'],
    ['SWITCHGEAR_CONTROL_PLANES', 'SWITCHGEAR_CONTROL_PLANE'],
    ['SWITCHGEAR_SEVRICE', 'SWITCHGEAR_SERVICE'],
    ['SWITCHGEAR_DISABLE', 'SWITCHGEAR_DISABLED'],
  ] as const)
    it(`is meant by ${variable}`, () => {
      expect(misspelt({ [variable]: 'x', HOME: '/' })).to.deep.equal([{ variable, meant }]);
    });

  for (const variable of [
    'SWITCHGEAR_SERVICE_HOST',
    'SWITCHGEAR_SERVICE_PORT',
    'SWITCHGEAR_PORT_7480_TCP',
    'SWITCHGEAR_CONTROL_PLANE_PORT',
    'SWITCHGEAR_TTL',
    'CONTROLPLANE',
  ])
    it(`is not meant by ${variable}`, () => {
      expect(misspelt({ [variable]: 'x' })).to.deep.equal([]);
    });

  it('is not meant by one of the command line', () => {
    const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
    const options = all(buildProgram(new Context(systemIo()))).flatMap(({ options }) => options);
    const env = Object.fromEntries(options.map((option) => [variableOf(option), 'x']));
    expect(Object.keys(env)).to.include('SWITCHGEAR_SERVER');
    expect(misspelt(env)).to.deep.equal([]);
  });
});
