/**
 * The whole command line as one value: every verb, what they share, and one way out. `run` never throws and never exits: it
 * answers the exit code, so that tests run it in their own process.
 */
import { Command, CommanderError } from 'commander';
import { Context } from './context.js';
import { renderError } from './errors.js';
import { type ExitCode, exitCodeOf } from './exit-codes.js';
import { type Io, systemIo } from './io.js';
import { painter } from './output.js';
import { misspelt, readVariables } from './settings.js';
import { applyVerb } from './verbs/apply.js';
import { brownoutVerb } from './verbs/brownout.js';
import { circuitVerb } from './verbs/circuit.js';
import { deleteVerb } from './verbs/delete.js';
import { demoVerb } from './verbs/demo.js';
import { diffVerb } from './verbs/diff.js';
import { explainVerb } from './verbs/explain.js';
import { exportVerb } from './verbs/export.js';
import { getVerb } from './verbs/get.js';
import { historyVerb } from './verbs/history.js';
import { rollbackVerb } from './verbs/rollback.js';
import { statusVerb } from './verbs/status.js';
import { topVerb } from './verbs/top.js';
import { upVerb } from './verbs/up.js';
import { validateVerb } from './verbs/validate.js';
import { packageVersion } from './version.js';

const epilogue = `
Every option is a variable as well: --log-level is SWITCHGEAR_LOG_LEVEL. A flag wins over its variable.

Exit codes: 0 done, or yes · 1 no (differences, a refusal), or something broke · 2 wrong flag, argument or variable
            3 control plane or store not reachable · 4 refused as invalid · 5 changed by somebody else in between
            6 no such thing · 7 token missing or not allowed`;

export function buildProgram(context: Context): Command {
  const program = new Command('switchgear')
    .description('A resilience control plane for services that call each other over gRPC.')
    .version(packageVersion(), '-V, --version')
    .addHelpText('after', epilogue);
  for (const verb of [
    upVerb,
    demoVerb,
    applyVerb,
    validateVerb,
    diffVerb,
    deleteVerb,
    exportVerb,
    getVerb,
    explainVerb,
    statusVerb,
    historyVerb,
    rollbackVerb,
    brownoutVerb,
    circuitVerb,
    topVerb,
  ])
    program.addCommand(verb(context));
  const { io } = context;
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({
        writeOut: (text) => void io.stdout.write(text),
        writeErr: (text) => {
          if (!context.json) io.stderr.write(text);
        },
        getOutHelpWidth: () => io.stdout.columns ?? 100,
        getErrHelpWidth: () => io.stderr.columns ?? 100,
        outputError: (text, write) =>
          write(text.replace(/^error:/, painter(io.stderr, io.env)('red', 'error:'))),
      })
      .showSuggestionAfterError();
    command.hook('preAction', (_program, verb) => {
      readVariables(verb, io.env);
      context.json = verb.opts<{ json?: boolean }>().json === true;
    });
  }
  return program;
}

/** Help for a verb that isn't there is that verb, so that it is refused like any other, with the one that was meant. */
function helpArgs({ commands }: Command, argv: readonly string[]): string[] {
  const [first, verb = ''] = argv;
  const known = verb === '' || verb === 'help' || verb.startsWith('-');
  if (first !== 'help' || known || commands.some((command) => command.name() === verb)) return [...argv];
  return argv.slice(1);
}

/** Runs one command line (without `node` and the script) and answers its exit code. */
export async function run(argv: readonly string[], io: Io = systemIo()): Promise<ExitCode> {
  const context = new Context(io);
  // Before the options are parsed, since parsing them may be what fails.
  context.json = argv.includes('--json');
  const program = buildProgram(context);
  for (const { variable, meant } of misspelt(program.commands, io.env))
    io.stderr.write(`warning: variable ${variable} is not known; did you mean ${meant}?\n`);
  try {
    await program.parseAsync(helpArgs(program, argv), { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError && error.exitCode === 0)) renderError(error, io, context.json);
    return exitCodeOf(error);
  }
}
