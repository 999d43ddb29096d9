/**
 * Options of commands, each of which is a variable as well: `--log-level` and `SWITCHGEAR_LOG_LEVEL`, the flag winning. The
 * library's own support for variables takes any value of a boolean one for true, and `SWITCHGEAR_INSECURE=false` must not
 * open a door, so variables are read here. A message names the flag or the variable, and what is right.
 */
import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { messageOf } from '../core/errors.js';
import type { Io } from './io.js';

export interface Setting {
  /** As in commander: `-f, --file <path>`; without `<…>` it is a switch. */
  readonly flags: string;
  readonly about: string;
  /** Throws with what would be right: `write host:port`. */
  readonly parse?: (text: string) => unknown;
  readonly initial?: string | number;
  readonly choices?: readonly string[];
  /** May be given several times; the variable holds several separated by commas. */
  readonly repeated?: boolean;
}

const settingsOf = new WeakMap<Option, Setting>();

/** `--log-level` → `SWITCHGEAR_LOG_LEVEL`. */
export function variableOf(option: Option): string {
  return `SWITCHGEAR_${(option.long ?? '').replace(/^--/, '').replace(/-/g, '_').toUpperCase()}`;
}

export function addSettings(command: Command, settings: readonly Setting[]): Command {
  for (const setting of settings) {
    const option = new Option(setting.flags);
    option.description = describe(setting, variableOf(option));
    if (setting.initial !== undefined) option.default(setting.initial);
    if (option.required)
      option.argParser<unknown>((text, previous) => {
        const value = parseValue(setting, text);
        return setting.repeated && Array.isArray(previous)
          ? [...previous, value]
          : setting.repeated
            ? [value]
            : value;
      });
    settingsOf.set(option, setting);
    command.addOption(option);
  }
  return command;
}

function describe({ about, choices, repeated }: Setting, variable: string): string {
  const may = choices ? ` (${choices.join(', ')})` : '';
  return `${about}${may}${repeated ? ', repeatable' : ''} [${variable}]`;
}

function parseValue({ parse, choices }: Setting, text: string): unknown {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  if (choices && !choices.includes(text)) throw new InvalidArgumentError(`Use one of ${choices.join(', ')}.`);
  if (!parse) return text;
  try {
    return parse(text);
  } catch (error) {
    throw new InvalidArgumentError(sentence(messageOf(error).replace(/^\[\w+\] /, '')));
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

const yes = new Set(['1', 'true', 'yes', 'on']);
const no = new Set(['', '0', 'false', 'no', 'off']);

/** Fills what no flag said from the variables. Throws a usage error that names the variable. */
export function readVariables(command: Command, env: Io['env']): void {
  for (const option of command.options) {
    const setting = settingsOf.get(option);
    const variable = variableOf(option);
    const text = env[variable];
    const name = option.attributeName();
    if (!setting || text === undefined || command.getOptionValueSource(name) === 'cli') continue;
    const value = option.required ? readText(setting, variable, text) : readSwitch(variable, text);
    if (value !== undefined) command.setOptionValueWithSource(name, value, 'env');
  }
}

function readText(setting: Setting, variable: string, text: string): unknown {
  // An empty variable is how compose files and shells say "not set".
  if (text === '') return undefined;
  try {
    if (!setting.repeated) return parseValue(setting, text);
    return text.split(',').map((part) => parseValue(setting, part.trim()));
  } catch (error) {
    throw usage(`variable ${variable} '${text}' is invalid. ${messageOf(error)}`);
  }
}

function readSwitch(variable: string, text: string): boolean {
  const word = text.toLowerCase();
  if (yes.has(word)) return true;
  if (no.has(word)) return false;
  throw usage(`variable ${variable} '${text}' is invalid. Write true or false.`);
}

/** An error of how the command was called; exits with 2. */
export function usage(message: string): CommanderError {
  return new CommanderError(2, 'switchgear.usage', `error: ${message}`);
}

/** Variables of the SDK, which the CLI doesn't read but knows. */
const foreignVariables = [
  'SWITCHGEAR_SERVICE',
  'SWITCHGEAR_CONTROL_PLANE',
  'SWITCHGEAR_ZONE',
  'SWITCHGEAR_VERSION',
  'SWITCHGEAR_INSTANCE',
  'SWITCHGEAR_SNAPSHOT',
  'SWITCHGEAR_TLS',
  'SWITCHGEAR_TLS_SERVER_NAME',
  'SWITCHGEAR_DISABLED',
];

/**
 * Variables that look misspelt: one or two letters from one that exists. Others with our prefix are left alone: orchestrators
 * set `SWITCHGEAR_SERVICE_HOST` and its like for a service of that name.
 */
export function misspelt(
  commands: readonly Command[],
  env: Io['env'],
): { variable: string; meant: string }[] {
  const known = [...commands.flatMap(({ options }) => options).map(variableOf), ...foreignVariables];
  const found: { variable: string; meant: string }[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('SWITCHGEAR_') || known.includes(variable)) continue;
    const meant = known.find((name) => distance(name, variable) <= 2);
    if (meant) found.push({ variable, meant });
  }
  return found;
}

/** Edits between two words, a swap of neighbours counting as one (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, at(i - 2, j - 2) + 1);
      row[j] = best;
    }
  }
  return at(a.length, b.length);
}
