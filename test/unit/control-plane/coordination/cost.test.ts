/**
 * What circuits of the mesh ask of the store does not grow with the agents: exchanges, writes and hints of a room, counted on a virtual
 * clock while all is well, while single calls fail, and through an outage. `npm run bench:commands`
 * (`test/simulation/commands.ts`) counts the same at a real Redis.
 */
import { expect } from 'chai';
import { seededRandom } from '../../../../core/random.js';
import { CircuitMirror, CircuitStore, moveOn, testRoom } from '../../../support/circuit-rooms.js';
import { clusterPolicy } from '../../../support/cluster-mesh.js';
import { VirtualClock } from '../../../support/virtual-clock.js';

const FLEETS = [100, 1_000, 5_000];
const SECONDS = 12;
const STEPS = 10;

interface Cost {
  readonly exchanges: number;
  readonly writes: number;
  readonly hints: number;
  /** Of the largest account. */
  readonly bytes: number;
  readonly states: string;
}

/** Each agent makes one call a second and says so, at a moment of its own; `fails`: whether it failed. */
async function cost(count: number, fails: (second: number, chance: number) => boolean): Promise<Cost> {
  const clock = new VirtualClock(100_000);
  const mirror = new CircuitMirror();
  const store = new CircuitStore(clock, [mirror]);
  const { room, changes, agent } = testRoom({ clock, store, mirror });
  const random = seededRandom(3);
  mirror.put(clusterPolicy());
  await moveOn(clock, 1_000);
  const agents = Array.from({ length: count }, (_, i) => agent(`i${i}`));
  const before = store.exchanges.length;
  for (let step = 0; step < SECONDS * STEPS; step++) {
    const shut = (room.views()[0]?.record.state ?? 'closed') === 'open';
    for (let i = step % STEPS; i < count; i += STEPS) {
      const failed = fails(step / STEPS, random.next());
      agents[i]?.say(shut ? [{ blocked: 1 }] : failed ? [{ failed: 1 }] : [{ ok: 1 }]);
    }
    await moveOn(clock, 1_000 / STEPS, 50);
  }
  const exchanges = store.exchanges.slice(before);
  const closed = room.close();
  await moveOn(clock, 2_000);
  await closed;
  return {
    exchanges: exchanges.length,
    writes: store.writes,
    hints: store.hints.length,
    bytes: Math.max(
      ...exchanges.flatMap(({ accounts }) => [...accounts.values()].map((body) => body.length)),
    ),
    states: changes.map(({ after }) => after.state).join(),
  };
}

describe('what circuits of the mesh cost the store', function () {
  this.timeout(30_000);

  for (const [what, most, fails] of [
    ['while all is well: one exchange a second', SECONDS + 1, () => false],
    [
      'while one call in a thousand fails: no more',
      SECONDS + 1,
      (_: number, chance: number) => chance < 0.001,
    ],
    ['through an outage: a few more', SECONDS + 20, (second: number) => second >= 3],
  ] as const)
    it(what, async () => {
      const costs: Cost[] = [];
      for (const count of FLEETS) costs.push(await cost(count, fails));
      const [few] = costs as [Cost, ...Cost[]];
      for (const { exchanges, writes, hints, bytes, states } of costs) {
        expect(exchanges).to.be.within(SECONDS - 1, most);
        expect(Math.abs(exchanges - few.exchanges)).to.be.at.most(Math.max(1, 0.1 * few.exchanges));
        expect({ writes, hints, states }).to.deep.equal({
          ...{ writes: few.writes, hints: few.hints, states: few.states },
        });
        expect(bytes).to.be.below(2 * few.bytes);
      }
      expect(few.states.startsWith('open')).to.equal(what.startsWith('through'));
    });
});
