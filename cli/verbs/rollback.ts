/**
 * `switchgear rollback <policy> --to <revision>`: writes what the policy was then as a new revision; history only grows. Works on
 * a deleted policy too. With --if-revision it refuses (exit code 5) if somebody changed the policy meanwhile.
 */
import type { Command } from 'commander';
import { type Context, remoteVerb } from '../context.js';
import { wholeNumber } from '../remote.js';
import { usage } from '../settings.js';
import {
  dryRunSetting,
  ifRevisionSetting,
  type Preview,
  previewLines,
  type Written,
  writtenLine,
} from '../writes.js';

export function rollbackVerb(context: Context): Command {
  return remoteVerb<{ to?: number; ifRevision?: number; dryRun?: boolean }>(context, {
    name: 'rollback',
    about: 'make an old revision of a policy the present one',
    arguments: [['<policy>', 'name of a policy']],
    settings: [
      {
        flags: '--to <revision>',
        about: 'a revision of this policy; "switchgear history" lists them',
        parse: (text) => wholeNumber(text, 1, Number.MAX_SAFE_INTEGER),
      },
      ifRevisionSetting,
      dryRunSetting,
    ],
    run: async ({ client, output, options }, policy = '') => {
      if (options.to === undefined)
        throw usage(`say to which revision with --to N; "switchgear history ${policy}" lists them`);
      const { body } = await client.ask<Written | Preview>(
        `/v1/policies/${encodeURIComponent(policy)}/rollback`,
        {
          method: 'POST',
          body: { to: options.to },
          query: { dryRun: options.dryRun ? 'true' : undefined },
          headers: options.ifRevision === undefined ? {} : { 'if-match': `"${options.ifRevision}"` },
        },
      );
      output.answer(body, () =>
        'dryRun' in body
          ? previewLines(body, output)
          : `${writtenLine(body, output)}${body.changed ? ` (as it was at ${options.to})` : ''}`,
      );
      return undefined;
    },
  });
}
