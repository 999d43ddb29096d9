/**
 * Reads a bound of a scenario:
 * `expect wasted <= 1/40 of local`, `expect probes-per-epoch <= 3`, `expect inventory closed at 60s`,
 * `expect inventory@b never open`, `expect inventory ejects 2 at 30s`.
 */
import { parseDuration, parseRate } from '../../../core/policy/units.js';
import { metricNames } from './outcome.js';
import type { Expectation } from './scenario.js';
import type { Words } from './words.js';

const states = ['closed', 'open', 'half-open', 'ramping'] as const;

export function readExpectation(words: Words, callees: readonly string[]): Expectation {
  const { line, text } = words;
  const subject = words.next('what is expected');
  if (metricNames.includes(subject)) {
    const sign = words.oneOf('the sign', ['<=', '>=', '='] as const);
    const value = bound(words);
    const ofLocal = words.takes('of local');
    return { line, text, kind: 'metric', metric: subject, sign, value, ofLocal };
  }
  if (!callees.includes(subject.split('@')[0] as string))
    words.fail(`"${subject}" must be a callee, or one of: ${metricNames.join(', ')}`);
  if (words.takes('never')) {
    const state = words.oneOf('the state', states);
    return { line, text, kind: 'never', circuit: subject, state };
  }
  if (words.takes('ejects')) {
    const count = words.number('how many');
    return { line, text, kind: 'ejected', callee: subject, count, atMs: at(words) };
  }
  const state = words.oneOf('the state', states);
  return { line, text, kind: 'state', circuit: subject, state, atMs: at(words) };
}

function at(words: Words): number {
  if (!words.takes('at')) words.fail(`"at" must follow; got "${words.peek()}"`);
  return words.duration('when');
}

/** A number, a fraction (`1/40`), a rate or a duration. */
function bound(words: Words): number {
  const word = words.next('the bound');
  const [, above, below] = /^(\d+)\/(\d+)$/.exec(word) ?? [];
  if (above !== undefined) return Number(above) / Number(below);
  const value = /^\d+(\.\d+)?$/.test(word) ? Number(word) : (parseDuration(word) ?? parseRate(word));
  if (value === undefined) words.fail(`"${word}" must be a number, a fraction such as 1/40, or a duration`);
  return value;
}
