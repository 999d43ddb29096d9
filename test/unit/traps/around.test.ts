/**
 * Traps 10 to 21 of the reference, as far as this release has what they are about: listeners, the control plane, lines,
 * leaks, and changes of policy.
 */
import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { capabilities } from '../../../agent/capabilities.js';
import { guard } from '../../../agent/guard.js';
import { createInterceptor } from '../../../agent/interceptor.js';
import { effective, PolicyIndex, parsePolicy } from '../../../core/policy/index.js';
import { AgentSession } from '../../../core/sync/session.js';
import { NullCall, stubbedCall } from '../../support/null-transport.js';
import { olderAgents } from '../../support/older-agents.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const fails = () => Promise.reject(new Error('broken'));

/** With the system's own clock, and limits that were set and lifted. */
const tenThousandCircuits = `
  import { guard } from './agent/guard.ts';
  import { Targets } from './agent/targets.ts';
  import { systemClock } from './core/clock.ts';
  import { systemRandom } from './core/random.ts';
  import { circuitSpec, effectiveOf } from './test/support/specs.ts';
  const quiet = () => {};
  const effective = effectiveOf({ circuit: circuitSpec({ minimumCalls: 1 }), timeout: 3_600_000 });
  const targets = new Targets({
    service: 'checkout', clock: systemClock, random: systemRandom,
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    effective: () => effective, onNewCallee: quiet, onCircuit: quiet,
  });
  for (let i = 0; i < 10_000; i++) await guard(targets, 'name ' + i, () => Promise.reject(new Error())).catch(quiet);
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout');
  process.stdout.write(targets.circuits().length + ' circuits, ' + timers.length + ' timers');
`;

/** A document as it comes over the stream: policy `<to>-default`, or `all-default` for everybody. */
function documentOf(to: string, spec: object, revision: number, rest: object = {}) {
  const parsed = parsePolicy({ policy: `${to === '*' ? 'all' : to}-default`, match: { to }, spec, ...rest });
  if (!parsed.ok)
    throw new Error(`the test wrote what no store would take: ${JSON.stringify(parsed.issues)}`);
  const { name, document, hash } = parsed.policy;
  return { name, document, hash, revision };
}

/** Session and targets of an agent, as the SDK puts them together, without a stream. */
class TestAgent {
  readonly session = new AgentSession({ capabilities });
  readonly made: Bench = bench();
  #revision = 0;

  push(to: string, spec: object, rest: object = {}): ReturnType<AgentSession['apply']> {
    const revision = ++this.#revision;
    const upserts = [documentOf(to, spec, revision, rest)];
    const applied = this.session.apply({ dataset: 'd', revision, complete: false, upserts, removals: [] });
    this.refresh();
    return applied;
  }

  refresh(): void {
    const index = new PolicyIndex(this.session.policies().values());
    this.made.policies = (to, method) => effective(index, { from: 'checkout', to, method });
    this.made.targets.refresh();
  }
}

describe('trap 10: a listener that throws or re-enters', () => {
  it('trap 10: a throw changes no outcome and is counted nowhere', async () => {
    const made = bench(effectiveOf({ circuit: circuitSpec({ minimumCalls: 2, failureRate: 1 }) }));
    made.listener = () => {
      throw new Error('a listener that throws');
    };
    for (let i = 0; i < 2; i++) {
      expect(await rejectionOf(guard(made.targets, 'db', fails))).to.have.property('message', 'broken');
    }
    made.clock.advance(5_000);
    for (let i = 0; i < 3; i++) expect(await guard(made.targets, 'db', async () => i)).to.equal(i);
    expect(made.changes.map(({ to }) => to)).to.deep.equal(['open', 'half-open', 'closed']);
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('trap 10: a call from within hears of the state that was announced, and takes no permit twice', async () => {
    const made = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(5) }));
    const within: Promise<unknown>[] = [];
    made.listener = ({ to }) => {
      if (to === 'half-open') within.push(guard(made.targets, 'db', async () => 'probe from within'));
      if (to === 'open') within.push(rejectionOf(guard(made.targets, 'db', async () => 1)));
      if (to === 'closed') made.targets.refresh();
    };
    await rejectionOf(guard(made.targets, 'db', fails));
    expect(await within[0]).to.have.property('code', 'circuit_open');
    made.clock.advance(5_000);
    const calls = Array.from({ length: 5 }, () =>
      guard(made.targets, 'db', async () => 1).catch(() => 'rejected'),
    );
    expect(await Promise.all(calls)).to.deep.equal([1, 1, 'rejected', 'rejected', 'rejected']);
    expect(await within[1]).to.equal('probe from within');
    expect(made.targets.circuit('db').state).to.equal('closed');
    expect(made.targets.permitsOut).to.equal(0);
  });
});

describe('trap 11: the control plane down or slow', () => {
  it('trap 11: a call needs nothing but what is in this process: no timer, no tick of the clock', async () => {
    const agent = new TestAgent();
    agent.session.restore({
      dataset: 'd',
      revision: 3,
      policies: [documentOf('*', { circuit: { minimumCalls: 1 } }, 3)],
    });
    agent.refresh();
    const { clock, targets, newCallees } = agent.made;
    for (let i = 0; i < 100; i++) expect(await guard(targets, `name-${i}`, async () => i)).to.equal(i);
    // Who would have asked the control plane about these names gets no answer; nobody waits for it.
    expect(newCallees).to.have.lengthOf(100);
    await rejectionOf(guard(targets, 'db', fails));
    expect(await rejectionOf(guard(targets, 'db', fails))).to.have.property('code', 'circuit_open');
    expect([clock.now(), clock.pendingTimers]).to.deep.equal([1_000, 0]);
  });

  it('trap 11: an answer five seconds late holds from the next call on', async () => {
    const agent = new TestAgent();
    const { clock, targets } = agent.made;
    const held = [work(), work()] as const;
    const running = [guard(targets, 'db', held[0].fn), guard(targets, 'db', held[1].fn)];
    clock.advance(5_000);
    agent.push('db', { bulkhead: { maxConcurrent: 1 } });
    const third = work();
    running.push(guard(targets, 'db', third.fn));
    expect(await rejectionOf(guard(targets, 'db', fails))).to.have.property('code', 'bulkhead_full');
    for (const { succeed } of [...held, third]) succeed();
    await Promise.all(running);
    expect(targets.permitsOut).to.equal(0);
  });
});

describe('trap 12: the hand-off of a slot', () => {
  it('trap 12: B waits while C and D arrive as a slot frees: B runs first', async () => {
    const { targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 10 }) }));
    const order: string[] = [];
    const a = work();
    const calls: Promise<unknown>[] = [guard(targets, 'db', a.fn).then(() => arrive('D'))];
    const arrive = (name: string) => {
      const call = guard(targets, 'db', async () => order.push(name));
      calls.push(call);
      return call;
    };
    arrive('B');
    a.succeed();
    arrive('C');
    await Promise.all(calls);
    await Promise.all(calls);
    expect(order).to.deep.equal(['B', 'C', 'D']);
    expect(targets.permitsOut).to.equal(0);
  });

  it('trap 12: a queued call that is aborted leaves in the same tick', async () => {
    const { targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const a = work();
    const running = guard(targets, 'db', a.fn);
    const controller = new AbortController();
    const queued = rejectionOf(guard(targets, 'db', async () => 1, { signal: controller.signal }));
    controller.abort('left');
    const next = guard(targets, 'db', async () => 'next');
    a.succeed();
    await running;
    expect([await queued, await next]).to.deep.equal(['left', 'next']);
  });
});

describe('trap 13: permits drift', () => {
  it('trap 13: cancel before headers, mid-stream, error after end, double end: in use returns to 0', async () => {
    const { targets } = bench(effectiveOf({ circuit: circuitSpec(), bulkhead: bulkheadSpec(2) }));
    const interceptor = createInterceptor(targets, 'db');
    const make = (responseStream: boolean) => stubbedCall(targets, interceptor, { responseStream });
    for (let i = 0; i < 50; i++) {
      for (const streams of [false, true]) {
        const before = make(streams);
        before.call.cancelWithStatus(status.CANCELLED, 'before headers');
        before.call.cancelWithStatus(status.CANCELLED, 'again');
        await settled();
        const middle = make(streams);
        middle.wire()?.listener?.onReceiveMetadata?.(new grpc.Metadata());
        middle.wire()?.message('one');
        middle.call.cancelWithStatus(status.CANCELLED, 'mid-stream');
        middle.wire()?.message('two');
        await settled();
        const ended = make(streams);
        ended.wire()?.message('one');
        ended.wire()?.end(status.OK);
        ended.wire()?.end(status.INTERNAL, 'error after end');
        ended.wire()?.message('after the end');
        ended.call.cancelWithStatus(status.CANCELLED, 'after the end');
        await settled();
      }
      expect(targets.permitsOut).to.equal(0);
    }
    const both = [make(true), make(true)];
    expect(both.every(({ wire }) => wire())).to.equal(true);
    expect(make(true).wire()).to.equal(undefined);
    for (const { wire } of both) wire()?.end(status.OK);
    expect(targets.permitsOut).to.equal(0);
  });
});

describe('trap 14: leaks', () => {
  it('trap 14: 100,000 calls on one AbortSignal leave 0 listeners', async () => {
    const { targets } = bench(effectiveOf({ circuit: circuitSpec(), timeout: 800 }));
    const { signal } = new AbortController();
    for (let i = 0; i < 100_000; i++) await guard(targets, 'db', () => i, { signal });
    expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0);
  });

  it('trap 14: 10,000 idle circuits own no timer', async () => {
    const policies = effectiveOf({ circuit, bulkhead: bulkheadSpec(5) });
    const virtual = bench(policies);
    for (let i = 0; i < 10_000; i++) await rejectionOf(guard(virtual.targets, `name ${i}`, fails));
    expect(virtual.targets.circuits()).to.have.lengthOf(10_000);
    expect(virtual.clock.pendingTimers).to.equal(0);
  });

  it('trap 14: nor do they keep a process alive: one that made them, and closes nothing, ends by itself', async () => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', tenThousandCircuits],
      {
        cwd: new URL('../../..', import.meta.url),
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const [code] = await once(child, 'close');
    expect([code, said]).to.deep.equal([0, '10000 circuits, 0 timers']);
  });
});

describe('trap 15: a timeout, then a late rejection', () => {
  it('trap 15: one settle, and no unhandled rejection', async () => {
    const made = bench(
      effectiveOf({ circuit: circuitSpec({ minimumCalls: 2, failureRate: 1 }), timeout: 100 }),
    );
    const unhandled: unknown[] = [];
    const heard = (reason: unknown) => void unhandled.push(reason);
    process.prependListener('unhandledRejection', heard);
    const late = work();
    let settledTimes = 0;
    const call = guard(made.targets, 'db', late.fn).then(
      () => settledTimes++,
      (error) => {
        settledTimes++;
        return error;
      },
    );
    made.clock.advance(100);
    expect(await call).to.have.property('code', 'deadline_exceeded');
    late.fail(new Error('late'));
    await settled();
    await settled();
    process.removeListener('unhandledRejection', heard);
    expect([settledTimes, unhandled]).to.deep.equal([1, []]);
    expect(made.targets.circuit('db').state).to.equal('closed');
    expect(made.targets.drainCells()[0]).to.include({ failed: 1 });
  });
});

describe('trap 18: a bad policy, then a good one', () => {
  it('trap 18: the bad one is refused with its reason, the last good one holds, and the next is applied', async () => {
    const restore = olderAgents('rollout');
    const agent = new TestAgent();
    restore();
    const { targets } = agent.made;
    agent.push('db', { bulkhead: { maxConcurrent: 1 } });
    const held = [work(), work()] as const;
    const running = [guard(targets, 'db', held[0].fn)];
    expect(await rejectionOf(guard(targets, 'db', fails))).to.have.property('revision', 1);

    const { rejected } = agent.push('db', { bulkhead: { maxConcurrent: 9 } }, { rollout: { percent: 50 } });
    expect(rejected).to.have.lengthOf(1);
    expect(rejected[0]?.reason).to.include('rollout');
    expect(await rejectionOf(guard(targets, 'db', fails))).to.have.property('revision', 1);

    expect(agent.push('db', { bulkhead: { maxConcurrent: 2 } }).rejected).to.deep.equal([]);
    running.push(guard(targets, 'db', held[1].fn));
    expect(await rejectionOf(guard(targets, 'db', fails))).to.have.property(
      'message',
      '[bulkhead_full] db: 2 of 2 calls in flight and 0 of 0 waiting; slow down or raise maxConcurrent (policy db-default@3)',
    );
    for (const { succeed } of held) succeed();
    await Promise.all(running);
    expect(targets.permitsOut).to.equal(0);
  });
});

describe('trap 19: shrinking a bulkhead under load', () => {
  it('trap 19: returns immediately: running calls drain, new ones fail until there is room', async () => {
    const made = bench(effectiveOf({ bulkhead: bulkheadSpec(10) }));
    const held = work();
    const running = Array.from({ length: 10 }, () => guard(made.targets, 'db', held.fn));
    made.apply(effectiveOf({ bulkhead: bulkheadSpec(2) }));
    expect(held.started()).to.equal(10);
    for (let left = 10; left > 2; left--) {
      expect(await rejectionOf(guard(made.targets, 'db', async () => 1))).to.have.property(
        'code',
        'bulkhead_full',
      );
      held.succeed();
      await running[10 - left];
    }
    expect(await rejectionOf(guard(made.targets, 'db', async () => 1))).to.have.property(
      'code',
      'bulkhead_full',
    );
    held.succeed();
    await running[8];
    expect(await guard(made.targets, 'db', async () => 'room')).to.equal('room');
    held.succeed();
    await Promise.all(running);
    expect(made.targets.permitsOut).to.equal(0);
  });
});

describe('trap 21: state of a call in its interceptor', () => {
  it('trap 21: one call’s cancel touches no other, in flight or in line', async () => {
    const { targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(10, { maxQueue: 10 }) }));
    const interceptor = createInterceptor(targets, 'db');
    const wires: NullCall[] = [];
    const nextCall = (options: grpc.InterceptorOptions) => {
      const wire = new NullCall(options);
      wires.push(wire);
      return wire;
    };
    const calls = Array.from({ length: 20 }, () => stubbedCall(targets, interceptor, { nextCall }));
    for (const i of [3, 7, 12, 15]) calls[i]?.call.cancelWithStatus(status.CANCELLED, `cancelled ${i}`);
    await settled();
    await settled();
    const cancelled = calls.flatMap(({ client }, i) => (client.status ? [i] : []));
    expect(cancelled).to.deep.equal([3, 7, 12, 15]);
    expect(wires.filter((wire) => wire.cancelled)).to.have.lengthOf(2);
    while (targets.permitsOut > 0) {
      for (const wire of [...wires]) if (!wire.cancelled) wire.end(status.OK);
      await settled();
    }
    const codes = calls.map(({ client }) => client.status?.code);
    expect(codes.filter((code) => code === status.OK)).to.have.lengthOf(16);
    expect(codes.filter((code) => code === status.CANCELLED)).to.have.lengthOf(4);
  });
});
