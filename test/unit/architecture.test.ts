/**
 * The house rules, held to. The first half looks at this repository; the second plants one violation of each rule in a small
 * imaginary one, so that a rule that has gone blind fails here.
 */
import { expect } from 'chai';
import { dependencies, licences, minimumVersions, versions } from '../support/house/packages.js';
import { readEntries, readFiles, readInstalled, readManifest } from '../support/house/read.js';
import * as rules from '../support/house/rules.js';
import { scan } from '../support/house/scan.js';

/** Fails with every violation on a line of its own. */
function none(faults: readonly string[]): void {
  if (faults.length > 0) expect.fail(`${faults.length} violations:\n${faults.join('\n')}`);
}

describe('the house', () => {
  const files = readFiles();

  it('is read whole', () => {
    expect(files.size).to.be.greaterThan(50);
    for (const entry of readEntries())
      expect([...files.keys()], 'an entry of package.json').to.include(entry);
  });
  it('has arrows in the allowed directions only', () => none(rules.arrows(files)));
  it('has no cycle of imports', () => none(rules.cycles(files)));
  it('has no dead file', () => none(rules.deadFiles(files, readEntries())));
  it('keeps fastify, ioredis and pino out of reach of sdk/', () => none(rules.heavyInSdk(files)));
  it('loads proto-loader lazily', () => none(rules.lazyProtoLoader(files)));
  it('takes time and chance as arguments', () => none(rules.clockAndRandom(files)));
  it('names files in kebab-case', () => none(rules.fileNames(files)));
  it('opens every file with a comment', () => none(rules.openingComment(files)));
  it('opens every Lua script with KEYS, ARGV and output', () => none(rules.luaHeaders(files)));
  it('has no default exports', () => none(rules.defaultExports(files)));
  it('has no file that outgrew itself', () => none(rules.fileLength(files)));
  it('leaves nothing to do in comments', () => none(rules.looseEnds(files)));
  it('declares what it imports and uses what it declares', () => none(dependencies(files, readManifest())));
  it('installs only licences that may be shipped', () => none(licences(readInstalled())));
  it('installs nothing with a known remote hole', () => none(versions(readInstalled())));
});

const opening = '/** What this file is for, in a few words. */\n';

/** A small imaginary repository. */
function house(contents: Record<string, string>): rules.Files {
  return new Map(Object.entries(contents).map(([path, source]) => [path, opening + source]));
}

describe('the rules see', () => {
  it('an import against the arrows', () => {
    const files = house({
      'core/circuit.ts': "import { load } from '../control-plane/store.js';\n",
      'control-plane/store.ts': 'export const load = 1;\n',
    });
    expect(rules.arrows(files)).to.deep.equal([
      'core/circuit.ts:2 imports control-plane/store.ts: no arrow leads from core/ to control-plane; allowed: core',
    ]);
  });

  it('an import against the arrows in each form it can be written', () => {
    const target = { 'cli/main.ts': 'export const main = 1;\nexport type Main = 1;\n' };
    for (const text of [
      "import '../cli/main.js';",
      'import { main } from "../cli/main.js";',
      "import type { Main } from '../cli/main.js';",
      "import * as all from '../cli/main.js';",
      "import {\n  main,\n} from '../cli/main.js';",
      "export * from '../cli/main.js';",
      "export { main } from '../cli/main.js';",
      "const x = await import('../cli/main.js');",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a program
      "const r = /['\"]/; const t = `${'a'}'`; import { main } from '../cli/main.js';",
    ])
      expect(rules.arrows(house({ ...target, 'sdk/a.ts': text })), text).to.have.length(1);
  });

  it('no import in a comment, a string, a template or a regular expression', () => {
    const text = [
      "// import '../cli/main.js'",
      "/* import '../cli/main.js' */",
      'const a = "import \'../cli/main.js\'";',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a program
      "const b = `import '../cli/main.js' ${`import '../cli/main.js'`} import '../cli/main.js'`;",
      "const c = /import '..\\/cli\\/main.js'/;",
    ].join('\n');
    expect(scan(text).references).to.deep.equal([]);
  });

  it('a benchmark that reaches past the public entries', () => {
    const files = house({
      'bench/live.ts':
        "import { start } from '../control-plane/index.js';\nimport { x } from '../control-plane/x.js';\n",
      'control-plane/index.ts': 'export const start = 1;\n',
      'control-plane/x.ts': 'export const x = 1;\n',
    });
    expect(rules.arrows(files).join()).to.match(/^bench\/live\.ts:3 imports control-plane\/x\.ts/);
  });

  it('a package that core may not have', () => {
    const faults = rules.arrows(house({ 'core/a.ts': "import { readFileSync } from 'node:fs';\n" }));
    expect(faults.join()).to.include('core/ may import zod, node:crypto');
  });

  it('an import of a file that is not there', () => {
    expect(rules.arrows(house({ 'core/a.ts': "import './gone.js';\n" })).join()).to.include('no such file');
  });

  it('a cycle through three files', () => {
    const faults = rules.cycles(
      house({
        'core/a.ts': "import './b.js';\n",
        'core/b.ts': "import type { C } from './c.js';\n",
        'core/c.ts': "const a = () => import('./a.js');\n",
      }),
    );
    expect(faults.join()).to.include('core/a.ts → core/b.ts → core/c.ts → core/a.ts');
  });

  it('a file that nothing reaches, and only that', () => {
    const faults = rules.deadFiles(
      house({
        'sdk/index.ts': "import './used.js';\n",
        'sdk/used.ts': "const worker = new URL('./worker.js', import.meta.url);\n",
        'sdk/worker.ts': '',
        'sdk/dead.ts': "import './used.js';\n",
        'test/support/forgotten.ts': '',
      }),
      ['sdk/index.ts'],
    );
    expect(faults.map((fault) => fault.split(':')[0])).to.deep.equal([
      'sdk/dead.ts',
      'test/support/forgotten.ts',
    ]);
  });

  it('fastify behind two steps from sdk/', () => {
    const faults = rules.heavyInSdk(
      house({
        'sdk/index.ts': "import '../core/a.js';\n",
        'core/a.ts': "import './b.js';\n",
        'core/b.ts': "const f = await import('fastify');\n",
        'cli/main.ts': "import 'ioredis';\n",
      }),
    );
    expect(faults).to.have.length(1);
    expect(faults.join()).to.match(/^core\/b\.ts:2 imports fastify, and sdk\/ reaches/);
  });

  it('proto-loader loaded eagerly, not its types nor a lazy load', () => {
    const faults = rules.lazyProtoLoader(
      house({
        'proto/a.ts': "import { load } from '@grpc/proto-loader';\n",
        'proto/b.ts': "import type { Options } from '@grpc/proto-loader';\n",
        'proto/c.ts': "const { load } = await import('@grpc/proto-loader');\n",
      }),
    );
    expect(faults.map((fault) => fault.split(':')[0])).to.deep.equal(['proto/a.ts']);
  });

  for (const text of [
    'const t = Date.now();',
    'const t = new Date();',
    'const t = new Date;',
    'const t = performance.now();',
    'const t = process.hrtime.bigint();',
    'setTimeout(f, 1);',
    'globalThis.setTimeout(f, 1);',
    'setInterval(f, 1);',
    "import { setTimeout as pause } from 'node:timers/promises';",
    'const s = AbortSignal.timeout(5);',
    'const r = Math.random();',
    "import { randomBytes } from 'node:crypto';",
    'const id = crypto.randomUUID();',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a program
    'const t = `${Date.now()}`;',
  ])
    it(`time or chance taken from the machine: ${text}`, () => {
      expect(rules.clockAndRandom(house({ 'agent/a.ts': text })).join()).to.match(
        /^agent\/a\.ts:2 .*core\/(clock|random)\.ts/,
      );
      expect(rules.clockAndRandom(house({ 'core/clock.ts': text }))).to.deep.equal([]);
    });

  it('no clock in a given date, a socket timeout, a comment or a string', () => {
    const text = 'new Date(at); socket.setTimeout(5); // Date.now()\nconst s = "Math.random";\n';
    expect(rules.clockAndRandom(house({ 'agent/a.ts': text }))).to.deep.equal([]);
  });

  it('a name that is not kebab-case', () => {
    for (const path of ['core/policyCache.ts', 'core/Policy.ts', 'core/policy_cache.ts', 'core/Sync/a.ts'])
      expect(rules.fileNames(house({ [path]: '' })), path).to.have.length(1);
    expect(rules.fileNames(house({ 'core/policy-cache.test.ts': '' }))).to.deep.equal([]);
  });

  it('a file without its opening comment', () => {
    const faults = rules.openingComment(
      new Map([
        ['core/bare.ts', 'export const a = 1;\n'],
        ['core/terse.ts', '/** A thing. */\n'],
        ['core/good.ts', '#!/usr/bin/env node\n/** Holds what the next room needs to know. */\n'],
        ['core/good.lua', '-- KEYS 1: the log. ARGV 1: the entry. Returns its id.\n'],
      ]),
    );
    expect(faults.map((fault) => fault.split(':')[0])).to.deep.equal(['core/bare.ts', 'core/terse.ts']);
  });

  it('a Lua script that keeps its arguments to itself', () => {
    const faults = rules.luaHeaders(
      new Map([['control-plane/store/scripts/a.lua', '-- KEYS: 1\n-- Returns 1\n']]),
    );
    expect(faults).to.deep.equal(['control-plane/store/scripts/a.lua:1 opens without its ARGV']);
  });

  it('a default export in both spellings', () => {
    for (const text of ['export default 1;', 'const a = 1;\nexport { a as default };'])
      expect(rules.defaultExports(house({ 'core/a.ts': text })), text).to.have.length(1);
  });

  it('a file of more than 400 lines', () => {
    expect(rules.fileLength(house({ 'core/a.ts': '\n'.repeat(400) })).join()).to.include('split it');
    expect(rules.fileLength(house({ 'core/a.ts': '\n'.repeat(399) }))).to.deep.equal([]);
  });

  it('something left to do, in a comment only', () => {
    expect(rules.looseEnds(house({ 'core/a.ts': '// TODO later\n' }))).to.have.length(1);
    expect(rules.looseEnds(house({ 'core/a.ts': '/* FIXME */\n' }))).to.have.length(1);
    expect(rules.looseEnds(house({ 'core/a.ts': 'const a = "TODO";\n' }))).to.deep.equal([]);
    expect(rules.looseEnds(new Map([['proto/a.proto', '// FIXME\n']]))).to.have.length(1);
  });

  it('an import that nobody declared, and a dependency that nobody imports', () => {
    const files = house({
      'core/a.ts': "import 'zod';\nimport 'left-pad/x';\nimport 'chai';\nimport 'fs';\n",
      'test/a.test.ts': "import 'chai';\n",
    });
    const faults = dependencies(files, {
      name: 'switchgear',
      dependencies: { zod: '1', fastify: '1' },
      devDependencies: { chai: '1', mocha: '1', tsx: '1', '@types/node': '1' },
      scripts: { test: 'mocha' },
    });
    expect(faults).to.deep.equal([
      'core/a.ts:3 imports left-pad, which package.json does not list among its dependencies',
      'core/a.ts:4 imports chai, which package.json does not list among its dependencies',
      'core/a.ts:5 imports fs: write node:fs',
      'package.json: nothing shipped imports fastify; remove it',
      'package.json: neither a test nor a script uses tsx; remove it',
    ]);
  });

  it('a licence that may not be shipped', () => {
    const package_ = (license: unknown) => [{ name: 'a', version: '1.0.0', license }];
    for (const bad of ['GPL-3.0', undefined, 'SEE LICENSE IN x', 'MIT AND GPL-2.0', { type: 'MIT' }])
      expect(licences(package_(bad)), String(bad)).to.have.length(1);
    for (const good of ['MIT', '(GPL-2.0 OR MIT)', 'MIT AND ISC'])
      expect(licences(package_(good)), good).to.deep.equal([]);
  });

  it('a version with a known hole', () => {
    const installed = (version: string) =>
      Object.entries(minimumVersions).map(([name, minimum]) => ({
        name,
        version: name === 'fastify' ? version : minimum,
      }));
    for (const bad of ['5.8.4', '5.7.9', '4.99.0', '5.8.5-rc.1'])
      expect(versions(installed(bad)), bad).to.have.length(1);
    for (const good of ['5.8.5', '5.10.0', '6.0.0'])
      expect(versions(installed(good)), good).to.deep.equal([]);
    expect(versions([]).join()).to.include('fastify is not installed');
  });
});
