/**
 * The mirror over the memory store, and over stores that misbehave on purpose: what it tells, what it remembers, how long it
 * tries, and that it leaves nothing behind.
 */
import { expect } from 'chai';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Mirror } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Store, WatchListener } from '../../../control-plane/store/store.js';
import type { Logger } from '../../../control-plane/telemetry/logger.js';
import { MeshError } from '../../../core/errors.js';
import { seededRandom } from '../../../core/random.js';
import { del, document, instance, policyPut, rejection, write } from '../../support/stores.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** The same store with some methods replaced. */
function altered(store: Store, changes: Partial<Store>): Store {
  const same: Store = {
    kind: store.kind,
    description: store.description,
    write: (request) => store.write(request),
    load: () => store.load(),
    history: (name, options) => store.history(name, options),
    revision: (name, revision) => store.revision(name, revision),
    audit: (options) => store.audit(options),
    watch: (from, listener) => store.watch(from, listener),
    loadRegistry: () => store.loadRegistry(),
    lease: (instances, ttlMs) => store.lease(instances, ttlMs),
    release: (id, boot) => store.release(id, boot),
    expire: () => store.expire(),
    learn: (service, callees) => store.learn(service, callees),
    publishSummaries: (summaries, ttlMs) => store.publishSummaries(summaries, ttlMs),
    summaries: () => store.summaries(),
    exchangeHealth: (exchange) => store.exchangeHealth(exchange),
    putRecord: (write, ttlMs) => store.putRecord(write, ttlMs),
    hintCircuits: (circuits) => store.hintCircuits(circuits),
    settleDataset: (seen) => store.settleDataset(seen),
    ping: () => store.ping(),
    close: () => store.close(),
  };
  return { ...same, ...changes };
}

const away = () =>
  Promise.reject(new MeshError('store_unavailable', 'does not answer', { target: 'redis://x' }));

/** Lets promises run; nothing here waits for time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('the mirror', () => {
  let clock: VirtualClock;
  let store: Store;
  let mirrors: Mirror[];
  let logged: string[];
  const note = (level: string) => (_: object, message: string) => logged.push(`${level}: ${message}`);
  const logger: Logger = { debug: () => {}, info: () => {}, warn: note('warn'), error: note('error') };

  beforeEach(async () => {
    clock = new VirtualClock();
    logged = [];
    mirrors = [];
    store = await openStore('memory', { mesh: 'default', replica: 'r1', clock });
  });
  afterEach(async () => {
    for (const mirror of mirrors) await mirror.close();
    await store.close();
  });

  async function mirrorOf(over: Store = store): Promise<Mirror> {
    const mirror = await openMirror(over, { replica: 'r1', clock, random: seededRandom(1), logger });
    mirrors.push(mirror);
    return mirror;
  }

  function change(mirror: Mirror, ...operations: Parameters<Mirror['write']>[0]['operations']) {
    return mirror.write({ requestId: `${Math.random()}`, author: 'ada', action: 'apply', operations });
  }

  it('is loaded when it opens, by name and by callee', async () => {
    await write(store, policyPut('b', 1), policyPut('a', 1), policyPut('c', 1));
    const mirror = await mirrorOf();
    expect(mirror.health).to.deep.equal({ up: true, reason: '' });
    expect(mirror.revision).to.equal(3);
    expect(mirror.policies().map(({ policy }) => policy.name)).to.deep.equal(['a', 'b', 'c']);
    expect(mirror.policiesTo('a').map(({ revision }) => revision)).to.deep.equal([2]);
    expect(mirror.policiesTo('nobody')).to.deep.equal([]);
  });

  it('shows a writer what it wrote, and tells what was and what is', async () => {
    const mirror = await mirrorOf();
    const told: string[] = [];
    mirror.on('policies', (changes) => {
      for (const { revision, name, before, after } of changes)
        told.push(
          `${name}@${revision}: ${before?.revision} → ${after?.revision}, now ${mirror.policy(name)?.revision}`,
        );
    });
    await change(mirror, policyPut('a', 1));
    expect(mirror.policy('a')?.policy.spec.timeout).to.equal(1);
    await change(mirror, policyPut('a', 2), policyPut('b', 1));
    await change(mirror, del('a'));
    expect(mirror.policy('a')).to.equal(undefined);
    expect(told).to.deep.equal([
      'a@1: undefined → 1, now 1',
      'a@2: 1 → 2, now 2',
      'b@3: undefined → 3, now 3',
      'a@4: 2 → undefined, now undefined',
    ]);
  });

  it('moves a policy whose callee changes', async () => {
    const mirror = await mirrorOf();
    await change(mirror, policyPut('a', 1));
    await change(mirror, {
      ...policyPut('a', 1),
      document: JSON.stringify({ match: { to: 'other' }, policy: 'a', spec: {} }),
    });
    expect(mirror.policiesTo('a')).to.deep.equal([]);
    expect(mirror.policiesTo('other')).to.have.length(1);
  });

  it('tells changes since a revision it has followed from, and not before', async () => {
    await write(store, policyPut('old', 1));
    const mirror = await mirrorOf();
    await change(mirror, policyPut('a', 1), policyPut('b', 1));
    await change(mirror, del('a'));
    const since = (revision: number) =>
      mirror.changesSince(revision)?.map(({ name, revision: at }) => `${name}@${at}`);
    expect(since(1)).to.deep.equal(['a@2', 'b@3', 'a@4']);
    expect(since(3)).to.deep.equal(['a@4']);
    expect(since(4)).to.deep.equal([]);
    expect(since(0)).to.equal(undefined);
    expect(since(5)).to.equal(undefined);
  });

  it('remembers at least the last 10,000 changes and not all', async () => {
    const mirror = await mirrorOf();
    for (let round = 1; round <= 12; round += 1)
      await change(mirror, ...Array.from({ length: 1000 }, (_, i) => policyPut(`p${i}`, round)));
    expect(mirror.changesSince(2000)).to.have.length(10_000);
    expect(mirror.changesSince(0)).to.equal(undefined);
  }).timeout(60_000);

  it('logs a listener that throws and tells the others', async () => {
    const mirror = await mirrorOf();
    let told = 0;
    mirror.on('policies', () => {
      throw new Error('listener');
    });
    const stop = mirror.on('policies', () => {
      told += 1;
    });
    await change(mirror, policyPut('a', 1));
    stop();
    await change(mirror, policyPut('a', 2));
    expect(told).to.equal(1);
    expect(logged).to.deep.equal([
      'error: a listener of the mirror failed',
      'error: a listener of the mirror failed',
    ]);
  });

  it('follows instances and interests', async () => {
    await store.lease([instance('shop/1')], 60_000);
    await store.learn('shop', ['mail']);
    const mirror = await mirrorOf();
    const told: string[] = [];
    mirror.on('instances', (services) => told.push(`instances ${[...services]}`));
    mirror.on('interest', (service, callees) => told.push(`interest ${service} ${callees}`));
    expect(mirror.instances('shop').map(({ id }) => id)).to.deep.equal(['shop/1']);
    const before = mirror.instances('shop');
    await store.lease([instance('shop/0'), instance('mail/1')], 60_000);
    await store.learn('shop', ['mail', 'db']);
    await store.release('mail/1', 1);
    await until(() => mirror.services().size === 1 && mirror.interests().get('shop')?.size === 2, {
      what: 'all',
    });
    await settle();
    expect(mirror.instances('shop').map(({ id }) => id)).to.deep.equal(['shop/0', 'shop/1']);
    expect(before).to.have.length(1);
    expect(mirror.instances('mail')).to.deep.equal([]);
    expect(told.at(-1)).to.match(/instances|interest shop db/);
    expect(told.filter((line) => line.startsWith('interest'))).to.deep.equal(['interest shop db']);
  });

  it('repeats a write with the same request id while the store is away, and no longer than two seconds', async () => {
    const ids: string[] = [];
    let failures = 3;
    const flaky = altered(store, {
      write: (request) => {
        ids.push(request.requestId);
        return failures-- > 0 ? away() : store.write(request);
      },
    });
    const mirror = await mirrorOf(flaky);
    const done = mirror.write({
      requestId: 'one',
      author: 'a',
      action: 'put',
      operations: [policyPut('a', 1)],
    });
    while (mirror.revision === 0) {
      await settle();
      clock.advance(50);
    }
    expect((await done).head).to.equal(1);
    expect(ids).to.deep.equal(['one', 'one', 'one', 'one']);

    failures = Number.POSITIVE_INFINITY;
    const started = clock.now();
    let over = false;
    const refused = rejection(change(mirror, policyPut('a', 2))).finally(() => {
      over = true;
    });
    while (!over) {
      await settle();
      clock.advance(50);
    }
    expect(await refused).to.include({ code: 'store_unavailable' });
    expect(clock.now() - started).to.be.within(2000, 3000);
  });

  it('does not repeat what was refused', async () => {
    const mirror = await mirrorOf();
    await change(mirror, policyPut('a', 1));
    const error = await rejection(change(mirror, { ...policyPut('a', 2), expected: 7 }));
    expect(error).to.include({ code: 'revision_conflict', revision: 1 });
  });

  it('answers a write that is stored although it never comes to see it', async () => {
    const deaf = altered(store, { watch: () => ({ close: async () => {} }) });
    const mirror = await mirrorOf(deaf);
    const done = change(mirror, policyPut('a', 1));
    await settle();
    clock.advance(2000);
    expect((await done).head).to.equal(1);
    expect(mirror.revision).to.equal(0);
  });

  it('opens although the store is away, refuses writes with the reason, and loads as soon as it can', async () => {
    await write(store, policyPut('a', 1));
    let up = false;
    const mirror = await mirrorOf(altered(store, { load: () => (up ? store.load() : away()) }));
    const told: string[] = [];
    mirror.on('health', (health) => told.push(`${health.up} ${health.reason}`));
    mirror.on('reset', () => told.push('reset'));
    expect(mirror.health).to.deep.equal({
      up: false,
      reason: 'redis://x: does not answer',
    });
    expect(mirror.dataset).to.equal('');
    const error = await rejection(change(mirror, policyPut('a', 2)));
    expect(error).to.include({ code: 'store_unavailable' });
    up = true;
    while (mirror.dataset === '') {
      await settle();
      clock.advance(100);
    }
    expect(mirror.policy('a')?.revision).to.equal(1);
    expect(told).to.deep.equal(['true ', 'reset']);
  });

  it('loads everything every five minutes, and sets itself right where it differs', async () => {
    await write(store, policyPut('a', 1), policyPut('b', 1));
    let tampered = false;
    const odd = altered(store, {
      load: async () => {
        const snapshot = await store.load();
        if (!tampered) return snapshot;
        const { document: text } = policyPut('a', 99);
        return { ...snapshot, documents: [{ name: 'a', revision: 1, document: text }] };
      },
    });
    const mirror = await mirrorOf(odd);
    let resets = 0;
    mirror.on('reset', () => {
      resets += 1;
    });
    clock.advance(300_000);
    await settle();
    expect(resets).to.equal(0);
    tampered = true;
    clock.advance(300_000);
    await settle();
    expect(resets).to.equal(1);
    expect(mirror.policies().map(({ policy }) => policy.spec.timeout)).to.deep.equal([99]);
    expect(logged).to.deep.equal(['warn: this replica differed from the store and has been set right']);
  });

  it('compares instances too, when the store has been away', async () => {
    await store.lease([instance('shop/1')], 60_000);
    let listener: WatchListener | undefined;
    let lost = false;
    const odd = altered(store, {
      watch: (from, given) => {
        listener = given;
        return store.watch(from, given);
      },
      loadRegistry: async () => {
        const registry = await store.loadRegistry();
        return lost ? { ...registry, instances: [] } : registry;
      },
    });
    const mirror = await mirrorOf(odd);
    await settle();
    lost = true;
    listener?.health(false, 'gone');
    expect(mirror.health).to.deep.equal({ up: false, reason: 'gone' });
    expect(mirror.instances('shop')).to.have.length(1);
    listener?.health(true, '');
    await settle();
    expect(mirror.instances('shop')).to.deep.equal([]);
  });

  it('keeps what it has while loading anew fails, and says why', async () => {
    await write(store, policyPut('a', 1));
    let listener: WatchListener | undefined;
    let corrupt = false;
    const odd = altered(store, {
      watch: (from, given) => {
        listener = given;
        return store.watch(from, given);
      },
      load: () => (corrupt ? Promise.reject(new MeshError('store_corrupt', 'is not ours')) : store.load()),
    });
    const mirror = await mirrorOf(odd);
    corrupt = true;
    listener?.reset('for a test');
    await settle();
    expect(mirror.health).to.deep.equal({ up: false, reason: 'is not ours' });
    expect(mirror.policy('a')?.revision).to.equal(1);
    corrupt = false;
    while (!mirror.health.up) {
      await settle();
      clock.advance(100);
    }
    await change(mirror, policyPut('a', 2));
    expect(mirror.policy('a')?.revision).to.equal(2);
  });

  it('slows down where each watch ends at once', async () => {
    let loads = 0;
    const odd = altered(store, {
      load: () => {
        loads += 1;
        return store.load();
      },
      watch: (_, listener) => {
        queueMicrotask(() => listener.reset('again'));
        return { close: async () => {} };
      },
    });
    await mirrorOf(odd);
    for (let second = 0; second < 600; second += 1) {
      await settle();
      clock.advance(1000);
    }
    expect(loads).to.be.within(20, 60);
  });

  it('keeps the last good revision of a stored document that is no policy', async () => {
    const mirror = await mirrorOf();
    await change(mirror, policyPut('a', 1));
    await write(store, { kind: 'put', name: 'a', document: document(1), expected: 'any' });
    await until(() => mirror.revision === 2, { what: 'revision 2' });
    expect(mirror.policy('a')?.revision).to.equal(1);
    expect(mirror.faults).to.have.length(1);
    await change(mirror, del('a'));
    expect(mirror.policy('a')).to.equal(undefined);
    expect(mirror.faults).to.deep.equal([]);
  });

  it('has no timer left once it is closed, and refuses to write', async () => {
    const mirror = await mirrorOf();
    await change(mirror, policyPut('a', 1));
    await mirror.close();
    expect(clock.pendingTimers).to.equal(0);
    expect(await rejection(change(mirror, policyPut('a', 2)))).to.include({ code: 'store_unavailable' });
    const down = await openMirror(altered(store, { load: away }), { replica: 'r', clock, logger });
    await down.close();
    expect(clock.pendingTimers).to.equal(0);
  });
});
