/**
 * What of the operators' decisions holds at a replica: how long, by which clock, and who is told. Store and mirror are real, the
 * time is the test's.
 */
import { expect } from 'chai';
import { openMirror } from '../../../control-plane/mirror.js';
import { createOverrides } from '../../../control-plane/overrides.js';
import type { Mirror, Overrides } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Store } from '../../../control-plane/store/store.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { type CircuitsChange, changedSetting, circuitsName } from '../../../core/coordination/overrides.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const id = 'inventory|guard';
const MINUTE = 60_000;

describe('overrides at a replica', () => {
  let store: Store;
  let mirror: Mirror;
  let clock: VirtualClock;
  let overrides: Overrides;
  let changes: string[][];
  let opened: Overrides[];

  beforeEach(async () => {
    clock = new VirtualClock(1000);
    store = await openStore('memory', { mesh: 'm', replica: 'r1' });
    mirror = await openMirror(store, { replica: 'r1' });
    opened = [];
    changes = [];
    overrides = start();
    overrides.onChange((circuits) => changes.push([...circuits]));
  });

  afterEach(async () => {
    for (const one of opened) one.close();
    expect(clock.pendingTimers, 'timers left').to.equal(0);
    await mirror.close();
    await store.close();
  });

  const start = (): Overrides => {
    const made = createOverrides({ mirror, clock, logger: silentLogger });
    opened.push(made);
    return made;
  };
  let requests = 0;
  const write = async (change: CircuitsChange, by: Overrides = overrides) => {
    const before = mirror.overrides?.setting.document;
    const isOver = (made: number) => by.isOver(made);
    const document = changedSetting(before, change, { author: 'ada', wallNow: clock.wallNow(), isOver });
    if (document === undefined) return;
    await mirror.write({
      ...{ requestId: `r${requests++}`, author: 'ada', action: 'override' },
      operations: [{ kind: 'put', name: circuitsName, document, expected: 'any' }],
    });
  };
  const force = (state: 'open' | 'closed', ttlMs: number, circuit = id) =>
    write({ circuit, put: { state, reason: 'drill', ttlMs } });

  it('hold nothing at first', () => {
    expect(overrides.override(id)).to.equal(undefined);
    expect([overrides.all().size, overrides.lately().size, overrides.frozen()]).to.deep.equal([0, 0, '']);
  });

  it('hold for their time, on the monotonic clock, and end by themselves', async () => {
    await force('open', MINUTE);
    expect(overrides.override(id)).to.deep.equal({
      ...{ state: 'open', reason: 'drill', author: 'ada', revision: 1, endsAt: 1000 + MINUTE },
    });
    clock.wallOffset = 1e9;
    clock.advance(MINUTE - 1);
    expect(overrides.override(id)).to.include({ state: 'open' });
    clock.advance(1);
    expect(overrides.override(id)).to.equal(undefined);
    expect(changes).to.deep.equal([[id], [id]]);
  });

  it('have what the wall clock leaves of them at a replica that starts later', async () => {
    await force('open', MINUTE);
    clock.advance(MINUTE / 4);
    const late = start();
    expect(late.override(id)).to.include({ revision: 1, endsAt: 1000 + MINUTE });
    clock.wallOffset = MINUTE;
    expect(start().override(id)).to.equal(undefined);
    // A clock that is behind gives nothing more than was said.
    clock.wallOffset = -10 * MINUTE;
    expect(start().override(id)?.endsAt).to.equal(1000 + MINUTE / 4 + MINUTE);
  });

  it('keep their end and their number when another is written', async () => {
    await force('open', MINUTE);
    clock.advance(1000);
    await force('closed', MINUTE, 'payments|guard');
    expect(overrides.override(id)).to.include({ revision: 1, endsAt: 1000 + MINUTE });
    expect(overrides.override('payments|guard')).to.include({ revision: 2, endsAt: 2000 + MINUTE });
    expect(changes).to.deep.equal([[id], ['payments|guard']]);
  });

  it('begin anew when they are said anew, which is told', async () => {
    await force('open', MINUTE);
    clock.advance(1000);
    await force('open', MINUTE);
    expect(overrides.override(id)).to.include({ revision: 2, endsAt: 2000 + MINUTE });
    expect(changes).to.deep.equal([[id], [id]]);
  });

  it('leave the document with the next write once they are over, and not before', async () => {
    await force('open', MINUTE);
    clock.advance(MINUTE / 2);
    await force('open', MINUTE, 'b|guard');
    clock.advance(MINUTE / 2);
    expect(mirror.overrides?.setting.overrides.size).to.equal(2);
    await force('open', MINUTE, 'c|guard');
    expect([...(mirror.overrides?.setting.overrides.keys() ?? [])]).to.deep.equal(['b|guard', 'c|guard']);
  });

  it('are remembered for a minute, so that agents hear of their end', async () => {
    await force('open', MINUTE);
    await write({ circuit: id, put: undefined });
    expect([...overrides.all().keys()]).to.deep.equal([]);
    expect([...overrides.lately()]).to.deep.equal([id]);
    clock.advance(MINUTE);
    expect([...overrides.lately()]).to.deep.equal([]);
    expect(changes).to.deep.equal([[id], [id]]);
  });

  it('freeze and thaw, and end a freeze that has a time', async () => {
    await write({ circuit: undefined, put: { reason: 'panic', ttlMs: undefined } });
    clock.advance(100 * MINUTE);
    expect(overrides.frozen()).to.equal('frozen by ada: panic');
    expect(overrides.freeze()?.endsAt).to.equal(Number.POSITIVE_INFINITY);
    await write({ circuit: undefined, put: undefined });
    expect(overrides.frozen()).to.equal('');
    await write({ circuit: undefined, put: { reason: 'panic', ttlMs: MINUTE } });
    clock.advance(MINUTE);
    expect(overrides.frozen()).to.equal('');
    expect(changes).to.deep.equal([[], [], [], []]);
  });

  it('stay as they are when the store holds nonsense, which is a fault', async () => {
    await force('open', MINUTE);
    const nonsense = { kind: 'put', name: circuitsName, document: '{}', expected: 'any' } as const;
    await mirror.write({ requestId: 'x', author: 'eve', action: 'override', operations: [nonsense] });
    expect(overrides.override(id)).to.include({ state: 'open' });
    expect(mirror.faults[0]?.message).to.match(/no valid list of overrides .*revision 1 stays/);
  });

  it('outlive a listener that throws', async () => {
    overrides.onChange(() => {
      throw new Error('no');
    });
    await force('open', MINUTE);
    expect(overrides.override(id)).to.include({ state: 'open' });
  });
});
