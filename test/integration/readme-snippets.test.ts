/**
 * What the documents show is true: TypeScript compiles against the real types, the README's six integrations run as they stand,
 * policies are valid, commands and flags exist, links lead somewhere.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { Context } from '../../cli/context.js';
import { systemIo } from '../../cli/io.js';
import { buildProgram } from '../../cli/program.js';
import { readPolicies } from '../../control-plane/documents.js';
import { startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { blocks, brokenLinks, documents, readDocument, root } from '../support/markdown.js';

const execute = promisify(execFile);
const require = createRequire(import.meta.url);

/** A project of its own that finds this package's sources and what is installed. */
function project(folder: string, files: Record<string, string>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  const config = {
    compilerOptions: {
      ...compilerOptions,
      noUnusedLocals: false,
      rootDir: '/',
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
      paths: { switchgear: [join(root, 'sdk/index.ts')] },
    },
    files: [...Object.keys(files), join(root, 'test/support/snippet-prelude.d.ts')],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
}

describe('the documents', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-docs-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('show TypeScript that compiles', async () => {
    const found = documents().flatMap((file) => blocks(file, 'ts', 'typescript'));
    expect(found.length).to.be.greaterThan(8);
    const files = Object.fromEntries(
      found.map(({ where, text }) => [`${where.replace(/[^a-zA-Z0-9]+/g, '-')}.ts`, `${text}\nexport {};\n`]),
    );
    project(folder, files);
    const tsc = require.resolve('typescript/package.json').replace('package.json', 'bin/tsc');
    const { stdout } = await execute(process.execPath, [tsc, '-p', folder]).catch((error) => error);
    expect(stdout).to.equal('');
  });

  it('notice TypeScript that does not', async () => {
    project(folder, { 'wrong.ts': "import { connect } from 'switchgear';\nconnect({ servise: 'x' });\n" });
    const tsc = require.resolve('typescript/package.json').replace('package.json', 'bin/tsc');
    const { stdout } = await execute(process.execPath, [tsc, '-p', folder]).catch((error) => error);
    expect(stdout).to.include('servise');
  });

  it('show policies that are valid, in YAML that is', () => {
    let policies = 0;
    for (const file of documents())
      for (const { where, text } of blocks(file, 'yaml')) {
        for (const document of parseAllDocuments(text))
          expect((document as { errors?: unknown[] }).errors, where).to.deep.equal([]);
        if (!/^policy:/m.test(text)) continue;
        policies += 1;
        const result = readPolicies(text);
        expect(result.ok ? [] : result.issues, where).to.deep.equal([]);
      }
    expect(policies).to.be.greaterThan(0);
  });

  it('show commands that exist, with flags that exist', () => {
    const verbs = new Map(
      buildProgram(new Context(systemIo())).commands.map((command) => [
        command.name(),
        new Set(command.options.flatMap(({ short, long }) => [short, long])),
      ]),
    );
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    let commands = 0;
    for (const file of documents())
      for (const { where, text } of blocks(file, 'sh', 'bash', 'console')) {
        for (const [, rest = ''] of text.matchAll(/(?:^|\| |&& |npx )switchgear ([^|&#\n]*)/gm)) {
          commands += 1;
          const [verb = '', ...words] = rest.trim().split(/\s+/);
          const flags = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0]);
          for (const flag of flags)
            expect([...(verbs.get(verb) ?? [])], `${where}: ${rest}`).to.include(flag);
          expect([...verbs.keys(), 'help'], `${where}: ${rest}`).to.include(verb);
        }
        for (const [, script = ''] of text.matchAll(/npm run ([\w:-]+)/g))
          expect(scripts, `${where}: npm run ${script}`).to.have.property(script);
      }
    expect(commands).to.be.greaterThan(20);
  });

  it('have no broken links', () => {
    expect(documents().flatMap(brokenLinks)).to.deep.equal([]);
  });

  it('promise the commands that .ci/run calls', () => {
    const ci = readFileSync(join(root, '.ci/run'), 'utf8');
    expect(ci).to.include('npm ci && npm test');
    const commands = blocks('README.md', 'sh').map(({ text }) => text);
    expect(commands).to.include('npm ci && npm test').and.to.include('npm ci && npm run demo');
  });

  it('name only settings that exist', () => {
    const known = new Set<string>();
    const sources = ['sdk/settings.ts', 'sdk/types.ts', 'docs/configuration.md', 'docs/sdk.md'].map((file) =>
      readFileSync(join(root, file), 'utf8'),
    );
    for (const option of buildProgram(new Context(systemIo())).commands.flatMap(({ options }) => options))
      known.add(`SWITCHGEAR_${(option.long ?? '').slice(2).replace(/-/g, '_').toUpperCase()}`);
    for (const text of sources.slice(0, 2))
      for (const [name] of text.matchAll(/SWITCHGEAR_[A-Z_]*[A-Z]/g)) known.add(name);
    for (const name of ['CONTROL_PLANE', 'SERVICE', 'ZONE', 'VERSION', 'INSTANCE', 'TOKEN'])
      known.add(`SWITCHGEAR_${name}`);
    for (const file of documents())
      for (const [name] of readDocument(file).matchAll(/SWITCHGEAR_[A-Z_]*[A-Z]/g))
        expect([...known], `${file}: ${name}`).to.include(name);
  });

  it("run the README's six integrations as they stand there", async () => {
    const plane = await startControlPlane({
      rest: '127.0.0.1:0',
      grpc: '127.0.0.1:0',
      store: 'memory',
      logger: silentLogger,
    });
    const port = await freePort();
    const kept = ['rows', undefined, 'orders', 'server', 'answer', 'inventory'];
    const files = Object.fromEntries(
      blocks('README.md', 'ts').map(({ text }, i) => [
        `${i}.ts`,
        `${text.replace(/10\.0\.0\.7:50051/, `127.0.0.1:${port}`).replace('port: 50051', `port: ${port}`)}\nexport { ${kept[i] ?? ''} };\n`,
      ]),
    );
    expect(Object.keys(files)).to.have.length(6);
    project(folder, files);
    try {
      const { stdout } = await execute(
        process.execPath,
        [
          ...[
            '--import',
            pathToFileURL(require.resolve('tsx')).href,
            join(root, 'test/support/snippet-runner.ts'),
          ],
          ...kept.map((_, i) => pathToFileURL(join(folder, `${i}.ts`)).href),
          String(port),
        ],
        {
          timeout: 15_000,
          env: {
            PATH: process.env.PATH,
            TSX_TSCONFIG_PATH: join(folder, 'tsconfig.json'),
            SWITCHGEAR_CONTROL_PLANE: plane.grpcAddress,
            SWITCHGEAR_SNAPSHOT: 'off',
          },
        },
      );
      expect(JSON.parse(stdout)).to.deep.equal({
        listed: [{ article: 'a lamp' }],
        orders: ['SELECT * FROM orders'],
        reserved: null,
        received: null,
        charged: 'charged',
      });
    } finally {
      await plane.close();
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
