/**
 * `switchgear validate -f`: checks files with the control plane's own parser and without a control plane, so that it runs in a
 * pull request. Exits with 4 when something is wrong, each fault with its file, path and line.
 */
import { Command } from 'commander';
import type { Context } from '../context.js';
import { fileSetting, takesFiles } from '../files.js';
import { count } from '../output.js';
import { readPolicyFiles, warnOfUnmet } from '../policy-files.js';
import { jsonSetting } from '../remote.js';
import { addSettings } from '../settings.js';

export function validateVerb(context: Context): Command {
  const command = new Command('validate')
    .description('check the policies of files; needs no control plane')
    .addHelpText('after', '\nExample: switchgear validate -f policies/');
  addSettings(command, [fileSetting, jsonSetting]);
  return takesFiles(command).action(async () => {
    const { file } = command.opts<{ file?: string[] }>();
    const policies = await readPolicyFiles(file, context.io);
    const output = context.output();
    warnOfUnmet(policies, output);
    const valid = policies.map(({ name, file }) => ({ policy: name, file }));
    output.answer({ valid: true, policies: valid }, () =>
      output.paint('green', `${count(valid.length, 'policy')} valid`),
    );
  });
}
