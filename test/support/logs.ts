/**
 * A logger that keeps what it is told, for tests of what people get to read.
 */
import type { Logger } from '../../agent/logger.js';

export interface Kept {
  readonly level: keyof Logger;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export interface KeptLogger extends Logger {
  readonly lines: Kept[];
  /** Those of a level. */
  of(level: keyof Logger): readonly Kept[];
}

export function keptLogger(): KeptLogger {
  const lines: Kept[] = [];
  const at = (level: keyof Logger) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, fields, message });
  return {
    lines,
    of: (level) => lines.filter((line) => line.level === level),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}
