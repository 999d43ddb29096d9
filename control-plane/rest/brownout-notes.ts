/**
 * What somebody who sets the brownout, or looks at it, should be told beside it: a rule holds the level that they have just lowered,
 * a rule looks at a callee that nobody has, a rule may go on and off by the second. All of these are allowed, and easily meant
 * otherwise.
 */
import { z } from 'zod';
import type { BrownoutSetting, Rule } from '../../core/brownout/setting.js';
import type { AgentRow, BrownoutView, Mirror } from '../ports.js';
import { Known, strangers } from './strangers.js';

export const brownoutNotes = z
  .array(z.object({ kind: z.enum(['rule', 'unknown', 'flapping']), message: z.string() }))
  .describe('a rule holds the level; nobody knows a name in a rule; a rule may turn by the second');

export type BrownoutNote = z.infer<typeof brownoutNotes>[number];

/** A rule that may come and go within so long is no hysteresis. */
const CALM_MS = 5000;

/** Of rules, whoever put them. */
export function ruleNotes(
  rules: BrownoutSetting['rules'],
  mirror: Mirror,
  agents: readonly AgentRow[],
): BrownoutNote[] {
  const known = new Known(mirror, agents);
  return rules.flatMap((rule, i) => [...unknownIn(rule, i, known), ...flapping(rule, i)]);
}

/** Of rules that are on and say more than the operator does. */
export function holdingNotes({ level, source, setting, rules }: BrownoutView): BrownoutNote[] {
  if (source !== 'rule') return [];
  const operator = setting?.setting.operator.level ?? 0;
  const holding = rules.flatMap((one, i) => (one.on ? [{ ...one, i }] : []));
  return holding
    .filter(({ rule }) => rule.level === level)
    .map(({ rule, evidence, i }) => ({
      kind: 'rule',
      message:
        `rules[${i}] holds level ${level} (${evidence}), whatever lower level an operator sets` +
        `${operator > 0 ? `, here ${operator}` : ''}; it goes ${seconds(rule.clearAfterMs)} after its condition. ` +
        'To be rid of it now, PUT /v1/brownout with the rules but this one, {"rules": []} for none at all',
    }));
}

function unknownIn({ when }: Rule, i: number, known: Known): BrownoutNote[] {
  return (['circuit', 'callee'] as const).flatMap((field) => {
    const to = when[field];
    return to === undefined
      ? []
      : strangers({ to }, known).map((message) => ({
          kind: 'unknown' as const,
          message: `rules[${i}].when.${field}: ${message}`,
        }));
  });
}

function flapping({ forMs, clearAfterMs }: Rule, i: number): BrownoutNote[] {
  if (forMs + clearAfterMs >= CALM_MS) return [];
  const message = `rules[${i}], with for ${seconds(forMs)} and clearAfter ${seconds(clearAfterMs)}, may turn its features off and on again every few seconds; a longer clearAfter bounds that`;
  return [{ kind: 'flapping', message }];
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
