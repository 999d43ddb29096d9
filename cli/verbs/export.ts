/** `switchgear export`: all policies as one YAML stream that `apply -f` takes back; with `--json` a JSON list, which it takes too. */
import type { Command } from 'commander';
import { type Context, remoteVerb } from '../context.js';

export function exportVerb(context: Context): Command {
  return remoteVerb(context, {
    name: 'export',
    about: 'all policies as one YAML stream that apply takes back',
    details: 'Example: switchgear export > policies.yaml',
    run: async ({ client, output, options }) => {
      if (options.json) output.answer((await client.ask<unknown>('/v1/export')).body, () => '');
      else {
        const text = await client.text('/v1/export', 'application/yaml');
        output.answer(undefined, () => text);
      }
      return undefined;
    },
  });
}
