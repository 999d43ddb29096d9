/**
 * `switchgear explain <callee>`: what holds for a call, field by field, with the policy and revision that says so; which policies
 * matched, what contradicts what, and what agents don't do with it.
 */
import type { Command } from 'commander';
import type { z } from 'zod';
import type { explainAnswer } from '../../control-plane/rest/explain.js';
import { methodPattern, serviceNamePattern } from '../../core/policy/names.js';
import { type Context, noteStale, remoteVerb } from '../context.js';
import { type Output, printable } from '../output.js';
import { usage } from '../settings.js';

type Explanation = z.infer<typeof explainAnswer>;
type Field = Explanation['fields'][number];
type Refused = Explanation['refused'][number];
type Group = Explanation['agents'][number];

export function explainVerb(context: Context): Command {
  return remoteVerb<{ from?: string; method?: string }>(context, {
    name: 'explain',
    about: 'what holds for a call, and which policy says so',
    arguments: [['<callee>', 'service or resource that is called']],
    settings: [
      {
        flags: '--from <service>',
        about: 'caller; policies for certain callers apply only with it',
        parse: (text) => matching(text, serviceNamePattern, `write ${nameForm}`),
      },
      {
        flags: '--method <method>',
        about: 'package.Service/Method; policies for methods apply only with it',
        parse: (text) => matching(text, methodPattern, 'write package.Service/Method'),
      },
    ],
    details: 'Example: switchgear explain inventory --from checkout --method shop.v1.Inventory/Reserve',
    run: async ({ client, output, options: { from, method } }, to = '') => {
      if (!serviceNamePattern.test(to)) throw usage(`a callee is ${nameForm}; got '${printable(to)}'`);
      const { body, stale } = await client.ask<Explanation>('/v1/explain', { query: { to, from, method } });
      noteStale(output, stale);
      output.answer(body, () => render(body, output));
      return undefined;
    },
  });
}

const nameForm = 'the name of a service: 1 to 128 of A-Z a-z 0-9 . _ : - that begin with a letter or digit';

function matching(text: string, pattern: RegExp, right: string): string {
  if (!pattern.test(text)) throw new Error(right);
  return text;
}

function render(explanation: Explanation, output: Output): string {
  const { to, from, method, fields, conflicts, notes, refused } = explanation;
  // An older control plane tells of none.
  const groups: Group[] | undefined = explanation.agents;
  const { paint } = output;
  const parts = [
    paint('bold', printable(`${from ?? 'anybody'} → ${to}${method === undefined ? '' : ` ${method}`}`)),
    fields.length === 0 ? 'nothing is enforced' : output.table<Field>(fieldColumns, fields),
  ];
  const matches = explanation.matches.map((match) => matchText(match)).join(' < ');
  if (matches !== '') parts.push(paint('dim', printable(`from general to specific: ${matches}`)));
  const remarks = [
    ...conflicts.map(
      ({ path, message, policies }) =>
        `${paint('red', 'conflict')} ${printable(`${path}: ${message} (${policies.join(', ')})`)}`,
    ),
    ...notes.map(({ message }) => `${paint('yellow', 'note')} ${printable(message)}`),
  ];
  if (remarks.length > 0) parts.push(remarks.join('\n'));
  if (groups && (groups.length > 1 || groups.some(({ refuses }) => refuses.length > 0)))
    parts.push(output.table<Group>(groupColumns, groups));
  if (refused.length > 0) parts.push(output.table<Refused>(refusedColumns, refused));
  return parts.join('\n\n');
}

const fieldColumns = [
  { title: 'field', value: ({ path }: Field) => path },
  {
    title: 'value',
    value: ({ value }: Field) => (typeof value === 'string' ? value : JSON.stringify(value)),
    colour: (row: Field) => (row.default ? 'dim' : undefined) as 'dim' | undefined,
  },
  {
    title: 'by',
    value: (row: Field) => `${row.policy}@${row.revision}${row.default ? ', default' : ''}`,
    colour: (row: Field) => (row.default ? 'dim' : undefined) as 'dim' | undefined,
  },
];

const groupColumns = [
  {
    title: 'agents',
    value: ({ agents, examples }: Group) => {
      const [first = ''] = examples;
      return agents === 1 ? first : `${first} and ${agents - 1} more`;
    },
  },
  { title: 'version', value: ({ version }: Group) => version || '-' },
  { title: 'protocol', value: ({ protocol }: Group) => protocol },
  { title: 'enforces', value: ({ enforces }: Group) => enforces.map(nameOf).join(', ') || '-' },
  { title: 'keeps', value: ({ refuses }: Group) => refuses.map(keptText).join(', ') || '-' },
];

/** `inventory@6 for 7`: of a policy that is refused. */
function keptText({ policy, revision, keeps }: Group['refuses'][number]): string {
  if (keeps === undefined) return `${policy}@? for ${revision}`;
  return keeps === null ? `nothing for ${policy}@${revision}` : `${policy}@${keeps} for ${revision}`;
}

function nameOf({ policy, revision }: { policy: string; revision: number }): string {
  return `${policy}@${revision}`;
}

const refusedColumns = [
  { title: 'refused', value: nameOf as (row: Refused) => string },
  { title: 'by', value: ({ agent }: Refused) => agent },
  { title: 'why', value: ({ reason }: Refused) => reason },
];

function matchText({ policy, revision, mode, removes }: Explanation['matches'][number]): string {
  const remarks = [
    ...(mode === 'enforce' ? [] : [mode]),
    ...(removes.length > 0 ? [`removes ${removes.join(', ')}`] : []),
  ];
  return `${policy}@${revision}${remarks.length > 0 ? ` (${remarks.join('; ')})` : ''}`;
}
