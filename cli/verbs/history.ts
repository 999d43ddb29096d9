/**
 * `switchgear history <policy> [revision]`: who changed it, when and how, newest first; with a revision, the policy as it was
 * then. Deleted policies keep their history.
 */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { z } from 'zod';
import type { revisionAnswer, revisionsAnswer } from '../../control-plane/rest/history.js';
import { type Context, remoteVerb } from '../context.js';
import { wholeNumber } from '../remote.js';
import { usage } from '../settings.js';

type Entry = z.infer<typeof revisionsAnswer>['revisions'][number];

export function historyVerb(context: Context): Command {
  return remoteVerb<{ limit?: number; before?: number }>(context, {
    name: 'history',
    about: 'who changed a policy, when and how; with a revision, the policy as it was',
    arguments: [
      ['<policy>', 'name of a policy, present or deleted'],
      ['[revision]', 'show the policy as of this revision'],
    ],
    settings: [
      {
        flags: '--limit <n>',
        about: 'how many revisions at most, 20 if not given',
        parse: (text) => wholeNumber(text, 1, 1000),
      },
      {
        flags: '--before <revision>',
        about: 'only revisions below this one: the next page',
        parse: (text) => wholeNumber(text, 1, Number.MAX_SAFE_INTEGER),
      },
    ],
    run: async ({ client, output, options }, policy = '', revision) => {
      const path = `/v1/policies/${encodeURIComponent(policy)}/revisions`;
      if (revision !== undefined) {
        if (!/^[1-9]\d*$/.test(revision)) throw usage(`revision '${revision}' is no positive whole number`);
        const { body } = await client.ask<z.infer<typeof revisionAnswer>>(`${path}/${revision}`);
        output.answer(body, () =>
          [
            output.paint('dim', `# revision ${body.revision}: ${body.action} by ${body.author}, ${body.at}`),
            body.document === null ? output.paint('dim', '# deleted') : stringify(body.document),
          ].join('\n'),
        );
        return undefined;
      }
      const { limit = 20, before } = options;
      const { body } = await client.ask<z.infer<typeof revisionsAnswer>>(path, { query: { limit, before } });
      output.answer(body, () => {
        const more = body.next === null ? '' : `\n${output.paint('dim', `more: --before ${body.next}`)}`;
        return output.table(columns, body.revisions) + more;
      });
      return undefined;
    },
  });
}

function whatOf({ action, deleted, sameAs }: Entry): string {
  if (deleted) return 'delete';
  return sameAs === undefined ? action : `${action} (as it was at ${sameAs})`;
}

const columns = [
  { title: 'revision', value: ({ revision }: Entry) => revision, right: true },
  { title: 'at', value: ({ at }: Entry) => at },
  { title: 'what', value: whatOf },
  { title: 'who', value: ({ author }: Entry) => author },
];
