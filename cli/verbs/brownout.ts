/**
 * `switchgear brownout [level]`. Without anything: which optional features are off, who says so and until when. With a level: sets
 * it, and says why to everybody who looks. `--feature` changes single features and leaves the others; since the control plane takes
 * all of them at once, they are written only over the revision that was read.
 */
import type { Command } from 'commander';
import type { z } from 'zod';
import type {
  brownoutAnswer,
  brownoutPreview,
  brownoutWriteAnswer,
} from '../../control-plane/rest/brownout.js';
import { levelMax } from '../../core/brownout/schema.js';
import { type Context, noteStale, remoteVerb } from '../context.js';
import { duration, type Output, printable } from '../output.js';
import { wholeNumber } from '../remote.js';
import type { Answer, RestClient } from '../rest-client.js';
import { usage } from '../settings.js';
import { dryRunSetting, ifRevisionSetting } from '../writes.js';

/** An older control plane has no notes. */
type MayLackNotes<T extends { notes: unknown }> = Omit<T, 'notes'> & Partial<Pick<T, 'notes'>>;
type Brownout = MayLackNotes<z.infer<typeof brownoutAnswer>>;
type Written = MayLackNotes<z.infer<typeof brownoutWriteAnswer>>;
type Preview = MayLackNotes<z.infer<typeof brownoutPreview>>;

interface Options {
  reason?: string;
  ttl?: string;
  feature?: (readonly [name: string, level: number | undefined])[];
  ifRevision?: number;
  dryRun?: boolean;
}

const path = '/v1/brownout';

export function brownoutVerb(context: Context): Command {
  return remoteVerb<Options>(context, {
    name: 'brownout',
    about: 'which optional features are off, and setting the level that switches them off',
    arguments: [['[level]', `0 (everything runs) to ${levelMax}`]],
    settings: [
      { flags: '--reason <text>', about: 'why, for everybody who looks; needed above level 0' },
      { flags: '--ttl <duration>', about: 'back to level 0 after that, for example 10m; else it stays' },
      {
        flags: '--feature <name=level>',
        about: 'the level that switches a feature off; name=none forgets it',
        repeated: true,
        parse: parseFeature,
      },
      ifRevisionSetting,
      dryRunSetting,
    ],
    details:
      'A level stays until another one, or its --ttl. Rules that raise it by themselves are set over REST: PUT /v1/brownout.',
    run: async ({ client, output, options }, text) => {
      const asks = text === undefined && options.feature === undefined;
      if (asks) {
        refuseOptions(options);
        const answer = await client.ask<Brownout>(path);
        noteStale(output, answer.stale);
        output.answer(answer.body, () => render(answer.body, output));
      } else {
        const { body } = await write(client, options, text);
        output.answer(body, () =>
          'dryRun' in body ? renderPreview(body, output) : renderWritten(body, output),
        );
      }
      return undefined;
    },
  });
}

async function write(
  client: RestClient,
  { reason, ttl, feature, ifRevision, dryRun }: Options,
  text: string | undefined,
): Promise<Answer<Written | Preview>> {
  const level = text === undefined ? undefined : readLevel(text);
  const present = feature === undefined ? undefined : await client.ask<Brownout>(path);
  const revision = ifRevision ?? present?.revision;
  const conditions: Record<string, string> =
    revision === undefined ? (present ? { 'if-none-match': '*' } : {}) : { 'if-match': `"${revision}"` };
  return client.ask<Written | Preview>(path, {
    method: 'PUT',
    query: { dryRun: dryRun ? 'true' : undefined },
    headers: conditions,
    body: { level, reason, ttl, features: present && changed(present.body.features, feature ?? []) },
  });
}

function changed(
  features: Readonly<Record<string, number>>,
  changes: NonNullable<Options['feature']>,
): Record<string, number> {
  const next = new Map(Object.entries(features));
  for (const [name, level] of changes)
    if (level === undefined) next.delete(name);
    else next.set(name, level);
  return Object.fromEntries(next);
}

function parseFeature(text: string): readonly [string, number | undefined] {
  const [, name = '', level = ''] = /^([^=]+)=(none|[1-4])$/.exec(text) ?? [];
  if (name === '') throw new Error(`write name=level with a level from 1 to ${levelMax}, or name=none`);
  return [name, level === 'none' ? undefined : Number(level)];
}

function readLevel(text: string): number {
  try {
    return wholeNumber(text, 0, levelMax);
  } catch {
    throw usage(`a level is a whole number from 0 to ${levelMax}; got '${text}'`);
  }
}

function refuseOptions({ reason, ttl, ifRevision, dryRun }: Options): void {
  const given = Object.entries({
    '--reason': reason,
    '--ttl': ttl,
    '--if-revision': ifRevision,
    '--dry-run': dryRun,
  });
  const [first] = given.find(([, value]) => value !== undefined) ?? [];
  if (first !== undefined) throw usage(`${first} goes with a level: switchgear brownout 2 --reason "…"`);
}

/** `level 2 by an operator, for 10 min more: payments is slow` */
export function levelLine(
  { level, source, reason, ttlMs }: Pick<Brownout, 'level' | 'source' | 'reason' | 'ttlMs'>,
  { paint }: Output,
): string {
  const who = source === 'rule' ? 'by a rule' : 'by an operator';
  const until =
    source !== 'operator'
      ? ''
      : ttlMs === null
        ? ', until somebody says otherwise'
        : `, for ${duration(ttlMs)} more`;
  return level === 0
    ? paint('green', 'level 0: everything runs')
    : `${paint('yellow', `level ${level}`)} ${who}${until}: ${printable(reason)}`;
}

function render(brownout: Brownout, output: Output): string {
  const { level, revision, features, rules, notes = [] } = brownout;
  const head = levelLine(brownout, output);
  const parts = [revision === null ? head : `${head} (revision ${revision})`];
  const rows = Object.entries(features).sort(([a], [b]) => (a < b ? -1 : 1));
  if (rows.length > 0)
    parts.push(
      output.table<(typeof rows)[number]>(
        [
          { title: 'feature', value: ([name]) => name },
          { title: 'off from level', value: ([, off]) => off, right: true },
          {
            title: 'now',
            value: ([, off]) => (level >= off ? 'off' : 'runs'),
            colour: ([, off]) => (level >= off ? 'yellow' : 'green'),
          },
        ],
        rows,
      ),
    );
  if (rules.length > 0)
    parts.push(
      output.table<Brownout['rules'][number]>(
        [
          { title: 'rule', value: ({ when }) => JSON.stringify(when) },
          { title: 'level', value: (rule) => rule.level, right: true },
          {
            title: 'now',
            value: ({ on }) => (on ? 'on' : 'off'),
            colour: ({ on }) => (on ? 'yellow' : 'green'),
          },
          { title: 'why', value: ({ evidence }) => evidence || '-' },
        ],
        rules,
      ),
    );
  if (notes.length > 0) parts.push(notesText(notes));
  return parts.join('\n\n');
}

function notesText(notes: NonNullable<Brownout['notes']>): string {
  return notes.map(({ message }) => `note: ${printable(message)}`).join('\n');
}

function renderWritten(written: Written, output: Output): string {
  const what = written.changed ? output.paint('green', 'changed') : output.paint('dim', 'unchanged');
  return `${what}: ${render(written, output)}`;
}

function renderPreview({ changed: differs, setting, notes = [] }: Preview, output: Output): string {
  if (!differs) return output.paint('dim', 'no difference');
  const stored = `would be stored: ${printable(JSON.stringify(setting))}`;
  return notes.length === 0 ? stored : `${stored}\n\n${notesText(notes)}`;
}
