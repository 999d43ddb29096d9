/** Streams that are told to go elsewhere: who, when, how many a second, and that a fleet is even in the end and then left alone. */
import { expect } from 'chai';
import { ConnectionAge, connectionAgeOf, toldPerSecondMax } from '../../../control-plane/grpc/age.js';
import { seededRandom } from '../../../core/random.js';
import { AgingFleet } from '../../support/aging-fleet.js';

const MINUTE_MS = 60_000;
const HALF_HOUR_MS = 30 * MINUTE_MS;

/** Agents of one address each go to the next replica. */
const ring = (replicas: number) => (from: number) => (from + 1) % replicas;
/** Behind one address, whichever has its turn. */
const robin = (replicas: number) => {
  let turn = 0;
  return () => turn++ % replicas;
};

function fleet(
  replicas: number,
  agents: number,
  { next = ring(replicas), ageMs = HALF_HOUR_MS, at = (i: number) => i % replicas } = {},
): AgingFleet {
  const made = new AgingFleet({ replicas, ageMs, next, random: seededRandom(7) });
  for (let i = 0; i < agents; i++) made.connect(`a${i}`, at(i));
  return made;
}

/** How far a replica is from its share at most, as a fraction of it. */
function unevenness({ counts }: AgingFleet): number {
  const share = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Math.max(...counts.map((count) => Math.abs(count - share))) / share;
}

const most = (rows: readonly (readonly number[])[]) => Math.max(...rows.flat());
const total = ({ why }: AgingFleet) => why.age + why.share;

describe('the connection age', () => {
  it('is a duration within its bounds, or 0', () => {
    expect(['0', '0s', '30m', '10s', '24h', '1.5m'].map(connectionAgeOf)).to.deep.equal([
      0, 0, 1_800_000, 10_000, 86_400_000, 90_000,
    ]);
    for (const wrong of ['', '9s', '25h', '30', '-1m', 'never', '1e3s'])
      expect(connectionAgeOf(wrong), wrong).to.equal(undefined);
  });

  for (const [name, next] of [
    ['two replicas with an address each', ring(2)],
    ['two workers behind one address', robin(2)],
  ] as const)
    it(`gives a restarted one of ${name} its share back, at a bounded pace`, () => {
      const made = fleet(2, 4000, { next });
      made.run(60);
      made.stop(1);
      made.run(5);
      expect(made.counts).to.deep.equal([4000, 0]);
      made.start(1);
      made.run(150);
      expect(unevenness(made), made.counts.join()).to.be.at.most(0.1);
      expect(most(made.told)).to.be.at.most(toldPerSecondMax).and.above(0);
      expect(made.why.age).to.equal(0);
      // Half of them have to move; behind one address some do so twice or thrice.
      expect(total(made)).to.be.within(1800, 4000);
    });

  it('gives it back among three and among eight', () => {
    for (const replicas of [3, 8])
      for (const next of [ring(replicas), robin(replicas)]) {
        const made = fleet(replicas, 2400, { next });
        made.run(60);
        made.stop(1);
        made.run(5);
        made.start(1);
        made.run(200);
        expect(unevenness(made), made.counts.join()).to.be.at.most(0.11);
      }
  });

  it('gives it back in a small fleet', () => {
    const made = fleet(2, 12, { next: robin(2), at: () => 0 });
    made.run(90);
    expect(Math.max(...made.counts), made.counts.join()).to.be.at.most(8);
  });

  it('tells nobody while a restart is under way, nor because of one or two more', () => {
    const made = fleet(2, 1000, { at: (i) => (i < 530 ? 0 : 1) });
    made.run(60);
    made.stop(1);
    made.run(4);
    made.start(1);
    made.run(9);
    expect(total(made)).to.equal(0);
    const small = fleet(2, 5, { at: (i) => (i < 4 ? 0 : 1) });
    small.run(120);
    expect(total(small)).to.equal(0);
  });

  it('tells no stream twice within a minute, however often it comes back', () => {
    const made = fleet(2, 100, { next: robin(2), at: () => 0 });
    made.run(60);
    expect(Math.max(...made.moves.values())).to.be.at.most(3);
  });

  it('tells no more in one round than were too many at its beginning, whoever comes back', () => {
    const made = fleet(2, 1000, { next: (from) => from, at: (i) => (i < 900 ? 0 : 1) });
    made.run(28);
    expect(total(made)).to.equal(400);
    expect(Math.max(...made.moves.values())).to.equal(1);
  });

  it('lets a stream stay for 20 s at least', () => {
    const age = new ConnectionAge<object>({
      ageMs: HALF_HOUR_MS,
      random: seededRandom(1),
      ready: () => true,
    });
    for (let i = 0; i < 10; i++) age.came({}, 5000);
    for (let now = 5000; now < 25_000; now += 1000) expect(age.turn(now, [0]).tell).to.deep.equal([]);
    expect(age.turn(25_000, [0]).tell).to.have.length(5);
  });

  it('tells a stream that does not move again after a minute at the earliest', () => {
    const age = new ConnectionAge<object>({
      ageMs: HALF_HOUR_MS,
      random: seededRandom(1),
      ready: () => true,
    });
    for (let i = 0; i < 10; i++) age.came({}, 0);
    const told = new Map<object, number[]>();
    for (let now = 1000; now < 600_000; now += 1000)
      for (const { stream } of age.turn(now, [0]).tell) told.set(stream, [...(told.get(stream) ?? []), now]);
    expect(told.size).to.be.above(4);
    for (const times of told.values())
      for (const [i, at] of times.slice(1).entries()) expect(at - (times[i] ?? 0)).to.be.at.least(MINUTE_MS);
    expect(Math.max(...[...told.values()].map(({ length }) => length))).to.be.above(1);
  });

  it('gives up on agents that know no other address, ever less often', () => {
    const made = fleet(2, 100, { next: (from) => from, at: (i) => (i < 95 ? 0 : 1) });
    made.run(600);
    const early = total(made);
    expect(early).to.be.within(45, 45 * 8);
    made.run(3600);
    expect(total(made) - early).to.be.at.most(45 * 5);
    expect(made.counts).to.deep.equal([95, 5]);
  });

  it('moves old streams on, each at an age of its own, and never lets a fleet swing', () => {
    const made = fleet(2, 2000);
    made.run(26 * 60);
    expect(total(made)).to.equal(0);
    for (let minute = 26; minute < 100; minute++) {
      made.run(60);
      expect(unevenness(made), `minute ${minute}: ${made.counts}`).to.be.at.most(0.12);
    }
    expect(made.why.age).to.be.above(2000);
    expect(made.told.slice(27 * 60, 30 * 60).flat()).to.satisfy((told: number[]) => told.some((n) => n > 0));
    // In the first minute at which one could be told, few are.
    expect(
      made.told
        .slice(27 * 60, 28 * 60)
        .flat()
        .reduce((a, b) => a + b),
    ).to.be.below(1000);
    expect(most(made.told)).to.be.at.most(toldPerSecondMax);
  });

  it('moves no more old streams than leave a replica its share', () => {
    const made = fleet(2, 2, { at: () => 0 });
    made.run(26 * 60);
    expect(made.counts).to.deep.equal([2, 0]);
    made.run(8 * 60);
    for (let minute = 0; minute < 90; minute++) {
      made.run(60);
      expect(made.counts, `minute ${minute}`).to.deep.equal([1, 1]);
    }
  });

  it('tells nobody at 0, nor where there is no other replica', () => {
    const never = fleet(2, 100, { ageMs: 0, at: () => 0 });
    never.run(7200);
    expect(total(never)).to.equal(0);
    const alone = fleet(1, 100);
    alone.run(7200);
    expect(total(alone)).to.equal(0);
  });

  it('passes over a stream that takes nothing, and forgets those that have left', () => {
    const stuck = { name: 'stuck' };
    const random = seededRandom(1);
    const age = new ConnectionAge<{ name: string }>({
      ageMs: HALF_HOUR_MS,
      random,
      ready: (stream) => stream !== stuck,
      settleMs: 0,
      stayMs: 0,
    });
    const streams = [stuck, ...Array.from({ length: 9 }, (_, i) => ({ name: `${i}` }))];
    for (const stream of streams) age.came(stream, 0);
    age.left(streams[1] as { name: string });
    age.turn(1000, [0]);
    const { tell, round } = age.turn(2000, [0]);
    expect(tell.map(({ stream }) => stream.name)).to.deep.equal(['1', '2', '3', '4']);
    expect(round).to.deep.equal({ agents: 9, fairShare: 4.5, telling: 4 });
    expect(age.turn(3000, [0]).tell).to.deep.equal([]);
  });
});
