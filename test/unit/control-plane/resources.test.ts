/** Closing what was opened: in the opposite order, every step tried, never longer than allowed, once. */
import { expect } from 'chai';
import { Resources } from '../../../control-plane/resources.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { VirtualClock } from '../../support/virtual-clock.js';

describe('resources', () => {
  const logged: string[] = [];
  const log = (fields: object, message: string) =>
    void logged.push(`${message}: ${(fields as { what: string }).what}`);
  let clock: VirtualClock;
  let resources: Resources;
  let closed: string[];
  beforeEach(() => {
    logged.length = 0;
    closed = [];
    clock = new VirtualClock();
    resources = new Resources(clock, { ...silentLogger, warn: log, error: log });
  });
  const open = (what: string, close: () => unknown = () => closed.push(what)) =>
    resources.opened(what, close);

  it('are closed in the opposite order of opening, one after the other', async () => {
    let inside = 0;
    for (const what of ['store', 'mirror', 'REST'])
      open(what, async () => {
        expect(++inside).to.equal(1);
        await new Promise((resolve) => setImmediate(resolve));
        closed.push(what);
        inside--;
      });
    await resources.closeAll(1000);
    expect(closed).to.deep.equal(['REST', 'mirror', 'store']);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('are closed even if one of them fails, which is logged', async () => {
    open('store');
    open('mirror', () => Promise.reject(new Error('no')));
    open('REST', () => {
      throw new Error('no');
    });
    await resources.closeAll(1000);
    expect(closed).to.deep.equal(['store']);
    expect(logged).to.deep.equal(['closing failed: REST', 'closing failed: mirror']);
  });

  it('are not waited for beyond the time allowed, and the rest is closed all the same', async () => {
    open('store');
    open('streams', () => new Promise(() => {}));
    const done = resources.closeAll(1000);
    clock.advance(1000);
    await done;
    expect(closed).to.deep.equal(['store']);
    expect(logged[0]).to.equal('closing took too long; going on without: streams');
  });

  it('are closed once, however often it is asked', async () => {
    open('store');
    await Promise.all([resources.closeAll(1000), resources.closeAll(1000)]);
    await resources.closeAll(1000);
    expect(closed).to.deep.equal(['store']);
  });
});
