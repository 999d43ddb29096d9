/**
 * What the control plane says to its operator: pino, on standard error, one JSON line each (standard output belongs to the
 * one line that `up` prints). Rooms take the small interface, so that a test hands in a list. Tokens and passwords never come
 * here: nothing logs a request's headers or a store's URL.
 */
import { type LevelWithSilent, pino } from 'pino';
import { MeshError } from '../../core/errors.js';

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const logLevels: readonly LevelWithSilent[] = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
];

/** A logger on standard error. Throws `invalid_configuration` for a level that doesn't exist. */
export function createLogger(level: string, bindings: { mesh: string; replica: string }): Logger {
  if (!(logLevels as readonly string[]).includes(level))
    throw new MeshError(
      'invalid_configuration',
      `log level "${level}" does not exist (--log-level, SWITCHGEAR_LOG_LEVEL): use one of ${logLevels.join(', ')}`,
    );
  return pino({ level, base: { name: 'switchgear', ...bindings } }, pino.destination({ fd: 2, sync: true }));
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
