/**
 * The demo, for real: once to its end, and once ended in the middle. Whatever becomes of it, no process of its stays.
 */
import { expect } from 'chai';
import { spawnCli } from '../support/cli.js';
import { descendants, gone } from '../support/process-tree.js';
import { until } from '../support/until.js';

/** Control plane, three services, customers. */
const PROCESSES = 5;

async function startDemo(...argv: string[]) {
  const demo = spawnCli(['demo', ...argv], { env: { SWITCHGEAR_DISABLED: '1', SHOP_RATE: '7' } });
  const pids = await until(
    () => {
      const found = descendants(demo.child.pid ?? 0);
      return (demo.child.exitCode !== null || found.length >= PROCESSES) && found;
    },
    { timeoutMs: 30_000, what: 'the processes of the demo' },
  );
  expect(demo.child.exitCode, demo.output.stderr).to.equal(null);
  return { demo, pids };
}

describe('switchgear demo', function () {
  this.timeout(90_000);

  it('keeps its promises, whatever variables its user has set, and leaves nothing behind', async () => {
    const { demo, pids } = await startDemo('--json');
    const { code, stdout, stderr } = await demo.ended;
    const story = JSON.parse(stdout);
    const missed = story.promises.filter(({ kept }: { kept: boolean }) => !kept);
    expect(missed, stderr).to.deep.equal([]);
    expect(code).to.equal(0);
    expect(story.kept).to.equal(true);
    expect(story.scenes.map(({ name }: { name: string }) => name)).to.deep.equal([
      'healthy, no policy',
      'slow, without protection',
      'slow, with protection',
      'failing, with protection',
      'healthy again',
    ]);
    await gone(pids, 'the processes of the demo to end');
  });

  it('takes its processes with it when it is ended in the middle', async () => {
    const { demo, pids } = await startDemo();
    demo.child.kill('SIGTERM');
    const { code, stderr } = await demo.ended;
    expect(code).to.equal(1);
    expect(stderr).to.include('stopped by SIGTERM');
    await gone(pids, 'the processes of the demo to end');
  });

  it('takes them with it even when it is killed', async () => {
    const { demo, pids } = await startDemo();
    demo.child.kill('SIGKILL');
    await demo.ended;
    await gone(pids, 'the processes of the demo to end');
  });

  it('ends with 1 and the reason when one of its processes is lost', async () => {
    const { demo, pids } = await startDemo();
    process.kill(pids.at(-1) ?? 0, 'SIGKILL');
    const { code, stderr } = await demo.ended;
    expect(code).to.equal(1);
    expect(stderr).to.match(/ended (by itself|before it was ready) \(SIGKILL\)/);
    await gone(pids, 'the processes of the demo to end');
  });
});
