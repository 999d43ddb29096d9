/**
 * Policies in files: what `-f` names (a file, a directory, or `-` for standard input) becomes documents that remember where
 * they stood, so that a fault found later, here or by the control plane, is told with its file. Nothing is written here.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../core/errors.js';
import type { Io } from './io.js';
import type { Setting } from './settings.js';
import { usage } from './settings.js';

export const fileSetting: Setting = {
  flags: '-f, --file <path>',
  about: 'YAML or JSON file, directory of such files, or - for standard input',
  repeated: true,
};

/** A verb whose files come by `-f` says so to whoever writes them without it. */
export function takesFiles(command: Command): Command {
  return command.allowExcessArguments().hook('preAction', (_command, { args: [path] }) => {
    if (path !== undefined) throw usage(`'${path}' is one argument too many; did you mean -f ${path}?`);
  });
}

interface Source {
  readonly file: string;
  readonly text: string;
}

const FILES_MAX = 10_000;
const EXTENSION = /^[^.].*\.(ya?ml|json)$/i;

/** All texts in order; a directory's files by name, its subdirectories left out. Throws for what can't be read. */
export async function readSources(paths: readonly string[] | undefined, io: Io): Promise<Source[]> {
  if (paths === undefined || paths.length === 0)
    throw usage('say which files with -f PATH (or SWITCHGEAR_FILE); - reads standard input');
  const sources: Source[] = [];
  for (const path of paths) {
    if (path === '-') sources.push({ file: 'standard input', text: await io.readStdin() });
    else for (const file of filesAt(path)) sources.push({ file, text: read(file) });
  }
  return sources;
}

function filesAt(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => EXTENSION.test(name) && isFile(join(path, name)));
    if (names.length === 0) throw usage(`-f ${path}: the directory holds no .yaml, .yml or .json file`);
    if (names.length > FILES_MAX) throw usage(`-f ${path}: more than ${FILES_MAX} files`);
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Through links as well: mounted configurations are made of them. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined || code.startsWith('switchgear')) return error as Error;
  const reason = code === 'ENOENT' ? 'there is no such file' : messageOf(error);
  return usage(`-f ${path}: ${reason}`);
}
