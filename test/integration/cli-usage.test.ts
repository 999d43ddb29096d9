/**
 * What happens before anything is asked: flags, variables, arguments, help. Wrong ones exit with 2 and a message that names the
 * flag or variable and what is right.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Context } from '../../cli/context.js';
import { exitCodeOf, exitCodes } from '../../cli/exit-codes.js';
import { systemIo } from '../../cli/io.js';
import { buildProgram } from '../../cli/program.js';
import { variableOf } from '../../cli/settings.js';
import { controlCodes, MeshError } from '../../core/errors.js';
import { runCli, spawnCli } from '../support/cli.js';

/** Nothing listens there: whoever gets as far as asking exits with 3. */
const nowhere = { SWITCHGEAR_SERVER: 'http://127.0.0.1:9' };

describe('the command line', () => {
  it('says what it is, with its exit codes', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).to.equal(0);
    for (const text of ['switchgear', 'Exit codes', 'SWITCHGEAR_LOG_LEVEL', 'rollback'])
      expect(stdout).to.include(text);
  });

  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runCli(['--version'])).to.deep.equal({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('exits with 2 without a verb, and with 0 where help was asked for', async () => {
    expect((await runCli([])).code).to.equal(2);
    expect((await runCli(['help'])).code).to.equal(0);
    expect((await runCli(['--help'])).code).to.equal(0);
  });

  it('answers a verb that does not exist with the one that was meant', async () => {
    const { code, stderr } = await runCli(['stauts']);
    expect(code).to.equal(2);
    expect(stderr).to.include("unknown command 'stauts'").and.to.include('status');
  });

  it('answers an option that does not exist with the one that was meant', async () => {
    const { code, stderr } = await runCli(['up', '--gprc', '127.0.0.1:0']);
    expect(code).to.equal(2);
    expect(stderr).to.include("unknown option '--gprc'").and.to.include('--grpc');
  });

  for (const [argv, words] of [
    [
      ['up', '--log-level', 'loud'],
      ['--log-level', 'trace, debug, info'],
    ],
    [['up', '--tls-cert', 'a.pem'], ['--tls-key is missing']],
    [
      ['up', '--rest', '127.0.0.1'],
      ['--rest', 'host:port', '127.0.0.1:7480'],
    ],
    [
      ['up', '--rest', '0.0.0.0:0', '--store', 'memory'],
      ['--rest', '--tls-cert', '--token-file', '--insecure'],
    ],
    [
      ['up', '--store', 'mongodb://x'],
      ['--store', 'embedded:'],
    ],
    [
      ['get', 'policies', '--server', 'localhost'],
      ['--server', 'http://127.0.0.1:7480'],
    ],
    [['get', 'policies', '--server', 'http://me:secret@a'], ['--token']],
    [
      ['get', 'policies', '--timeout', '0'],
      ['--timeout', 'whole number from 1'],
    ],
    [['get', 'policies', '--tls-ca', '/nowhere.pem'], ['--tls-ca /nowhere.pem']],
    [['get', 'nonsense'], ['policies, services, agents, circuits']],
    [['get'], ["missing required argument 'what'"]],
    [['apply'], ['-f', 'SWITCHGEAR_FILE']],
    [['apply', 'policies/x.yaml'], ['did you mean -f policies/x.yaml?']],
    [['validate', 'policies/x.yaml'], ['did you mean -f policies/x.yaml?']],
    [['diff', 'policies/x.yaml'], ['did you mean -f policies/x.yaml?']],
    [
      ['help', 'stauts'],
      ["unknown command 'stauts'", 'status'],
    ],
    [
      ['apply', '-f', '/nowhere.yaml'],
      ['-f /nowhere.yaml', 'no such file'],
    ],
    [
      ['rollback', 'a'],
      ['--to', 'history a'],
    ],
    [
      ['rollback', 'a', '--to', 'yesterday'],
      ['--to', 'whole number'],
    ],
    [['history', 'a', 'first'], ["'first'"]],
  ] as const)
    it(`refuses ${argv.join(' ')} and says what is right`, async () => {
      // `up` loads the control plane when it runs, and that has to be the process's own copy of it.
      const { code, stdout, stderr } =
        argv[0] === 'up' ? await spawnCli(argv).ended : await runCli(argv, { env: nowhere });
      expect(code, stderr).to.equal(2);
      expect(stdout).to.equal('');
      for (const word of words) expect(stderr).to.include(word);
    });

  it('does not repeat a token in a message', async () => {
    const { code, stderr } = await runCli(['get', 'policies', '--token', 'top secret']);
    expect(code).to.equal(2);
    expect(stderr).to.include('--token').and.not.to.include('secret');
  });

  it('tells a usage error as JSON where JSON was asked for', async () => {
    for (const argv of [
      ['get', 'policies', '--json', '--timeout', 'x'],
      ['apply', '--json'],
    ]) {
      const { code, stdout, stderr } = await runCli(argv);
      expect(code).to.equal(2);
      expect(stdout).to.equal('');
      expect(JSON.parse(stderr).error).to.include({ code: 'usage', exitCode: 2 });
    }
  });
});

describe('variables', () => {
  it('stand in for flags', async () => {
    const { code, stderr } = await runCli(['get', 'policies'], { env: nowhere });
    expect(code).to.equal(3);
    expect(stderr).to.include('no control plane at http://127.0.0.1:9');
  });

  it('lose against flags', async () => {
    const { stderr } = await runCli(['get', 'policies', '--server', 'http://127.0.0.1:10'], { env: nowhere });
    expect(stderr).to.include('http://127.0.0.1:10:');
  });

  it('count as not set when empty', async () => {
    const { code } = await runCli(['get', 'policies'], { env: { ...nowhere, SWITCHGEAR_TIMEOUT: '' } });
    expect(code).to.equal(3);
  });

  for (const [env, words] of [
    [{ SWITCHGEAR_TIMEOUT: 'soon' }, ["variable SWITCHGEAR_TIMEOUT 'soon'", 'whole number']],
    [{ SWITCHGEAR_JSON: 'maybe' }, ["variable SWITCHGEAR_JSON 'maybe'", 'true or false']],
    [{ SWITCHGEAR_SERVER: 'ftp://a' }, ['variable SWITCHGEAR_SERVER', 'http://127.0.0.1:7480']],
  ] as const)
    it(`are refused when wrong: ${Object.keys(env)[0]}`, async () => {
      const { code, stderr } = await runCli(['get', 'policies'], { env: { ...nowhere, ...env } });
      expect(code).to.equal(2);
      for (const word of words) expect(stderr).to.include(word);
    });

  for (const variable of ['SWITCHGEAR_REST', 'SWITCHGEAR_GRPC'])
    it(`are named where they hold no address: ${variable}`, async () => {
      const { code, stderr } = await spawnCli(['up', '--store', 'memory'], { env: { [variable]: 'bad' } })
        .ended;
      expect(code).to.equal(2);
      expect(stderr).to.include(`variable ${variable} 'bad'`).and.to.include('host:port');
    });

  it('switch on and off by their value, not by being there', async () => {
    const error = async (value: string) =>
      (await runCli(['get', 'policies'], { env: { ...nowhere, SWITCHGEAR_JSON: value } })).stderr;
    expect(await error('false')).to.match(/^error: /);
    expect(await error('0')).to.match(/^error: /);
    expect(JSON.parse(await error('true')).error.code).to.equal('unavailable');
  });

  it('do not open the doors by being false', async () => {
    const { code, stderr } = await spawnCli(['up', '--rest', '0.0.0.0:0', '--store', 'memory'], {
      env: { SWITCHGEAR_INSECURE: 'false', SWITCHGEAR_LOG_LEVEL: 'silent' },
    }).ended;
    expect(code).to.equal(2);
    expect(stderr).to.include('--token-file');
  });

  it('that look misspelt get a warning, those of an orchestrator do not', async () => {
    const { stderr } = await runCli(['--version'], {
      env: { SWITCHGEAR_GPRC: 'x', SWITCHGEAR_SERVICE_HOST: '10.0.0.1', SWITCHGEAR_PORT_7480_TCP: 'y' },
    });
    expect(stderr).to.equal(
      'warning: variable SWITCHGEAR_GPRC is not known; did you mean SWITCHGEAR_GRPC?\n',
    );
  });
});

describe('colours', () => {
  const painted = async (env: Record<string, string>, tty: boolean) =>
    (await runCli(['get', 'policies'], { env: { ...nowhere, ...env }, tty })).stderr.includes('\u001b[');

  it('are for terminals, and obey NO_COLOR', async () => {
    expect(await painted({}, true)).to.equal(true);
    expect(await painted({}, false)).to.equal(false);
    expect(await painted({ NO_COLOR: '1' }, true)).to.equal(false);
    expect(await painted({ FORCE_COLOR: '1' }, false)).to.equal(true);
    expect(await painted({ FORCE_COLOR: '1', NO_COLOR: '1' }, true)).to.equal(false);
  });

  it('mark the place of a fault', async () => {
    const { stderr } = await runCli(['validate', '-f', '-'], { stdin: 'policy: a', tty: true });
    expect(stderr).to.include('\u001b[1mstandard input: match\u001b[22m: ');
  });
});

describe('docs/cli.md', () => {
  const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const configuration = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const { commands } = buildProgram(new Context(systemIo()));

  it('has a row for every exit code', () => {
    const documented = [...text.matchAll(/^\| (\d) \| /gm)].map(([, code]) => Number(code));
    expect(documented).to.deep.equal(Object.values(exitCodes));
  });

  it('says which exit code each code of error has', () => {
    for (const code of controlCodes) {
      const row = new RegExp(`^\\| ${exitCodeOf(new MeshError(code, 'x'))} \\|.*\`${code}\``, 'm');
      expect(text, `the row of ${code}`).to.match(row);
    }
  });

  it('has every verb, each in a file of its own', () => {
    const documented = [...text.matchAll(/^\| `([a-z]+)[^`]*` \|/gm)].map(([, verb]) => verb);
    expect(documented.sort()).to.deep.equal(commands.map((command) => command.name()).sort());
    const files = readdirSync(new URL('../../cli/verbs/', import.meta.url)).map((file) =>
      file.replace('.ts', ''),
    );
    expect(files.sort()).to.deep.equal(documented);
  });

  it('has every option somewhere, and configuration.md those of up with their variables and defaults', () => {
    for (const command of commands)
      for (const option of command.options)
        expect(`${text}${configuration}`, `${command.name()} ${option.long}`).to.include(
          option.long === '--file' ? '-f' : option.long,
        );
    for (const option of commands.find((command) => command.name() === 'up')?.options ?? []) {
      const initial = option.defaultValue === undefined ? '' : ` \`${option.defaultValue}\``;
      const row = `^\\| \`${option.long}[^|]*\\| \`${variableOf(option)}\` \\|${initial}`;
      expect(configuration).to.match(new RegExp(row, 'm'));
    }
  });
});
