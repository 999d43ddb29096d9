// Runs the tests on the other versions of Node that are supported: `npm run test:nodes` (all), or with files to run.
// The runtimes come from the npm registry (the packages behind `node`), into a temporary directory.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const versions = ['22', '24'];
const specs = process.argv.slice(2);
const mocha = fileURLToPath(new URL('../node_modules/mocha/bin/mocha.js', import.meta.url));

/** Path of that Node, installed if it isn't there. */
function runtime(version) {
  const directory = join(tmpdir(), `switchgear-node-${version}`);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = join(directory, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  const install = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    `${name}@${version}`,
  ];
  const { status } = spawnSync('npm', install, { cwd: directory, stdio: 'inherit' });
  if (status !== 0 || !existsSync(binary))
    throw new Error(`could not install ${name}@${version} in ${directory}`);
  return binary;
}

let failed = false;
for (const version of versions) {
  const binary = runtime(version);
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  console.log(`\nNode ${stdout.trim()}`);
  const files = specs.length > 0 ? specs : ['test/**/*.test.ts'];
  const { status } = spawnSync(binary, [mocha, ...files], { stdio: 'inherit' });
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
