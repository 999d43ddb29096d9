// Other versions of Node, from the npm registry (the packages behind `node`), in a temporary directory: for the tests and for
// benchmarks that have to be run on more than the version that is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Path of that Node's binary, installed if it isn't there. */
export function runtime(version) {
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
