/** The circuits of the mesh at a replica: what it asks of the store and when, what follows from reports, and what holds without a store. */
import { expect } from 'chai';
import type { ClusterDirective } from '../../../../core/coordination/model.js';
import {
  CircuitMirror,
  CircuitStore,
  moveOn,
  type TestAgent,
  type TestRoom,
  testRoom,
} from '../../../support/circuit-rooms.js';
import { clusterPolicy } from '../../../support/cluster-mesh.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

const ID = 'inventory|inventory-default';

describe('the room of circuits of the mesh', () => {
  let clock: VirtualClock;
  let mirror: CircuitMirror;
  let store: CircuitStore;
  let rooms: TestRoom[];

  beforeEach(() => {
    clock = new VirtualClock(100_000);
    mirror = new CircuitMirror();
    store = new CircuitStore(clock, [mirror]);
    rooms = [];
  });
  afterEach(async () => {
    const closed = Promise.all(rooms.map(({ room }) => room.close()));
    await moveOn(clock, 2_000);
    await closed;
    expect(clock.pendingTimers).to.equal(0);
  });

  const open = (replica = 'r1', options: Parameters<typeof testRoom>[2] = {}) => {
    const made = testRoom({ clock, store, mirror }, replica, options);
    rooms.push(made);
    return made;
  };
  const agents = (room: TestRoom, count = 4, at = 0) =>
    Array.from({ length: count }, (_, i) =>
      room.agent(`${room.room === rooms[0]?.room ? 'a' : 'b'}${at + i}`),
    );
  /** Seconds in which each of them says this. */
  const live = async (seconds: number, of: readonly TestAgent[], said: Parameters<TestAgent['say']>[0]) => {
    for (let second = 0; second < seconds; second++) {
      for (const agent of of) agent.say(said);
      await moveOn(clock, 1_000);
    }
  };
  const bad = [{ failed: 10 }];
  const told = ({ room }: TestRoom, agent?: string): readonly ClusterDirective[] =>
    room.directives({ ...(agent ? { agent } : {}), service: 'checkout', zone: '' }, new Set(['inventory']));
  const states = (room: TestRoom, agent?: string) => told(room, agent).map(({ state }) => state);
  const path = ({ changes }: TestRoom) => changes.map(({ after }) => after.state);

  it('asks the store nothing while no policy has scope cluster', async () => {
    mirror.put({ ...clusterPolicy(), spec: { circuit: {} } });
    const room = open();
    await live(10, agents(room), bad);
    expect(store.exchanges).to.deep.equal([]);
    expect(store.writes).to.equal(0);
    expect(room.room.views()).to.deep.equal([]);
    mirror.put(clusterPolicy());
    await moveOn(clock, 3_000);
    expect(store.exchanges.length).to.be.within(3, 5);
    mirror.remove('inventory-default');
    const { length } = store.exchanges;
    await moveOn(clock, 10_000);
    expect(store.exchanges).to.have.length(length);
  });

  it('asks once a second, and once more within 50 ms of what turned bad', async () => {
    mirror.put(clusterPolicy());
    const room = open();
    await moveOn(clock, 10_500);
    const before = store.exchanges.length;
    expect(before).to.be.within(10, 12);
    for (const agent of agents(room)) agent.say(bad);
    await moveOn(clock, 60);
    expect(store.exchanges.length - before).to.be.within(1, 2);
    expect(path(room)).to.deep.equal(['open']);
    expect(store.mostUnder).to.equal(1);
  });

  it('has one exchange under way, however slow the store', async () => {
    mirror.put(clusterPolicy());
    store.delayMs = 700;
    const room = open();
    await live(10, agents(room, 10), bad);
    expect(store.mostUnder).to.equal(1);
    expect(path(room)[0]).to.equal('open');
  });

  it('tells agents, people and the other replicas of an opening', async () => {
    mirror.put(clusterPolicy());
    const [here, there] = [open('r1'), open('r2')];
    await moveOn(clock, 1_200);
    const heard: (ReadonlySet<string> | undefined)[] = [];
    there.room.news.onDirectives((callees) => void heard.push(callees));
    for (const agent of agents(here)) agent.say(bad);
    await moveOn(clock, 150);
    expect(states(here)).to.deep.equal(['open']);
    expect(states(there)).to.deep.equal(['open']);
    expect(heard).to.deep.equal([new Set(['inventory'])]);
    expect(store.hints).to.deep.equal([[ID]]);
    for (const room of [here, there]) {
      expect(room.changes).to.have.length(1);
      expect(room.changes[0]).to.deep.include({ shadow: false, before: undefined });
      const [line] = room.logger.of('warn');
      expect(line?.message).to.equal('a circuit of the mesh is open, it was closed');
      expect(line?.fields).to.deep.include({
        circuit: ID,
        before: 'closed',
        state: 'open',
        policy: 'inventory-default',
      });
    }
  });

  it('does not take its own hint for one of another', async () => {
    mirror.put(clusterPolicy());
    store.hintMs = 150;
    const room = open();
    await moveOn(clock, 1_200);
    for (const agent of agents(room)) agent.say(bad);
    await moveOn(clock, 100);
    const { length } = store.exchanges;
    expect(store.hints).to.deep.equal([[ID]]);
    await moveOn(clock, 200);
    expect(store.exchanges).to.have.length(length);
    mirror.emit('circuits', [ID]);
    await moveOn(clock, 60);
    expect(store.exchanges).to.have.length(length + 1);
  });

  it('knows what is open before its first agents come, and makes no news of it', async () => {
    mirror.put(clusterPolicy({ openFor: '30s' }));
    const first = open('r1');
    await live(2, agents(first), bad);
    const second = open('r2');
    const known = second.room.known(500);
    await moveOn(clock, 10);
    await known;
    expect(states(second)).to.deep.equal(['open']);
    expect(second.changes).to.deep.equal([]);
  });

  it('waits no longer for that than it was given', async () => {
    mirror.put(clusterPolicy());
    store.away = true;
    const room = open();
    let waited = false;
    void room.room.known(500).then(() => {
      waited = true;
    });
    await moveOn(clock, 490);
    expect(waited).to.equal(false);
    await moveOn(clock, 20);
    expect(waited).to.equal(true);
  });

  it('probes, ramps and closes, with permits that only their holders hear of', async () => {
    mirror.put(clusterPolicy());
    const room = open();
    const some = agents(room);
    await live(1, some, bad);
    const blocked = [{ blocked: 5 }];
    for (let i = 0; i < 40 && path(room).at(-1) !== 'half-open'; i++) await live(1, some, blocked);
    expect(states(room)).to.deep.equal(['half-open']);
    expect(told(room)[0]?.permits).to.deep.equal([]);
    const permits = some.flatMap(({ name }) => {
      const mine = told(room, name)[0]?.permits ?? [];
      if (mine.length > 0) expect(room.room.news.isHolder(name)).to.equal(true);
      return mine.map((permit) => ({ name, permit }));
    });
    expect(permits).to.have.length(3);
    expect(new Set(permits.map(({ permit }) => permit)).size).to.equal(3);
    for (const { name, permit } of permits)
      some.find((each) => each.name === name)?.say([], [{ circuit: ID, permit, ok: true }]);
    await moveOn(clock, 100);
    expect(states(room)).to.deep.equal(['ramping']);
    expect(some.some(({ name }) => room.room.news.isHolder(name))).to.equal(false);
    await live(5, some, [{ ok: 20 }]);
    expect(path(room)).to.deep.equal(['open', 'half-open', 'ramping', 'ramping', 'closed']);
  });

  it('decides in shadow and tells no agent', async () => {
    mirror.put({ ...clusterPolicy(), mode: 'shadow' });
    const room = open();
    await live(2, agents(room), bad);
    expect(room.changes[0]).to.include({ shadow: true });
    expect(room.room.views()[0]).to.include({ shadow: true });
    expect(states(room)).to.deep.equal([]);
    expect(room.logger.of('warn')).to.deep.equal([]);
  });

  it('is frozen within 3 s without the store, lets directives lapse, and goes on by itself', async () => {
    mirror.put(clusterPolicy({ openFor: '60s' }));
    const room = open();
    const some = agents(room);
    await live(2, some, bad);
    expect(states(room)).to.deep.equal(['open']);
    store.away = true;
    const { writes } = store;
    await moveOn(clock, 3_100);
    expect(room.frozen.at(-1)).to.equal(true);
    expect(room.room.frozen).to.include('the store does not answer');
    expect(states(room)).to.deep.equal([]);
    await live(5, some, bad);
    expect(store.writes).to.equal(writes);
    store.away = false;
    await moveOn(clock, 1_100);
    expect(room.frozen.at(-1)).to.equal(false);
    expect(room.room.frozen).to.equal('');
    expect(states(room)).to.deep.equal(['open']);
  });

  it('is frozen by the kill switch, in the words of whoever said so', async () => {
    mirror.put(clusterPolicy());
    const room = open('r1', { frozen: () => 'maintenance' });
    await live(3, agents(room), bad);
    expect(room.room.frozen).to.equal('maintenance');
    expect(room.changes).to.deep.equal([]);
  });

  it('takes an override up at once when it is woken', async () => {
    mirror.put(clusterPolicy());
    let forced = false;
    const override = { state: 'open', reason: 'drill', author: 'ann', revision: 1, endsAt: 1e9 } as const;
    const room = open('r1', {
      override: () => (forced ? override : undefined),
      overridden: () => new Set(forced ? [ID] : []),
    });
    await moveOn(clock, 1_200);
    forced = true;
    room.room.wake();
    await moveOn(clock, 60);
    expect(states(room)).to.deep.equal(['forced-open']);
    forced = false;
    room.room.wake();
    await moveOn(clock, 60);
    expect(states(room)).to.deep.equal(['closed']);
  });

  it('forgets circuits with their policy, and all of them with the data', async () => {
    mirror.put(clusterPolicy({ openFor: '60s' }));
    const room = open();
    await live(2, agents(room), bad);
    expect(states(room)).to.deep.equal(['open']);
    store.records.clear();
    mirror.replace('d2');
    expect(states(room)).to.deep.equal([]);
    expect(room.room.views()).to.deep.equal([]);
    await live(2, agents(room), bad);
    expect(states(room)).to.deep.equal(['open']);
    mirror.remove('inventory-default');
    expect(states(room)).to.deep.equal([]);
    expect(room.room.views()).to.deep.equal([]);
  });

  it('has no use for an answer about other data', async () => {
    mirror.put(clusterPolicy({ openFor: '60s' }));
    const room = open();
    await live(2, agents(room), bad);
    store.delayMs = 300;
    await moveOn(clock, 1_000);
    expect(store.under).to.equal(1);
    mirror.replace('d2');
    store.away = true;
    await moveOn(clock, 1_000);
    expect(states(room)).to.deep.equal([]);
  });

  it('discards what cannot be true, and says how much', async () => {
    mirror.put(clusterPolicy());
    const room = open();
    await moveOn(clock, 1_000);
    const liars = [0, 1, 2, 3].map((i) => room.agent(`liar-${i}`, { concurrency: 1 }));
    for (const liar of liars) liar.say([{ failed: 100_000 }, { ok: 1, slow: 2 }]);
    await moveOn(clock, 1_000);
    expect(room.ignored).to.deep.equal(Array.from({ length: 8 }, () => 'cell'));
    expect(room.changes).to.deep.equal([]);
  });

  it('pools the endpoints and methods of a report, and takes the agent of its connection', async () => {
    mirror.put(clusterPolicy());
    const room = open();
    room.agent('a').say([
      { method: 'x.Y/A', endpoint: 'a:1', ok: 3 },
      { method: 'x.Y/B', endpoint: 'a:1', failed: 1 },
      { method: 'x.Y/B', endpoint: 'b:1', ok: 2, blocked: 4 },
      { callee: 'elsewhere', failed: 9 },
    ]);
    await moveOn(clock, 20);
    const [view] = room.room.views();
    expect(room.room.views()).to.have.length(1);
    const span = view?.view.spans.at(-1);
    expect(span).to.include({ calls: 6, failed: 1, agents: 1 });
    expect(span?.endpoints.map(({ name, calls }) => [name, calls]).sort()).to.deep.equal([
      ['a:1', 4],
      ['b:1', 2],
    ]);
    expect(view?.view.demand).to.deep.equal([{ agent: 'checkout/a', zone: '', blocked: 4 }]);
  });

  it('takes sick instances out of discovery, and back', async () => {
    mirror.put(clusterPolicy({ openFor: '5s' }));
    const addresses = ['a:1', 'b:1', 'c:1', 'd:1'];
    mirror.register('inventory', ...addresses);
    const room = open();
    const heard: ReadonlySet<string>[] = [];
    room.room.news.onEjections((callees) => void heard.push(callees));
    const some = agents(room);
    await live(
      3,
      some,
      addresses.map((endpoint, i) => (i === 0 ? { endpoint, failed: 20 } : { endpoint, ok: 20 })),
    );
    expect([...room.room.ejected('inventory')]).to.deep.equal(['a:1']);
    expect(path(room)).to.not.include('open');
    await live(
      20,
      some,
      addresses.slice(1).map((endpoint) => ({ endpoint, ok: 20 })),
    );
    expect([...room.room.ejected('inventory')]).to.deep.equal([]);
    expect(heard).to.deep.equal([new Set(['inventory']), new Set(['inventory'])]);
  });

  it('calls instances again at once when the policy that took them out is gone', async () => {
    mirror.put(clusterPolicy({ openFor: '30s' }));
    mirror.register('inventory', 'a:1', 'b:1', 'c:1');
    const room = open();
    const well = ['b:1', 'c:1'].map((endpoint) => ({ endpoint, ok: 20 }));
    await live(3, agents(room), [{ endpoint: 'a:1', failed: 20 }, ...well]);
    expect([...room.room.ejected('inventory')]).to.deep.equal(['a:1']);
    const heard: ReadonlySet<string>[] = [];
    room.room.news.onEjections((callees) => void heard.push(callees));
    mirror.remove('inventory-default');
    expect([...room.room.ejected('inventory')]).to.deep.equal([]);
    expect(heard).to.deep.equal([new Set(['inventory'])]);
  });

  it('leaves nothing running once it is closed, whatever the store does', async () => {
    mirror.put(clusterPolicy());
    const room = open();
    store.delayMs = 60_000;
    await moveOn(clock, 100);
    let closed = false;
    void room.room.close().then(() => {
      closed = true;
    });
    await moveOn(clock, 1_100);
    expect(closed).to.equal(true);
    const { length } = store.exchanges;
    mirror.emit('circuits', [ID]);
    room.room.wake();
    await moveOn(clock, 61_000, 1_000);
    expect(store.exchanges).to.have.length(length);
  });
});
