/** What the writing verbs share: their options, and how an answer to a write or to a dry run looks. */
import type { z } from 'zod';
import type { applyAnswer } from '../control-plane/rest/apply.js';
import type { previewAnswer, writeAnswer } from '../control-plane/rest/writes.js';
import { count, type Output, printable } from './output.js';
import { wholeNumber } from './remote.js';
import type { Setting } from './settings.js';

export type Written = z.infer<typeof writeAnswer>;
export type Applied = z.infer<typeof applyAnswer>;
export type Preview = z.infer<typeof previewAnswer>;

export const dryRunSetting: Setting = {
  flags: '--dry-run',
  about: 'say what would change, and write nothing',
};

export const resumeSetting: Setting = {
  flags: '--resume',
  about: 'let halted rollouts of these policies go on',
};

export const ifRevisionSetting: Setting = {
  flags: '--if-revision <revision>',
  about: 'only if this is still the present revision, else exit with 5',
  parse: (text) => wholeNumber(text, 1, Number.MAX_SAFE_INTEGER),
};

/** `changed inventory-default@8`, or `unchanged`. */
export function writtenLine({ policy, revision, changed }: Written, output: Output): string {
  const what = changed ? output.paint('green', 'changed  ') : output.paint('dim', 'unchanged');
  return `${what} ${policy}@${revision}`;
}

/** Of agents that would refuse it, told by name. */
const REFUSERS_MAX = 10;

/** A policy and what a write would make of it, a line for each field, and who would refuse it. */
export function previewLines(
  { policy, revision, changed, changes, agents, refusedBy, rollout }: Preview,
  output: Output,
): string {
  const { paint } = output;
  if (!changed) return paint('dim', `${policy}@${revision}: no difference`);
  const head = revision === null ? `${policy}: new` : `${policy}@${revision}`;
  const lines = changes.map(({ path, before, after }) => {
    if (before === undefined) return paint('green', `  + ${path}: ${show(after)}`);
    if (after === undefined) return paint('red', `  - ${path}: ${show(before)}`);
    return `${paint('yellow', `  ~ ${path}:`)} ${paint('red', show(before))} → ${paint('green', show(after))}`;
  });
  const refusals = refusedBy
    .slice(0, REFUSERS_MAX)
    .map(({ agent, missing }) => printable(`refused by ${agent}: can't enforce ${missing.join(', ')}`));
  const more = refusedBy.length - refusals.length;
  if (more > 0) refusals.push(`and by ${more} more`);
  return [
    `${paint('bold', head)} (concerns ${count(agents.length, 'agent')})`,
    ...lines,
    ...(rollout ? [`  ${rolloutLine({ policy, ...rollout })}`] : []),
    ...refusals.map((text) => `  ${paint('red', text)}`),
  ].join('\n');
}

/** How far a staged rollout comes. */
export function rolloutLine({
  policy,
  percent,
  reached,
  total,
  previous,
}: NonNullable<Preview['rollout']> & { readonly policy: string }): string {
  const others =
    previous === null ? 'the others have nothing of it' : `the others keep ${policy}@${previous}`;
  return `reaches ${percent} % of the instances: ${reached} of ${total} here; ${others}`;
}

/** A value as it is written in a document: strings bare, the rest as JSON. */
function show(value: unknown): string {
  return printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
}
