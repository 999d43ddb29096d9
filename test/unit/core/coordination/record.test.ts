/**
 * The state machine of a circuit of the mesh, transition by transition: what brings it about, and what does not.
 */
import { expect } from 'chai';
import { advance } from '../../../../core/coordination/record.js';
import { seededRandom } from '../../../../core/random.js';
import {
  clusterRecord,
  demandOf,
  halfOpenRecord,
  inventory,
  occasion,
  span,
  viewOf,
} from '../../../support/cluster-records.js';
import { circuitSpec } from '../../../support/specs.js';

const opens = { kind: 'open', zone: undefined, reason: '60 of 100 calls failed' } as const;
const override = { state: 'open', reason: 'maintenance', author: 'ada', revision: 3, endsAt: 1e9 } as const;
const wanted = { view: viewOf({}, { demand: demandOf('checkout/1', 'checkout/2', 'checkout/3') }) };

describe('a circuit of the mesh, closed', () => {
  it('has nothing to write while nothing is asked for, recorded or not', () => {
    expect(advance(undefined, occasion({ seq: 0 }))).to.equal(undefined);
    expect(advance(clusterRecord(), occasion({ ageMs: 60_000, refresh: true }))).to.equal(undefined);
  });

  it('opens for the first time with epoch 1 and seq 1, for openFor', () => {
    const record = advance(undefined, occasion({ seq: 0, verdict: opens }));
    expect(record).to.include({ id: inventory, state: 'open', epoch: 1, seq: 1, openMs: 5_000, openings: 1 });
    expect(record?.reason).to.equal('60 of 100 calls failed');
  });

  it('opens for twice as long if it has not been healthy for as long as it was open', () => {
    const before = clusterRecord({ openMs: 5_000, openings: 1 });
    expect(advance(before, occasion({ verdict: opens, ageMs: 4_999 }))).to.include({
      openings: 2,
      openMs: 10_000,
    });
    expect(advance(before, occasion({ verdict: opens, ageMs: 5_000 }))).to.include({
      openings: 1,
      openMs: 5_000,
    });
  });

  it('opens for at most a minute, or openFor if that is longer, with 20 % more or less', () => {
    const before = clusterRecord({ openMs: 60_000, openings: 9 });
    const at = (next: number, openForMs: number) =>
      advance(
        before,
        occasion({
          verdict: opens,
          random: { next: () => next },
          situation: { spec: circuitSpec({ openForMs }) },
        }),
      )?.openMs;
    expect([at(0, 5_000), at(0.5, 5_000), at(0.999999, 5_000)]).to.deep.equal([48_000, 60_000, 72_000]);
    expect(at(0.5, 120_000)).to.equal(120_000);
  });

  it('leaves to the zones what is asked for a zone, and opens that of the zone alone', () => {
    const zonal = { kind: 'open', zone: 'eu-1a', reason: 'r' } as const;
    expect(advance(undefined, occasion({ seq: 0, verdict: zonal }))).to.equal(undefined);
    expect(advance(undefined, occasion({ seq: 0, verdict: zonal, zone: 'eu-1a' }))?.state).to.equal('open');
    expect(advance(undefined, occasion({ seq: 0, verdict: zonal, zone: 'eu-1b' }))).to.equal(undefined);
  });

  it('begins above every epoch that its agents may have heard', () => {
    expect(advance(undefined, occasion({ seq: 0, floor: 40, verdict: opens }))?.epoch).to.equal(41);
  });
});

describe('a circuit of the mesh, open', () => {
  const open = clusterRecord({ state: 'open' });

  it('waits for its time, whatever the demand', () => {
    expect(advance(open, occasion({ ageMs: 4_999, situation: wanted }))).to.equal(undefined);
  });

  it('then draws K permits, in the epoch that begins, for at least two agents', () => {
    const record = advance(open, occasion({ ageMs: 5_000, situation: wanted }));
    expect(record).to.include({ state: 'half-open', epoch: 5, seq: 10, ageMs: 0, permitMs: 5_000 });
    expect(record?.permits.map(({ permit }) => permit)).to.deep.equal([1280, 1281, 1282]);
    expect(new Set(record?.permits.map(({ agent }) => agent)).size).to.equal(3);
    expect(record?.reason).to.equal('open for 5 s: 3 probes by 3 agents');
  });

  it('gives one agent all of them if no other has demand', () => {
    const situation = { view: viewOf({}, { demand: demandOf('checkout/1') }) };
    const record = advance(open, occasion({ ageMs: 5_000, situation }));
    expect(record?.permits.map(({ agent }) => agent)).to.deep.equal(Array(3).fill('checkout/1'));
  });

  it('draws at most 255', () => {
    const spec = circuitSpec({ halfOpen: { calls: 1_000, maxWaitMs: 30_000 } });
    const record = advance(open, occasion({ ageMs: 5_000, situation: { ...wanted, spec } }));
    expect(record?.permits).to.have.length(255);
    expect(record?.permits.at(-1)?.permit).to.equal(5 * 256 + 254);
  });

  it('prefers the agents that turn the most away', () => {
    const random = seededRandom(1);
    const demand = [
      { agent: 'busy', zone: '', blocked: 900 },
      { agent: 'idle', zone: '', blocked: 100 },
    ];
    const spec = circuitSpec({ halfOpen: { calls: 1, maxWaitMs: 30_000 } });
    const situation = { spec, view: viewOf({}, { demand }) };
    let busy = 0;
    for (let i = 0; i < 1_000; i++)
      if (advance(open, occasion({ ageMs: 5_000, situation, random }))?.permits[0]?.agent === 'busy') busy++;
    expect(busy).to.be.within(850, 950);
  });

  it('takes the demand of its own zone only', () => {
    const record = advance(open, occasion({ ageMs: 5_000, situation: wanted, zone: 'b' }));
    expect(new Set(record?.permits.map(({ agent }) => agent))).to.deep.equal(new Set(['checkout/2']));
  });

  it('waits for demand while agents report, and closes once none has for 2 × openFor', () => {
    expect(advance(open, occasion({ ageMs: 60_000 }))).to.equal(undefined);
    expect(advance(open, occasion({ ageMs: 60_000, situation: { silentMs: 9_999 } }))).to.equal(undefined);
    const closed = advance(open, occasion({ ageMs: 60_000, situation: { silentMs: 10_000 } }));
    expect(closed).to.include({ state: 'closed', epoch: 5, seq: 10 });
    expect(closed?.reason).to.include('nobody is calling');
  });

  it('does not take the second between two reports for silence, however short openFor is', () => {
    const spec = circuitSpec({ openForMs: 50 });
    expect(advance(open, occasion({ situation: { spec, silentMs: 2_900 } }))).to.equal(undefined);
    expect(advance(open, occasion({ situation: { spec, silentMs: 3_000 } }))?.state).to.equal('closed');
  });

  it('writes its age anew when it is time to, in the same epoch', () => {
    const record = advance(open, occasion({ ageMs: 2_000.4, refresh: true }));
    expect(record).to.deep.equal({ ...open, seq: 10, ageMs: 2_000 });
  });

  it('rises above what its agents have heard of another record', () => {
    expect(advance(open, occasion({ floor: 6, ageMs: 1_000 }))).to.include({
      state: 'open',
      epoch: 7,
      ageMs: 1_000,
    });
  });

  it('of a zone closes when that of all opens', () => {
    expect(advance(open, occasion({ yields: true, floor: 6 }))).to.include({ state: 'closed', epoch: 5 });
  });
});

describe('a circuit of the mesh, half-open', () => {
  const halfOpen = halfOpenRecord(3);
  const [first, second, third] = halfOpen.permits.map(({ permit }) => permit) as [number, number, number];
  const heard = (...ends: [number, boolean][]) =>
    occasion({ outcomes: new Map(ends.map(([permit, ok]) => [permit, ok ? 'ok' : 'failed'])) });

  it('notes what a probe came to, and goes on', () => {
    const record = advance(halfOpen, heard([first, true]));
    expect(record).to.include({ state: 'half-open', epoch: 4, seq: 10 });
    expect(record?.permits.map(({ outcome }) => outcome)).to.deep.equal(['ok', undefined, undefined]);
  });

  it('ramps when all are in and too few failed', () => {
    const ends: [number, boolean][] = [
      [first, true],
      [second, false],
      [third, true],
    ];
    expect(advance(halfOpen, heard(...ends))).to.include({ state: 'ramping', step: 0, epoch: 5 });
  });

  it('opens again for twice as long as soon as closing is impossible', () => {
    const record = advance(halfOpen, heard([first, false], [third, false]));
    expect(record).to.include({ state: 'open', openings: 2, openMs: 10_000, epoch: 5 });
    expect(record?.reason).to.equal('2 of 3 probes failed');
    expect(record?.permits).to.deep.equal([]);
  });

  it('takes no notice of results of another epoch', () => {
    expect(advance(halfOpen, heard([3 * 256, false], [3 * 256 + 1, false], [5 * 256, true]))).to.equal(
      undefined,
    );
  });

  it('does not hear twice what it has heard', () => {
    const noted = advance(halfOpen, heard([first, true]));
    expect(noted && advance(noted, heard([first, false]))).to.equal(undefined);
  });

  it('decides without those that were lost', () => {
    const late = { ageMs: 5_000 };
    expect(advance(halfOpen, { ...heard([first, true]), ...late })?.state).to.equal('ramping');
    const one = advance(halfOpen, { ...heard([first, true], [second, false]), ...late });
    expect(one).to.include({ state: 'open', reason: '1 of 2 probes failed' });
  });

  it('draws others in a new epoch when all were lost, good for twice as long up to maxWait', () => {
    const record = advance(halfOpen, occasion({ ageMs: 5_000, situation: wanted }));
    expect(record).to.include({ state: 'half-open', epoch: 5, permitMs: 10_000 });
    expect(record?.permits.map(({ permit }) => permit)).to.deep.equal([1280, 1281, 1282]);
    const longest = { ...halfOpen, permitMs: 20_000 };
    expect(advance(longest, occasion({ ageMs: 20_000, situation: wanted }))?.permitMs).to.equal(30_000);
  });

  it('waits with lost ones while nobody is turned away, and closes in silence', () => {
    const lost = advance(halfOpen, occasion({ ageMs: 5_000 }));
    expect(lost?.permits.map(({ outcome }) => outcome)).to.deep.equal(['lost', 'lost', 'lost']);
    expect(lost && advance(lost, occasion({ ageMs: 8_000 }))).to.equal(undefined);
    const closed = lost && advance(lost, occasion({ ageMs: 8_000, situation: { silentMs: 10_000 } }));
    expect(closed?.state).to.equal('closed');
  });
});

describe('a circuit of the mesh, ramping', () => {
  const ramping = (step: number) => clusterRecord({ state: 'ramping', step });

  it('goes up a step at a time, each held for rampStep, and closes after the last', () => {
    expect(advance(ramping(0), occasion({ ageMs: 1_999 }))).to.equal(undefined);
    for (const step of [0, 1, 2])
      expect(advance(ramping(step), occasion({ ageMs: 2_000 }))).to.include({
        state: 'ramping',
        step: step + 1,
        ageMs: 0,
      });
    expect(advance(ramping(3), occasion({ ageMs: 2_000 }))).to.include({ state: 'closed', step: 0 });
  });

  it('opens again for twice as long at the first failure too many, in the middle of a step', () => {
    const situation = { view: viewOf({ calls: 10, failed: 5 }) };
    const record = advance(ramping(1), occasion({ ageMs: 300, situation }));
    expect(record).to.include({ state: 'open', openings: 2, openMs: 10_000 });
    expect(record?.reason).to.equal('5 of 10 calls failed at 25 % of the calls');
  });

  it('judges by what came within the step, and by no fewer calls than there were probes', () => {
    const spans = [span(1_000, { calls: 100 }), span(2_000, { calls: 300, failed: 200 })];
    const before = { view: { ...viewOf({}), spans } };
    expect(advance(ramping(1), occasion({ ageMs: 1_500, situation: before }))).to.equal(undefined);
    const few = { view: viewOf({ calls: 2, failed: 2 }) };
    expect(advance(ramping(1), occasion({ ageMs: 1_500, situation: few }))).to.equal(undefined);
  });

  it('of a zone is judged by its zone', () => {
    const zones = [{ name: 'a', calls: 10, failed: 9, slow: 0, agents: 3, over: 3 }];
    const view = { ...viewOf({}), spans: [span(250, { calls: 1_000, failed: 9 }, { zones })] };
    const of = (zone: string | undefined) =>
      advance(ramping(0), occasion({ ageMs: 300, zone, situation: { view } }));
    expect(of('a')?.state).to.equal('open');
    expect(of('b')).to.equal(undefined);
    expect(of(undefined)).to.equal(undefined);
  });

  it('closes in silence', () => {
    expect(advance(ramping(1), occasion({ situation: { silentMs: 10_000 } }))?.state).to.equal('closed');
  });
});

describe('a circuit of the mesh under an override', () => {
  it('takes it up as a transition, stands still, and lets it go as another', () => {
    const open = clusterRecord({ state: 'open' });
    const forced = advance(open, occasion({ override, ageMs: 1_000 }));
    expect(forced).to.include({ state: 'open', epoch: 5, seq: 10, override: 3, ageMs: 1_000 });
    expect(forced?.reason).to.equal('forced open by ada: maintenance');
    if (!forced) return;
    const silent = { ...wanted, silentMs: 1e6 };
    expect(advance(forced, occasion({ override, ageMs: 9e5, situation: silent }))).to.equal(undefined);
    const free = advance(forced, occasion({ seq: 10, ageMs: 9e5 }));
    expect(free).to.include({ state: 'open', epoch: 6, seq: 11 });
    expect(free).not.to.have.property('override');
  });

  it('takes the permits that are out', () => {
    const forced = advance(halfOpenRecord(3), occasion({ override }));
    expect(forced?.permits.every(({ outcome }) => outcome === 'lost')).to.equal(true);
  });

  it('is recorded for a circuit that has never been open', () => {
    const forced = advance(undefined, occasion({ seq: 0, override }));
    expect(forced).to.include({ state: 'closed', epoch: 1, seq: 1, override: 3 });
  });
});

describe('a circuit of the mesh in shadow', () => {
  it('is judged by calls as they come, since nobody probes', () => {
    const open = clusterRecord({ state: 'open' });
    const half = advance(open, occasion({ shadow: true, ageMs: 5_000 }));
    expect(half).to.include({ state: 'half-open', epoch: 5 });
    if (!half) return;
    const bad = { view: viewOf({ calls: 10, failed: 9 }) };
    const good = { view: viewOf({ calls: 10, failed: 1 }) };
    expect(advance(half, occasion({ shadow: true, ageMs: 400, situation: bad }))?.state).to.equal('open');
    expect(advance(half, occasion({ shadow: true, ageMs: 400, situation: good }))).to.equal(undefined);
    expect(advance(half, occasion({ shadow: true, ageMs: 2_000, situation: good }))?.state).to.equal(
      'ramping',
    );
  });
});
