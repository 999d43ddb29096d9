/**
 * `npx switchgear` in a checkout, as the README has it. npm links the checkout into a cache of its own the first time, which runs
 * the package's `prepare`; the cache is the test's.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { root } from '../support/markdown.js';

describe('npx switchgear', function () {
  this.timeout(120_000);

  it('works from a checkout, the first time and the next', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchgear-npx-'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const env = { ...process.env, npm_config_cache: folder, npm_config_loglevel: 'error' };
    try {
      for (let time = 1; time <= 2; time += 1) {
        const { stdout } = await promisify(execFile)('npx', ['switchgear', '--version'], { cwd: root, env });
        expect(stdout.trim(), `time ${time}`).to.equal(version);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
