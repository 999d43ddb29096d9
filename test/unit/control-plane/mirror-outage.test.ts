/**
 * What the mirror makes of a store that goes away: an outage is told once, and a write that may have been stored is never
 * reported as one that was not.
 */
import { expect } from 'chai';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Mirror } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import { OutcomeUnknown } from '../../../control-plane/store/request.js';
import type { Store, WatchListener } from '../../../control-plane/store/store.js';
import type { Logger } from '../../../control-plane/telemetry/logger.js';
import { MeshError } from '../../../core/errors.js';
import { seededRandom } from '../../../core/random.js';
import { policyPut, rejection } from '../../support/stores.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** The same store with some methods replaced. */
function altered(store: Store, changes: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(changes, key) ?? Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const away = () =>
  Promise.reject(new MeshError('store_unavailable', 'does not answer', { target: 'redis://x' }));

/** Lets promises run; nothing here waits for time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('the mirror of a store that goes away', () => {
  let clock: VirtualClock;
  let store: Store;
  let opened: Mirror | undefined;
  let logged: string[];
  const note = (level: string) => (_: object, message: string) => logged.push(`${level}: ${message}`);
  const logger: Logger = { debug: () => {}, info: note('info'), warn: note('warn'), error: note('error') };

  beforeEach(async () => {
    clock = new VirtualClock();
    logged = [];
    store = await openStore('memory', { mesh: 'default', replica: 'r1', clock });
  });
  afterEach(async () => {
    await opened?.close();
    await store.close();
  });

  async function mirrorOf(over: Store): Promise<Mirror> {
    opened = await openMirror(over, { replica: 'r1', clock, random: seededRandom(1), logger });
    return opened;
  }

  it('remembers that one attempt may have been stored, whatever the last one says', async () => {
    const lost = new OutcomeUnknown(new MeshError('store_unavailable', 'silence', { target: 'redis://x' }));
    let attempts = 0;
    const mirror = await mirrorOf(
      altered(store, { write: () => (attempts++ === 0 ? Promise.reject(lost) : away()) }),
    );
    let over = false;
    const refused = rejection(
      mirror.write({ requestId: 'r', author: 'ada', action: 'apply', operations: [policyPut('a', 1)] }),
    ).finally(() => {
      over = true;
    });
    while (!over) {
      await settle();
      clock.advance(50);
    }
    expect(attempts).to.be.above(1);
    expect(await refused).to.be.instanceOf(OutcomeUnknown);
    expect(String(await refused)).to.equal('MeshError: [store_unavailable] redis://x: does not answer');
  });

  it('tells an outage once, and its end, and nothing of a start that went well', async () => {
    let listener: WatchListener | undefined;
    const mirror = await mirrorOf(
      altered(store, {
        watch: (from, given) => {
          listener = given;
          return store.watch(from, given);
        },
      }),
    );
    const told: string[] = [];
    mirror.on('health', ({ up, reason }) => told.push(`${up} ${reason}`));
    expect(logged).to.deep.equal([]);
    listener?.health(false, 'reset by peer');
    listener?.health(false, 'refused');
    listener?.health(false, 'timed out');
    expect(mirror.health.reason).to.equal('timed out');
    listener?.health(true, '');
    expect(told).to.deep.equal(['false reset by peer', 'true ']);
    expect(logged).to.deep.equal(['warn: the store does not answer', 'info: the store answers']);
  });
});
