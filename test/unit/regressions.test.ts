/**
 * The patches of `test/regressions/`, each of which brings an old bug back (`npm run test:regressions` shows that a test notices): they
 * say what they are about, name tests that exist, and still apply to this tree. Code that moves takes its patch with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, 'test/regressions');
const LEAST = 8;

const patches = readdirSync(directory).filter((file) => file.endsWith('.patch'));
const header = (text: string, name: string) =>
  text.split('\ndiff --git')[0]?.match(new RegExp(`^${name}: (.+)$`, 'm'))?.[1] ?? '';

describe('patches that bring a bug back', () => {
  it(`are at least ${LEAST}`, () => {
    expect(patches.length).to.be.at.least(LEAST);
  });

  for (const file of patches) {
    const text = readFileSync(join(directory, file), 'utf8');

    it(`${file} says which bug, and which tests notice`, () => {
      expect(header(text, 'Bug')).to.match(/\w{3}/);
      const tests = header(text, 'Caught-by').split(/\s+/);
      for (const test of tests) expect(existsSync(join(root, test)), `${test} is there`).to.equal(true);
    });

    it(`${file} applies`, () => {
      const { status, stderr } = spawnSync('git', ['apply', '--check', join(directory, file)], {
        cwd: root,
        encoding: 'utf8',
      });
      expect(status, `${stderr}\nmake it anew: apply its change by hand and take git diff -U1`).to.equal(0);
    });
  }
});
