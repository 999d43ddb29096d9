/**
 * Traps 1 to 5 of the reference: real defects of well-known libraries around the half-open circuit, each as it was, through
 * everything that a call goes through.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { createInterceptor } from '../../../agent/interceptor.js';
import { MeshError } from '../../../core/errors.js';
import { NullCall, stubbedCall } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const fails = () => Promise.reject(new Error('broken'));

/** A circuit that the next call probes. */
async function halfOpen(sections: Parameters<typeof effectiveOf>[0] = {}) {
  const made = bench(effectiveOf({ circuit, ...sections }));
  await rejectionOf(guard(made.targets, 'db', fails));
  made.clock.advance(5_000);
  return Object.assign(made, { state: () => made.targets.circuit('db').state });
}

/** Closes it, which takes all its permits: one that was lost would keep it half-open. */
async function closes({ targets, state }: Awaited<ReturnType<typeof halfOpen>>): Promise<void> {
  for (let i = 0; i < 3; i++) await guard(targets, 'db', async () => i);
  expect(state()).to.equal('closed');
  expect(targets.permitsOut).to.equal(0);
}

describe('trap 1: a late result of an earlier epoch decides half-open', () => {
  for (const outcome of ['success', 'failure'] as const) {
    it(`trap 1: a ${outcome} from before the trip, arriving mid-probe, decides nothing`, async () => {
      const made = bench(effectiveOf({ circuit }));
      const { clock, targets } = made;
      const old = Array.from({ length: 10 }, () => work());
      const late = old.map(({ fn }) => guard(targets, 'db', fn).catch(() => undefined));
      await rejectionOf(guard(targets, 'db', fails));
      clock.advance(5_000);
      const probes = [work(), work(), work()];
      const probing = probes.map(({ fn }) => guard(targets, 'db', fn));
      for (const { succeed, fail } of old) {
        if (outcome === 'success') succeed();
        else fail();
      }
      await Promise.all(late);
      expect(targets.circuit('db').state).to.equal('half-open');
      for (const { succeed } of probes) succeed();
      await Promise.all(probing);
      expect(targets.circuit('db').state).to.equal('closed');
      expect(made.changes.map(({ to }) => to)).to.deep.equal(['open', 'half-open', 'closed']);
    });
  }
});

describe('trap 2: a half-open permit never comes back', () => {
  it('trap 2: of a probe whose error says nothing of the target', async () => {
    const made = await halfOpen();
    for (let i = 0; i < 10; i++) {
      await rejectionOf(
        guard(made.targets, 'db', () => Promise.reject(new MeshError('rate_limited', 'within'))),
      );
    }
    await closes(made);
  });

  it('trap 2: of a call that another stage turns away', async () => {
    const made = await halfOpen({ bulkhead: bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 50 }) });
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    for (let i = 0; i < 10; i++) {
      const waits = guard(made.targets, 'db', async () => i);
      expect(await rejectionOf(guard(made.targets, 'db', async () => i))).to.have.property(
        'code',
        'bulkhead_full',
      );
      made.clock.advance(50);
      expect(await rejectionOf(waits)).to.have.property('code', 'bulkhead_timeout');
    }
    held.succeed();
    await running;
    for (let i = 0; i < 2; i++) await guard(made.targets, 'db', async () => i);
    expect(made.state()).to.equal('closed');
  });

  it('trap 2: of a probe that its caller cancels, in line, at its start or in flight', async () => {
    const made = await halfOpen({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) });
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const running = guard(made.targets, 'db', work().fn, { signal: controller.signal });
      const waiting = guard(made.targets, 'db', work().fn, { signal: controller.signal });
      const before = guard(made.targets, 'db', work().fn, { signal: AbortSignal.abort() });
      controller.abort();
      await Promise.all([running, waiting, before].map(rejectionOf));
    }
    expect(made.state()).to.equal('half-open');
    await closes(made);
  });

  it('trap 2: of a probe that hangs: its deadline is its lease, and without one maxWait ends the round', async () => {
    const made = await halfOpen({ timeout: 300 });
    const hung = Array.from({ length: 3 }, () => guard(made.targets, 'db', work().fn));
    made.clock.advance(300);
    await Promise.all(hung.map(rejectionOf));
    expect(made.state()).to.equal('open');
    const bare = await halfOpen();
    for (let i = 0; i < 3; i++) void guard(bare.targets, 'db', work().fn);
    bare.clock.advance(30_000);
    expect(await rejectionOf(guard(bare.targets, 'db', async () => 1))).to.have.property(
      'code',
      'circuit_open',
    );
    bare.clock.advance(10_000);
    for (let i = 0; i < 3; i++) await guard(bare.targets, 'db', async () => i);
    expect(bare.state()).to.equal('closed');
  });

  it('trap 2: of a gRPC call whose transport throws, or is cancelled before its status', async () => {
    const made = await halfOpen();
    const interceptor = createInterceptor(made.targets, 'db');
    for (let i = 0; i < 10; i++) {
      const broken = () => {
        throw new Error('no channel');
      };
      expect(() => stubbedCall(made.targets, interceptor, { nextCall: broken })).to.throw('no channel');
      const { call, wire } = stubbedCall(made.targets, interceptor, {
        nextCall: (options) => Object.assign(new NullCall(options), { answersCancel: false }),
      });
      call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      wire()?.end(status.CANCELLED);
    }
    await closes(made);
  });
});

describe('trap 2: a probe that is cancelled by a listener of its own transition', () => {
  /** A call in line whose turn comes when its circuit, open meanwhile, may be probed. */
  function inLine() {
    const made = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    const next = async () => {
      made.targets.restore({ 'db|inventory-default': { remainingMs: 5_000, openings: 1 } }, 0);
      made.clock.advance(5_000);
      held.succeed();
      await running;
      await settled();
    };
    return { made, next };
  }

  async function allPermitsAreThere(targets: Bench['targets']): Promise<void> {
    // Another call first, so that no row of a permit hides what was lost in it.
    const other = work();
    const running = guard(targets, 'other', other.fn);
    for (let i = 0; i < 3; i++) await guard(targets, 'db', async () => i);
    expect(targets.circuit('db').state).to.equal('closed');
    other.succeed();
    await running;
    expect(targets.permitsOut).to.equal(0);
  }

  it('trap 2: guarded: gives its permit back, which is not even taken', async () => {
    const { made, next } = inLine();
    const { targets } = made;
    const controller = new AbortController();
    const queued = rejectionOf(guard(targets, 'db', work().fn, { signal: controller.signal }));
    made.listener = ({ to }) => {
      if (to === 'half-open') controller.abort('by a listener');
    };
    await next();
    expect(await queued).to.equal('by a listener');
    await allPermitsAreThere(targets);
  });

  it('trap 2: over gRPC: likewise, and its client hears of the cancel once', async () => {
    const { made, next } = inLine();
    const { targets } = made;
    const { call, client, wire } = stubbedCall(targets, createInterceptor(targets, 'db'));
    made.listener = ({ to }) => {
      if (to === 'half-open') call.cancelWithStatus(status.CANCELLED, 'by a listener');
    };
    await next();
    expect([client.heard, wire()]).to.deep.equal([['message null', 'status CANCELLED'], undefined]);
    await allPermitsAreThere(targets);
  });

  it('trap 2: over gRPC without a line: the cancel from within is not missed', async () => {
    const made = await halfOpen();
    const { call, client, wire } = stubbedCall(made.targets, createInterceptor(made.targets, 'db'), {
      start: false,
    });
    made.listener = ({ to }) => {
      if (to === 'half-open') call.cancelWithStatus(status.CANCELLED, 'by a listener');
    };
    call.start(new grpc.Metadata(), client.listener);
    await settled();
    expect([client.heard, wire()]).to.deep.equal([['message null', 'status CANCELLED'], undefined]);
    await closes(made);
  });
});

describe('trap 3: a cancelled or ignored probe read as success', () => {
  it('trap 3: by an abort, a rejection from within, a cancelled gRPC call, a callee that sheds', async () => {
    const made = await halfOpen();
    const interceptor = createInterceptor(made.targets, 'db');
    const shed = new grpc.Metadata();
    shed.set('switchgear-reject', 'overloaded');
    for (let i = 0; i < 10; i++) {
      const controller = new AbortController();
      const aborted = guard(made.targets, 'db', work().fn, { signal: controller.signal });
      controller.abort();
      await rejectionOf(aborted);
      await rejectionOf(
        guard(made.targets, 'db', () => Promise.reject(new MeshError('circuit_open', 'within'))),
      );
      const { call } = stubbedCall(made.targets, interceptor);
      call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      await settled();
      stubbedCall(made.targets, interceptor).wire()?.end(status.UNAVAILABLE, 'busy', shed);
      expect(made.state()).to.equal('half-open');
    }
    await closes(made);
  });

  it('trap 3: by a stream that its caller cancels as its first message is on the way', async () => {
    const made = await halfOpen();
    const interceptor = createInterceptor(made.targets, 'db');
    for (let i = 0; i < 10; i++) {
      const { call, wire } = stubbedCall(made.targets, interceptor, { responseStream: true });
      call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      wire()?.message('too late');
      await settled();
    }
    expect(made.state()).to.equal('half-open');
    await closes(made);
  });
});

describe('trap 4: a half-open stampede', () => {
  it('trap 4: of 1,000 concurrent calls as many are let through as there are permits', async () => {
    const made = await halfOpen();
    const held = work();
    const calls = Array.from({ length: 1_000 }, () => guard(made.targets, 'db', held.fn));
    const rejected = calls.slice(3).map(rejectionOf);
    expect(held.started()).to.equal(3);
    for (const error of await Promise.all(rejected)) expect(error).to.have.property('code', 'circuit_open');
    for (let i = 0; i < 3; i++) held.succeed();
    await Promise.all(calls.slice(0, 3));
    expect(made.state()).to.equal('closed');
  });

  it('trap 4: likewise of 1,000 gRPC calls, and of 1,000 that come out of a line at once', async () => {
    const made = await halfOpen();
    const interceptor = createInterceptor(made.targets, 'db');
    const calls = Array.from({ length: 1_000 }, () => stubbedCall(made.targets, interceptor));
    expect(calls.filter(({ wire }) => wire())).to.have.lengthOf(3);
    const line = bulkheadSpec(1, { maxQueue: 1_000, queueTimeoutMs: 60_000 });
    const lined = await halfOpen({ bulkhead: line });
    const held = work();
    const probe = guard(lined.targets, 'db', held.fn);
    const waiting = work();
    const others = Array.from({ length: 999 }, () => rejectionOf(guard(lined.targets, 'db', waiting.fn)));
    await settled();
    expect([held.started(), waiting.started()]).to.deep.equal([1, 0]);
    lined.apply(effectiveOf({ circuit, bulkhead: bulkheadSpec(1_000) }));
    await settled();
    // Two permits were left; whoever came without one was turned away by the circuit.
    expect(waiting.started()).to.equal(2);
    held.succeed();
    await probe;
    for (let i = 0; i < 2; i++) waiting.fail();
    const codes = (await Promise.all(others)).map((error) => (error as { code?: string }).code);
    expect(codes.filter((code) => code === 'circuit_open')).to.have.lengthOf(997);
  });
});

describe('trap 5: stuck open', () => {
  it('trap 5: after six failures at once it is half-open later all the same', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit }));
    const six = Array.from({ length: 6 }, () => work());
    const calls = six.map(({ fn }) => rejectionOf(guard(targets, 'db', fn)));
    for (const { fail } of six) fail();
    await Promise.all(calls);
    expect(targets.circuit('db').state).to.equal('open');
    clock.advance(5_000);
    expect(targets.circuit('db').state).to.equal('half-open');
    for (let i = 0; i < 3; i++) await guard(targets, 'db', async () => i);
    expect(targets.circuit('db').state).to.equal('closed');
  });
});
