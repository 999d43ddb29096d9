/**
 * What the agent has to say to the people who run the service: rarely anything. An application hands in its own logger (pino's
 * has this shape); without one, warnings and errors go to standard error, a line each, and the rest is silent. Whatever a
 * logger does, it can't hurt the agent.
 */
export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

function line(level: string, fields: Record<string, unknown>, message: string): void {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${shown(value)}`);
  process.stderr.write(`switchgear ${level}: ${message}${rest.join('')}\n`);
}

function shown(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message);
  return typeof value === 'string' && /^[\w.:/@-]+$/.test(value)
    ? value
    : (JSON.stringify(value) ?? String(value));
}

export const stderrLogger: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => line('warning', fields, message),
  error: (fields, message) => line('error', fields, message),
};

/** The same logger, except that what it throws stays with it. */
export function tolerant(logger: Logger): Logger {
  const safely =
    (level: keyof Logger) =>
    (fields: Record<string, unknown>, message: string): void => {
      try {
        logger[level](fields, message);
      } catch {
        // There is nobody left to tell.
      }
    };
  return { debug: safely('debug'), info: safely('info'), warn: safely('warn'), error: safely('error') };
}
