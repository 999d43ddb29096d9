/**
 * `switchgear delete <policy>`: what it said is enforced no longer, and its circuits go with it. Its history stays, so that
 * `rollback` brings it back.
 */
import type { Command } from 'commander';
import { type Context, remoteVerb } from '../context.js';
import { dryRunSetting, ifRevisionSetting, type Preview, previewLines, type Written } from '../writes.js';

export function deleteVerb(context: Context): Command {
  return remoteVerb<{ ifRevision?: number; dryRun?: boolean }>(context, {
    name: 'delete',
    about: 'delete a policy; its history stays, rollback brings it back',
    arguments: [['<policy>', 'name of a policy']],
    settings: [ifRevisionSetting, dryRunSetting],
    run: async ({ client, output, options }, policy = '') => {
      const { body } = await client.ask<Written | Preview>(`/v1/policies/${encodeURIComponent(policy)}`, {
        method: 'DELETE',
        query: { dryRun: options.dryRun ? 'true' : undefined },
        headers: options.ifRevision === undefined ? {} : { 'if-match': `"${options.ifRevision}"` },
      });
      output.answer(body, () =>
        'dryRun' in body
          ? previewLines(body, output)
          : `${output.paint('red', 'deleted')} ${body.policy} (revision ${body.revision}, ${body.durability})`,
      );
      return undefined;
    },
  });
}
