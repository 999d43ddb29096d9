/**
 * A report as it can be counted with, whatever the agent sent: whole counts in bounds, and names that can be written and shown.
 */
import type { Heard } from './model.js';

const NAME_MAX = 400;
const COUNT_MAX = 1e9;

/** Undefined: nobody in particular says it. */
export function plainHeard(heard: Heard): Heard | undefined {
  const agent = name(heard.agent);
  if (agent === '') return undefined;
  const calls = count(heard.calls);
  return {
    agent,
    zone: name(heard.zone),
    endpoint: name(heard.endpoint),
    calls,
    failed: Math.min(count(heard.failed), calls),
    slow: Math.min(count(heard.slow), calls),
    blocked: count(heard.blocked),
  };
}

function count(value: number): number {
  return value > 0 ? Math.min(Math.floor(value), COUNT_MAX) : 0;
}

function name(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return text.length <= NAME_MAX && !/[\u0000-\u001f\u007f-\u009f]/.test(text) ? text : '';
}
