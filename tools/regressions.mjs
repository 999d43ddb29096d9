// Shows that the suite would notice: each patch of `test/regressions/` brings an old bug back, in a copy of the tree, and the tests that
// its header names have to fail there, and to pass without it. `node tools/regressions.mjs [name…]`. Exit code 1 if a bug goes unnoticed.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'test/regressions');
const kept = new Set(['node_modules', 'dist', '.git']);
const wanted = process.argv.slice(2);

const patches = readdirSync(directory)
  .filter((file) => file.endsWith('.patch'))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)))
  .sort();
if (patches.length === 0) {
  console.error(`no patch of ${directory} is meant by ${wanted.join(', ')}`);
  process.exit(1);
}

/** `Bug: …` and `Caught-by: <test file>` (several are separated by blanks), above the first hunk. */
function headerOf(text, name) {
  return text.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1]?.trim();
}

function run(tree, tests) {
  const mocha = join(root, 'node_modules/mocha/bin/mocha.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [mocha, ...tests], {
    cwd: tree,
    encoding: 'utf8',
    timeout: 180_000,
  });
  const failing = Number(stdout.match(/(\d+) failing/)?.[1] ?? 0);
  return { status, failing, output: stdout + stderr };
}

let passed = 0;
let failed = 0;
for (const file of patches) {
  const patch = join(directory, file);
  const text = readFileSync(patch, 'utf8');
  const tests = headerOf(text, 'Caught-by')?.split(/\s+/) ?? [];
  const tree = mkdtempSync(join(tmpdir(), 'switchgear-regression-'));
  try {
    cpSync(root, tree, {
      recursive: true,
      filter: (from) => !kept.has(resolve(from).slice(resolve(root).length + 1)),
    });
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
    const before = run(tree, tests);
    const applied = spawnSync('git', ['apply', '--whitespace=nowarn', patch], {
      cwd: tree,
      encoding: 'utf8',
    });
    const after = applied.status === 0 ? run(tree, tests) : { status: 0, failing: 0, output: applied.stderr };
    const caught = before.status === 0 && applied.status === 0 && after.failing > 0;
    if (caught) passed++;
    else failed++;
    console.log(
      `${caught ? 'caught' : 'MISSED'}  ${file}: ${headerOf(text, 'Bug') ?? 'no Bug: line'} (${after.failing} failing)`,
    );
    if (!caught)
      console.log(
        before.status === 0
          ? after.output.slice(-2_000)
          : `fails without it:\n${before.output.slice(-2_000)}`,
      );
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
