/**
 * What a verb is given: the process (as `Io`), where its answer goes, and how it says its exit code. One for each run.
 */
import { Command } from 'commander';
import { type ExitCode, exitCodes } from './exit-codes.js';
import type { Io } from './io.js';
import { Output } from './output.js';
import { connectRemote, type RemoteOptions, remoteSettings } from './remote.js';
import type { RestClient } from './rest-client.js';
import { addSettings, type Setting } from './settings.js';

export class Context {
  readonly io: Io;
  exitCode: ExitCode = exitCodes.ok;
  /** Whether errors are told as JSON as well. */
  json = false;

  constructor(io: Io) {
    this.io = io;
  }

  output(): Output {
    return new Output(this.io, this.json);
  }
}

/** A verb that asks the control plane: the shared options, its own, and `run` with a client. */
export function remoteVerb<Options extends object = object>(
  context: Context,
  definition: {
    readonly name: string;
    readonly about: string;
    readonly details?: string;
    readonly arguments?: readonly (readonly [name: string, about: string])[];
    readonly settings?: readonly Setting[];
    readonly run: (
      ask: { client: RestClient; output: Output; options: Options & Partial<RemoteOptions> },
      ...args: readonly (string | undefined)[]
    ) => Promise<ExitCode | undefined>;
  },
): Command {
  const command = new Command(definition.name).description(definition.about);
  for (const [name, about] of definition.arguments ?? []) command.argument(name, about);
  if (definition.details !== undefined) command.addHelpText('after', `\n${definition.details}`);
  addSettings(command, [...(definition.settings ?? []), ...remoteSettings]);
  return command.action(async () => {
    const options = command.opts<Options & Partial<RemoteOptions>>();
    const client = connectRemote(options, context.io);
    const code = await definition.run({ client, output: context.output(), options }, ...command.args);
    context.exitCode = code ?? exitCodes.ok;
  });
}

/** Says on standard error that an answer is from memory. */
export function noteStale(output: Output, stale: boolean): void {
  if (stale) output.note('note: the store is away; this is what the control plane knew last');
}
