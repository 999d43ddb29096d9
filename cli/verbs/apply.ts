/**
 * `switchgear apply -f`: writes the policies of files, all or nothing. The whole of the files is read and checked first, so that
 * a fault is told with its file before anything is sent; what the control plane refuses beyond that is told the same way.
 */
import type { Command } from 'commander';
import { type Context, remoteVerb } from '../context.js';
import { fileSetting, takesFiles } from '../files.js';
import { count } from '../output.js';
import { readPolicyFiles, sendDocuments, warnOfUnmet } from '../policy-files.js';
import {
  type Applied,
  dryRunSetting,
  type Preview,
  previewLines,
  resumeSetting,
  writtenLine,
} from '../writes.js';

export function applyVerb(context: Context): Command {
  const command = remoteVerb<{ file?: string[]; dryRun?: boolean; resume?: boolean }>(context, {
    name: 'apply',
    about: 'write the policies of files, all or nothing',
    settings: [fileSetting, dryRunSetting, resumeSetting],
    details:
      'Examples: switchgear apply -f policies/\n          switchgear export --server http://a:7480 | switchgear apply -f -',
    run: async ({ client, output, options }) => {
      const files = await readPolicyFiles(options.file, context.io);
      warnOfUnmet(files, output);
      const body = await sendDocuments<Applied | { dryRun: true; results: Preview[] }>(
        client,
        '/v1/apply',
        files,
        {
          dryRun: options.dryRun ? 'true' : undefined,
          resume: options.resume ? 'true' : undefined,
        },
      );
      output.answer(body, () => {
        if ('dryRun' in body) return body.results.map((result) => previewLines(result, output)).join('\n');
        const changed = body.results.filter((result) => result.changed).length;
        const lines = body.results.map((result) => writtenLine(result, output));
        return [
          ...lines,
          output.paint('dim', `${count(changed, 'policy')} changed, ${safety[body.durability]}`),
        ].join('\n');
      });
      return undefined;
    },
  });
  return takesFiles(command);
}

/** How far a write is safe, in words. */
const safety: Record<Applied['durability'], string> = {
  memory: 'in memory only',
  fsync: 'safe on disk (fsync)',
  replicated: 'replicated',
};
