// Runs a benchmark on this Node and on Node 24, one after the other, each with the peers that run there:
// `node tools/bench-nodes.mjs bench/hot.ts --check`. Exit code 1 if either falls short,
// and 2 at once where the flags are refused.
import { spawnSync } from 'node:child_process';
import { runtime } from './runtimes.mjs';

const NEWEST = '24';
const [script, ...flags] = process.argv.slice(2);
const binaries = [process.execPath];
if (process.versions.node.split('.')[0] !== NEWEST) binaries.push(runtime(NEWEST));

let failed = false;
for (const binary of binaries) {
  const { status } = spawnSync(binary, ['--expose-gc', '--import', 'tsx', script, ...flags], {
    stdio: 'inherit',
  });
  if (status === 2) process.exit(2);
  if (status !== 0) failed = true;
}
process.exitCode = failed ? 1 : 0;
