// Runs the tests on the other versions of Node that are supported: `npm run test:nodes` (all), or with files to run.
// The runtimes come from the npm registry (the packages behind `node`), into a temporary directory.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { runtime } from './runtimes.mjs';

const versions = ['22', '24'];
const specs = process.argv.slice(2);
const mocha = fileURLToPath(new URL('../node_modules/mocha/bin/mocha.js', import.meta.url));

let failed = false;
for (const version of versions) {
  const binary = runtime(version);
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  console.log(`\nNode ${stdout.trim()}`);
  const files = specs.length > 0 ? specs : ['test/**/*.test.ts'];
  const { status } = spawnSync(binary, [mocha, '--parallel', '--jobs', '2', ...files], { stdio: 'inherit' });
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
