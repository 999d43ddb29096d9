/**
 * How a failed command tells its reason: a line for a person, each fault of an input on its own line with file, path and what
 * would be right; or, with `--json`, one JSON object on standard error.
 */
import { CommanderError } from 'commander';
import { type Issue, MeshError, messageOf } from '../core/errors.js';
import { exitCodeOf } from './exit-codes.js';
import type { Io } from './io.js';
import { painter, printable } from './output.js';

const ISSUES_SHOWN_MAX = 50;

/** A fault of a policy in a file: the path of the fault is below that document. */
export interface FileIssue extends Issue {
  readonly file: string;
}

export function renderError(thrown: unknown, io: Io, json: boolean): void {
  // The library has printed its own, in its own words, and help is no error.
  if (thrown instanceof CommanderError && thrown.code !== 'switchgear.usage' && !json) return;
  const message = messageOf(thrown).replace(/^error: /, '');
  const issues: readonly (Issue & { file?: string })[] = (thrown instanceof MeshError && thrown.issues) || [];
  if (json) {
    const code =
      thrown instanceof MeshError ? thrown.code : thrown instanceof CommanderError ? 'usage' : 'internal';
    const body = { error: { code, message: plain(message), exitCode: exitCodeOf(thrown), issues } };
    io.stderr.write(`${JSON.stringify(body)}\n`);
    return;
  }
  const paint = painter(io.stderr, io.env);
  const lines = [`${paint('red', 'error:')} ${plain(message).split('\n').map(printable).join('\n')}`];
  const told = issues.length === 1 && issues.every((issue) => says(message, issue)) ? [] : issues;
  for (const { file, path, message: fault } of told.slice(0, ISSUES_SHOWN_MAX)) {
    const place = [file, path].filter((part) => part !== undefined && part !== '').join(': ');
    const head = place === '' ? '' : `${paint('bold', printable(place))}: `;
    lines.push(`  ${head}${printable(fault)}`);
  }
  if (issues.length > ISSUES_SHOWN_MAX) lines.push(`  and ${issues.length - ISSUES_SHOWN_MAX} more`);
  io.stderr.write(`${lines.join('\n')}\n`);
}

/** The message has all of its only issue already. */
function says(message: string, { file, path, message: fault }: Issue & { file?: string }): boolean {
  return file === undefined && message.includes(path) && message.includes(fault);
}

/** Without the code in brackets, which is for programs and for logs. */
function plain(message: string): string {
  return message.replace(/^\[\w+\] /, '');
}
