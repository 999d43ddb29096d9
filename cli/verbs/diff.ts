/**
 * `switchgear diff -f`: what `apply` of the same files would change, field by field, and how many agents it concerns. Exits like
 * diff(1): 0 no difference, 1 differences, more is trouble. Policies that no file names are left alone, as apply leaves them.
 */
import type { Command } from 'commander';
import { type Context, remoteVerb } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { fileSetting, takesFiles } from '../files.js';
import { readPolicyFiles, sendDocuments } from '../policy-files.js';
import { type Preview, previewLines } from '../writes.js';

export function diffVerb(context: Context): Command {
  const command = remoteVerb<{ file?: string[] }>(context, {
    name: 'diff',
    about: 'what apply would change; exits with 1 if there is a difference',
    settings: [fileSetting],
    run: async ({ client, output, options }) => {
      const files = await readPolicyFiles(options.file, context.io);
      const { results } = await sendDocuments<{ results: Preview[] }>(client, '/v1/apply', files, {
        dryRun: 'true',
      });
      const differing = results.filter(({ changed }) => changed);
      output.answer({ differences: differing.length, results }, () =>
        differing.map((result) => previewLines(result, output)).join('\n'),
      );
      return differing.length > 0 ? exitCodes.no : exitCodes.ok;
    },
  });
  return takesFiles(command);
}
