/**
 * Calls into this service that wait for their turn, over a wire that isn't there: nothing is read for them, they begin in order and
 * in their own surroundings, and whoever leaves leaves at once.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createServerInterceptor } from '../../../agent/server-interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { told } from '../../support/guarded.js';
import { type ArrivalOptions, arrive, type NullWire } from '../../support/null-wire.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec, effectiveOf } from '../../support/specs.js';
import { bench, settled } from '../../support/targets.js';

const { status } = grpc;
const line = (maxQueue: number, queueTimeoutMs?: number) =>
  effectiveOf({
    bulkhead: bulkheadSpec(1, { maxQueue, ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }) }),
  });

function server(effective: Effective = {}) {
  const decisions = told();
  const made = bench(effective, { decisions });
  const interceptor = createServerInterceptor(made.targets);
  return Object.assign(made, { decisions, make: (options?: ArrivalOptions) => arrive(interceptor, options) });
}

describe('an inbound call in line', () => {
  it('reads nothing, and begins when its turn comes, with all that happened meanwhile in order', async () => {
    const { make, targets } = server(line(2));
    const first = make();
    const second = make();
    const third = make();
    expect([second.heard, second.wire.reads]).to.deep.equal([[], 0]);
    // An interceptor nearer to the wire may read by itself.
    second.wire.listener?.onReceiveMessage('a');
    second.wire.listener?.onReceiveHalfClose();
    first.end();
    expect(second.heard).to.deep.equal([]);
    await settled();
    expect(second.heard).to.deep.equal(['metadata', 'message a', 'half-close']);
    expect(third.heard).to.deep.equal([]);
    second.end();
    await settled();
    third.end();
    expect(targets.permitsOut).to.equal(0);
  });

  it('begins in its own surroundings, not in those of whoever made room', async () => {
    const storage = new AsyncLocalStorage<string>();
    const { make } = server(line(1));
    const first = make();
    let seen: string | undefined;
    const onEvent = () => {
      seen = storage.getStore();
    };
    storage.run('its own', () => make({ onEvent }));
    storage.run('another', () => first.end());
    await settled();
    expect(seen).to.equal('its own');
  });

  it('is turned away when its time there is over, or its deadline', () => {
    const { make, targets, clock } = server(line(2, 100));
    make();
    const patient = make();
    const hasty = make({ deadline: clock.wallNow() + 50 });
    clock.advance(50);
    expect(hasty.wire.statuses[0]).to.include({
      code: status.DEADLINE_EXCEEDED,
      details:
        "[deadline_exceeded] self: no slot came free before the caller's deadline (policy inventory-default@7)",
    });
    clock.advance(50);
    expect(patient.wire.statuses[0]).to.include({
      code: status.RESOURCE_EXHAUSTED,
      details:
        '[bulkhead_timeout] self: no slot came free within 100 ms; slow down (policy inventory-default@7)',
    });
    expect([hasty.heard, patient.heard, targets.permitsOut]).to.deep.equal([[], [], 1]);
  });

  it('leaves in the tick of its cancel, and its place with it', async () => {
    const { make, targets } = server(line(1));
    const first = make();
    const gone = make();
    gone.cancel();
    expect(targets.permitsOut).to.equal(1);
    const next = make();
    first.end();
    await settled();
    expect([gone.heard, next.heard]).to.deep.equal([['cancel'], ['metadata']]);
    next.end();
    expect(targets.permitsOut).to.equal(0);
  });

  it('that is cancelled, or answered, between its grant and its beginning passes its place on', async () => {
    for (const how of ['cancel', 'end'] as const) {
      const { make, targets } = server(line(2));
      const first = make();
      const second = make();
      const third = make();
      first.end();
      second[how]();
      await settled();
      expect(second.heard).to.not.include('metadata');
      expect(third.heard).to.deep.equal(['metadata']);
      third.end();
      expect(targets.permitsOut).to.equal(0);
    }
  });

  it('that is granted a place after its deadline does not take it', async () => {
    const { make, targets, clock } = server(line(2));
    const first = make();
    const late = make({ deadline: clock.wallNow() + 100 });
    const next = make();
    // The clock is ahead of its timers, as when the event loop was held up.
    const { now } = clock;
    clock.now = () => now.call(clock) + 100;
    first.end();
    await settled();
    expect(late.wire.statuses[0]?.code).to.equal(status.DEADLINE_EXCEEDED);
    expect(next.heard).to.deep.equal(['metadata']);
    next.end();
    expect(targets.permitsOut).to.equal(0);
  });

  it('that has to make room for a more critical one is told so', () => {
    const { make, targets } = server(line(1));
    make();
    const { call, wire, heard } = make();
    (call as unknown as { displaced(): void }).displaced();
    (call as unknown as { displaced(): void }).displaced();
    expect(wire.statuses).to.have.length(1);
    expect(wire.statuses[0]).to.include({
      code: status.RESOURCE_EXHAUSTED,
      details:
        '[overloaded] self: gave up its place in line to a more critical call (policy inventory-default@7)',
    });
    expect(wire.statuses[0]?.metadata?.get('switchgear-reject')).to.deep.equal(['overloaded']);
    expect([heard, targets.permitsOut]).to.deep.equal([[], 1]);
    expect(targets.drainCells()[0]).to.include({ rejected: 1 });
  });

  it('is let through when the mesh closes, as those are who come after', async () => {
    const { make, targets, clock } = server(line(1, 100));
    const first = make();
    const waiting = make();
    targets.close();
    const late = make();
    await settled();
    expect([waiting.heard, late.heard]).to.deep.equal([['metadata'], ['metadata']]);
    for (const { end } of [first, waiting, late]) end();
    expect([targets.permitsOut, clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  it('has its place where whoever makes room for it frees one in that same tick', async () => {
    const { make, targets, decisions } = server(line(1));
    const first = make();
    const displaced = make({ headers: { 'switchgear-criticality': 'sheddable' } });
    decisions.listener = () => first.end();
    const critical = make({ headers: { 'switchgear-criticality': 'critical-plus' } });
    await settled();
    expect(displaced.wire.statuses.map(({ code }) => code)).to.deep.equal([status.RESOURCE_EXHAUSTED]);
    expect(critical.heard).to.deep.equal(['metadata']);
    critical.end();
    expect([targets.permitsOut, targets.bulkheads()[0]?.inUse]).to.deep.equal([0, 0]);
  });

  it('is not answered twice where whoever hears why it leaves ends it', () => {
    const { make, targets, clock, decisions } = server(line(1, 100));
    const first = make();
    const late = make();
    decisions.listener = () => late.end(status.ABORTED);
    clock.advance(100);
    const displaced = make({ headers: { 'switchgear-criticality': 'sheddable' } });
    decisions.listener = () => displaced.end(status.ABORTED);
    const critical = make({ headers: { 'switchgear-criticality': 'critical-plus' } });
    for (const { wire } of [late, displaced])
      expect(wire.statuses.map(({ code }) => code)).to.deep.equal([status.ABORTED]);
    for (const { cancel } of [critical, first]) cancel();
    expect(targets.permitsOut).to.equal(0);
  });

  it('waits under the policy that it came under, and goes on when a new one makes room', async () => {
    const made = server(line(1));
    made.make();
    const waiting = made.make();
    made.apply(effectiveOf({ bulkhead: bulkheadSpec(2) }));
    await settled();
    expect(waiting.heard).to.deep.equal(['metadata']);
  });
});

describe('an inbound call that ends while its policies decide', () => {
  const ranked = (criticality: string) => ({ headers: { 'switchgear-criticality': criticality } });
  const idle = ({ targets }: ReturnType<typeof server>) => {
    expect([targets.permitsOut, targets.shadowPermitsOut]).to.deep.equal([0, 0]);
    expect(targets.bulkheads()[0] ?? { inUse: 0, queued: 0 }).to.include({ inUse: 0, queued: 0 });
  };

  it('never begins where others are let in before it, whether there is a place for it or not', async () => {
    const shares = { 'critical-plus': 0.5, sheddable: 0.5 };
    for (const others of [0, 1]) {
      const made = server(effectiveOf({ bulkhead: bulkheadSpec(2, { maxQueue: 5, shares }) }));
      const { make, clock, decisions } = made;
      const running = make(ranked('sheddable'));
      make(ranked('critical-plus')).end();
      const late = make({ ...ranked('sheddable'), deadline: clock.wallNow() + 50 });
      const waiting = Array.from({ length: others }, () => make(ranked('sheddable')));
      // The part of the most critical falls idle meanwhile, and no timer runs; nobody looks until the next call comes.
      clock.stall(1_100);
      const onWire = (wire: NullWire) => {
        decisions.listener = () => wire.listener?.onCancel();
      };
      const next = make({ ...ranked('sheddable'), onWire });
      await settled();
      expect(late.wire.statuses[0]?.code).to.equal(status.DEADLINE_EXCEEDED);
      expect(next.heard).to.deep.equal(['cancel']);
      for (const { cancel } of [running, ...waiting]) cancel();
      idle(made);
    }
  });

  it('never begins where that was in shadow, which gives back what it took', async () => {
    const made = server();
    made.apply({}, effectiveOf({ bulkhead: bulkheadSpec(1) }));
    const { make, decisions } = made;
    const first = make();
    const onWire = (wire: NullWire) => {
      decisions.listener = () => wire.listener?.onCancel();
    };
    const next = make({ onWire });
    next.wire.listener?.onReceiveMessage('late');
    await settled();
    expect([decisions.words, next.heard]).to.deep.equal([['would-reject bulkhead_full'], ['cancel']]);
    first.end();
    idle(made);
  });

  it('is not answered a second time where that was its rejection', () => {
    const made = server(effectiveOf({ bulkhead: bulkheadSpec(1) }));
    const first = made.make();
    const onWire = (wire: NullWire) => {
      made.decisions.listener = () => wire.listener?.onCancel();
    };
    const next = made.make({ onWire });
    expect([next.heard, next.wire.statuses]).to.deep.equal([['cancel'], []]);
    first.end();
    idle(made);
  });
});

describe('permits of inbound calls', () => {
  walks('come back after a thousand calls that end in every way', 5, async (random) => {
    const { make, targets, clock } = server(
      effectiveOf({ bulkhead: bulkheadSpec(5, { maxQueue: 10, queueTimeoutMs: 30 }) }),
    );
    const live: ReturnType<typeof make>[] = [];
    const pick = (below: number) => Math.floor(random.next() * below);
    let mostRunning = 0;
    for (let i = 0; i < 1_000; i++) {
      const deadline = pick(2) ? clock.wallNow() + pick(60) : Number.POSITIVE_INFINITY;
      live.push(make({ deadline }));
      for (let acts = pick(4); acts > 0 && live.length > 0; acts--) {
        const at = pick(live.length);
        const call = live[at];
        if (pick(2)) call?.end(pick(2) ? status.OK : status.UNKNOWN);
        else call?.cancel();
        if (pick(2)) live.splice(at, 1);
      }
      if (pick(3) === 0) clock.advance(pick(20));
      if (pick(3) === 0) await settled();
      mostRunning = Math.max(mostRunning, targets.permitsOut);
    }
    for (const { cancel } of live) cancel();
    expect(mostRunning).to.be.within(5, 15);
    expect(targets.permitsOut).to.equal(0);
    targets.close();
    expect(clock.pendingTimers).to.equal(0);
  });
});
