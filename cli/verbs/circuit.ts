/**
 * `switchgear circuit open|close|auto <id>`: forces a circuit open or closed for a time, or leaves it to itself again; `freeze` and
 * `thaw` are the kill switch, under which no circuit of the mesh opens. What is forced says why to everybody who looks.
 */
import type { Command } from 'commander';
import type { z } from 'zod';
import type { freezeWriteAnswer, overrideAnswer } from '../../control-plane/rest/overrides.js';
import { type Context, remoteVerb } from '../context.js';
import { duration, type Output, printable } from '../output.js';
import type { RestClient } from '../rest-client.js';
import { usage } from '../settings.js';

type Overridden = z.infer<typeof overrideAnswer>;
type Frozen = z.infer<typeof freezeWriteAnswer>;

interface Options {
  reason?: string;
  ttl?: string;
}

/** What is done, by its word: the state to force, or nothing to force any more. */
const actions: Readonly<Record<string, 'open' | 'closed' | 'auto' | 'freeze' | 'thaw'>> = {
  open: 'open',
  close: 'closed',
  auto: 'auto',
  freeze: 'freeze',
  thaw: 'thaw',
};

const words = Object.keys(actions).join(', ');

export function circuitVerb(context: Context): Command {
  return remoteVerb<Options>(context, {
    name: 'circuit',
    about: 'force a circuit open or closed, or let none open',
    arguments: [
      ['<action>', words],
      ['[id]', 'a circuit, as "payments|payments-guard"; none for freeze and thaw'],
    ],
    settings: [
      { flags: '--reason <text>', about: 'why, for everybody who looks; needed to open, close and freeze' },
      {
        flags: '--ttl <duration>',
        about: 'for how long, for example 10m; 1h for a circuit, until thaw for freeze',
      },
    ],
    details:
      'open: no call goes through. close: the mesh keeps no call away, agents go by their own circuits.\n' +
      'auto: the circuit is left to itself. freeze: no circuit of the mesh opens, until thaw.',
    run: async ({ client, output, options }, word = '', id) => {
      const action = Object.hasOwn(actions, word) ? actions[word] : undefined;
      if (!action) throw usage(`circuit does not know '${word}'. Use one of ${words}.`);
      if (action === 'freeze' || action === 'thaw') {
        if (id !== undefined) throw usage(`${word} is about all circuits of the mesh: leave '${id}' away`);
        const body = await writeFreeze(
          client,
          action === 'freeze' ? requireReason(word, options) : undefined,
        );
        output.answer(body, () => renderFrozen(body, output));
        return undefined;
      }
      if (id === undefined)
        throw usage(`say which circuit; "switchgear get circuits" lists them: switchgear circuit ${word} ID`);
      if (action === 'auto') refuseOptions(options);
      const path = `/v1/circuits/${encodeURIComponent(id)}/override`;
      const { body } = await client.ask<Overridden>(
        path,
        action === 'auto'
          ? { method: 'DELETE' }
          : { method: 'PUT', body: { state: action, ...requireReason(word, options) } },
      );
      output.answer(body, () => renderOverridden(body, output));
      return undefined;
    },
  });
}

function requireReason(word: string, { reason, ttl }: Options): Options {
  if (reason === undefined)
    throw usage(`say why: switchgear circuit ${word} … --reason "…"; whoever is called next wants to know`);
  return { reason, ...(ttl !== undefined && { ttl }) };
}

function refuseOptions(options: Options): void {
  for (const [flag, value] of Object.entries({ '--reason': options.reason, '--ttl': options.ttl }))
    if (value !== undefined) throw usage(`${flag} goes with open and close; auto takes an override away`);
}

async function writeFreeze(client: RestClient, body: Options | undefined): Promise<Frozen> {
  const ask = body ? ({ method: 'PUT', body } as const) : ({ method: 'DELETE' } as const);
  return (await client.ask<Frozen>('/v1/freeze', ask)).body;
}

function renderOverridden({ circuit, override, changed }: Overridden, output: Output): string {
  const id = printable(circuit);
  if (!override) return changed ? `${id}: left to itself again` : `${id}: no override held`;
  return `${id}: ${overrideLine(override, output)}`;
}

/** `forced open by ada for 10 min more: it loses orders` */
export function overrideLine(
  { state, author, ttlMs, reason }: NonNullable<Overridden['override']>,
  { paint }: Pick<Output, 'paint'>,
): string {
  const what = paint(state === 'open' ? 'red' : 'yellow', `forced ${state}`);
  return `${what} by ${printable(author)}${untilOf(ttlMs)}: ${printable(reason)}`;
}

/** `frozen by ada, until somebody says otherwise: agents report nonsense` */
export function frozenLine(
  { author, ttlMs, reason }: Pick<Frozen, 'author' | 'ttlMs' | 'reason'>,
  { paint }: Pick<Output, 'paint'>,
): string {
  return `${paint('yellow', 'no circuit of the mesh opens')}: frozen by ${printable(author)}${untilOf(ttlMs)}: ${printable(reason)}`;
}

function untilOf(ttlMs: number | null): string {
  return ttlMs === null ? ', until somebody says otherwise' : ` for ${duration(ttlMs)} more`;
}

function renderFrozen(freeze: Frozen, output: Output): string {
  if (freeze.frozen) return frozenLine(freeze, output);
  return freeze.changed
    ? 'circuits of the mesh may open again'
    : 'circuits of the mesh may open: nothing was frozen';
}
