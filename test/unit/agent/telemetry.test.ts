/**
 * Metrics of an agent, as an SDK reads them: every count with its policy, levels that go back to 0, nothing on the way of a call,
 * and nothing left behind.
 */
import { metrics } from '@opentelemetry/api';
import { AggregationTemporality } from '@opentelemetry/sdk-metrics';
import { expect } from 'chai';
import { DecisionFeed } from '../../../agent/decision-feed.js';
import { Emitter } from '../../../agent/emitter.js';
import { guard } from '../../../agent/guard.js';
import { metricSpecs } from '../../../agent/telemetry/metrics.js';
import { Telemetry } from '../../../agent/telemetry/telemetry.js';
import type { Effective } from '../../../core/policy/model.js';
import { keptLogger } from '../../support/logs.js';
import { meterInMemory, registerMetrics, unregister } from '../../support/otel.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

const reserve = 'shop.v1.Inventory/Reserve';
const callee = { 'switchgear.callee': 'inventory' };
const policy = { 'switchgear.policy.name': 'inventory-default' };
const opensAtOnce = circuitSpec({ minimumCalls: 1 });

const fails = () => {
  throw new Error('broken');
};

describe('metrics', () => {
  let all: Telemetry[];

  beforeEach(() => {
    all = [];
  });

  afterEach(() => {
    for (const telemetry of all) telemetry.close();
    unregister();
  });

  const measure = (at: Bench, { service = 'checkout', instance = 'i-1' } = {}) => {
    const { targets, clock } = at;
    const logger = keptLogger();
    const decisions = new DecisionFeed(new Emitter(logger));
    const telemetry = new Telemetry({ targets, decisions, service, instance, clock, logger });
    all.push(telemetry);
    telemetry.start();
    return { telemetry, decisions, logger };
  };
  const measured = (effective: Effective = {}) => {
    const metering = registerMetrics();
    const at = bench(effective);
    return { ...at, ...measure(at), ...metering };
  };

  it('count calls by callee, gRPC method and outcome', async () => {
    const { targets, collect } = measured();
    await guard(targets, 'inventory', () => 1);
    targets.ofMethod('inventory', reserve).count('success', 1);
    targets.ofMethod('inventory', reserve).count('neutral', 1);
    await rejectionOf(guard(targets, 'inventory', fails));
    const seen = await collect();
    expect(
      seen.points('switchgear.calls').map(({ attributes, value }) => [attributes, value]),
    ).to.have.deep.members([
      [{ 'switchgear.caller': 'checkout', ...callee, 'switchgear.outcome': 'success' }, 1],
      [{ 'switchgear.caller': 'checkout', ...callee, 'switchgear.outcome': 'failure' }, 1],
      [
        {
          'switchgear.caller': 'checkout',
          ...callee,
          'rpc.method': reserve,
          'switchgear.outcome': 'success',
        },
        1,
      ],
      [
        {
          'switchgear.caller': 'checkout',
          ...callee,
          'rpc.method': reserve,
          'switchgear.outcome': 'neutral',
        },
        1,
      ],
    ]);
  });

  it('count the calls of a resource together, whatever keys it is asked for', async () => {
    const { targets, collect } = measured();
    for (let i = 0; i < 20; i++) await guard(targets, 'postgres', () => 1, { key: `tenant/${i}` });
    const points = (await collect()).points('switchgear.calls');
    expect(points).to.have.length(1);
    expect(points[0]).to.deep.include({ value: 20 });
    expect(points[0]?.attributes).to.not.have.property('rpc.method');
  });

  it('show the circuits and slots of keys together, and those of methods that gRPC called apart', async () => {
    const perKey = { circuit: circuitSpec({ per: 'method' }), bulkhead: bulkheadSpec(1, { per: 'method' }) };
    const { targets, collect } = measured(effectiveOf(perKey));
    for (let i = 0; i < 20; i++) await guard(targets, 'inventory', () => 1, { key: `tenant/${i}` });
    targets.ofMethod('inventory', `/${reserve}`).count('success', 1);
    const seen = await collect();
    for (const metric of [
      'switchgear.circuit.state',
      'switchgear.circuit.calls',
      'switchgear.bulkhead.limit',
    ])
      expect(
        seen.points(metric, callee).map(({ attributes, value }) => [attributes['rpc.method'], value]),
        metric,
      ).to.have.deep.members([
        [undefined, 20],
        [reserve, 1],
      ]);
  });

  it('count rejections by code and policy, and show the circuit that made them', async () => {
    const { targets, collect, clock } = measured(effectiveOf({ circuit: opensAtOnce }));
    await rejectionOf(guard(targets, 'inventory', fails));
    for (let i = 0; i < 3; i++) await rejectionOf(guard(targets, 'inventory', fails));
    const open = await collect();
    expect(
      open.sum('switchgear.rejections', { ...callee, ...policy, 'error.type': 'circuit_open' }),
    ).to.equal(3);
    expect(open.sum('switchgear.circuit.state', { ...policy, 'switchgear.circuit.state': 'open' })).to.equal(
      1,
    );
    expect(open.sum('switchgear.circuit.calls', { ...policy, 'switchgear.outcome': 'failure' })).to.equal(1);
    clock.advance(10_000);
    for (let i = 0; i < 3; i++) await guard(targets, 'inventory', () => 1);
    const closed = await collect();
    expect(closed.sum('switchgear.circuit.state', { 'switchgear.circuit.state': 'open' })).to.equal(0);
    expect(closed.sum('switchgear.circuit.state', { 'switchgear.circuit.state': 'closed' })).to.equal(1);
  });

  it('count retries, what is given up and hedges by policy', async () => {
    const retry = { attempts: 3, on: ['UNAVAILABLE'], backoff: { baseMs: 10, maxMs: 10 }, budget: 1 };
    const { targets, collect, clock } = measured(effectiveOf({ retry, idempotent: true }));
    const call = rejectionOf(guard(targets, 'inventory', fails));
    for (let i = 0; i < 5; i++) {
      await settled();
      clock.advance(50);
    }
    await call;
    const seen = await collect();
    expect(seen.sum('switchgear.retries', { ...policy, 'error.type': 'UNAVAILABLE' })).to.equal(2);
    expect(seen.sum('switchgear.give_ups', { ...policy, 'switchgear.decision.reason': 'attempts' })).to.equal(
      1,
    );
    expect(seen.sum('switchgear.calls', { ...callee, 'switchgear.outcome': 'failure' })).to.equal(3);
  });

  it('count hedges and timeouts', async () => {
    const hedge = { delay: { kind: 'fixed', ms: 20 }, extra: 1 } as const;
    const { targets, collect, clock } = measured(effectiveOf({ hedge, idempotent: true, timeout: 100 }));
    const { fn } = work();
    const call = rejectionOf(guard(targets, 'inventory', fn));
    clock.advance(100);
    await call;
    const seen = await collect();
    expect(seen.sum('switchgear.hedges', { ...policy, 'switchgear.decision.reason': 'slow' })).to.equal(1);
    expect(seen.sum('switchgear.timeouts', policy)).to.equal(1);
  });

  it('call nothing an error that is none, of policies in shadow either', async () => {
    const { targets, collect } = measured();
    const target = targets.get('inventory');
    const kinds = ['give-up', 'hedge', 'degrade', 'would-hedge', 'would-degrade', 'would-eject'] as const;
    for (const kind of kinds) target.decide(kind, { policy: 'p', revision: 1 }, 'x', '');
    for (const kind of ['reject', 'would-timeout'] as const)
      target.decide(kind, { policy: 'p', revision: 1 }, 'wrong', '');
    target.reject('overloaded', '');
    const seen = await collect();
    const types = ['rejections', 'give_ups', 'hedges', 'fallbacks', 'shadow.decisions'].flatMap((name) =>
      seen.points(`switchgear.${name}`).map(({ attributes }) => attributes['error.type']),
    );
    expect(types.filter((type) => type !== undefined)).to.deep.equal(['overloaded', 'wrong']);
    const whys = (why: string) => ({ 'switchgear.decision.kind': why, 'switchgear.decision.reason': 'x' });
    expect(seen.sum('switchgear.shadow.decisions', whys('eject'))).to.equal(1);
  });

  it("count fallbacks by kind: a policy's with its name, the application's own without", async () => {
    const fallback = [{ kind: 'static', value: 1 }] as const;
    const { targets, collect, apply } = measured(effectiveOf({ fallback }));
    await guard(targets, 'inventory', fails);
    apply({});
    await guard(targets, 'inventory', fails, { fallback: () => 2 });
    const seen = await collect();
    expect(seen.sum('switchgear.fallbacks', { 'switchgear.fallback.kind': 'static', ...policy })).to.equal(1);
    const [own] = seen.points('switchgear.fallbacks', { 'switchgear.fallback.kind': 'caller' });
    expect(own).to.include({ value: 1 });
    expect(own?.attributes).to.not.have.property('switchgear.policy.name');
  });

  it('show who holds slots and who waits, and afterwards for how long', async () => {
    const bulkhead = bulkheadSpec(1, { maxQueue: 5 });
    const { targets, collect, clock, apply } = measured(effectiveOf({ bulkhead }));
    const { fn, succeed } = work();
    const calls = [guard(targets, 'inventory', fn), guard(targets, 'inventory', fn)];
    const busy = await collect();
    expect(busy.sum('switchgear.bulkhead.usage', { ...callee, ...policy })).to.equal(1);
    expect(busy.sum('switchgear.bulkhead.limit', { ...callee, ...policy })).to.equal(1);
    expect(busy.sum('switchgear.queue.length', { ...callee, ...policy })).to.equal(1);
    clock.advance(250);
    succeed();
    await settled();
    succeed();
    await Promise.all(calls);
    const idle = await collect();
    expect(idle.sum('switchgear.queue.length')).to.equal(0);
    expect(idle.sum('switchgear.queue.calls', { ...callee, ...policy })).to.equal(1);
    expect(idle.sum('switchgear.queue.time', callee)).to.be.closeTo(0.25, 1e-9);
    expect(idle.units.get('switchgear.queue.time')).to.equal('s');
    apply({});
    expect((await collect()).sum('switchgear.bulkhead.limit')).to.equal(0);
  });

  it('give calls to the policies that held, also when they change between two collections', async () => {
    const first = effectiveOf({ circuit: circuitSpec() }, { policy: 'first', revision: 1 });
    const { targets, collect, apply, telemetry } = measured(first);
    await guard(targets, 'inventory', () => 1);
    telemetry.settle();
    apply(effectiveOf({ circuit: circuitSpec() }, { policy: 'second', revision: 2 }));
    for (let i = 0; i < 2; i++) await guard(targets, 'inventory', () => 1);
    const seen = await collect();
    for (const metric of ['switchgear.policy.calls', 'switchgear.circuit.calls']) {
      expect(seen.sum(metric, { 'switchgear.policy.name': 'first' }), metric).to.equal(1);
      expect(seen.sum(metric, { 'switchgear.policy.name': 'second' }), metric).to.equal(2);
    }
    expect(seen.points('switchgear.policy.revision').map(({ value }) => value)).to.deep.equal([2]);
    apply({});
    expect((await collect()).points('switchgear.policy.revision').map(({ value }) => value)).to.deep.equal([
      0,
    ]);
  });

  it('lose nothing when callees have to make room', async () => {
    const { collect } = registerMetrics();
    const gone: { tell?: (target: never) => void } = {};
    const at = bench(effectiveOf({ circuit: circuitSpec() }), {
      maxKeys: 10,
      onGone: (target) => gone.tell?.(target as never),
    });
    const { telemetry } = measure(at);
    gone.tell = (target) => telemetry.gone(target);
    for (let i = 0; i < 100; i++) {
      at.clock.advance(1);
      await guard(at.targets, 'postgres', () => 1, { key: `tenant-${i}` });
    }
    expect((await collect()).sum('switchgear.calls')).to.equal(100);
    for (let i = 0; i < 100; i++) await guard(at.targets, 'postgres', () => 1, { key: `tenant-${i}` });
    expect((await collect()).sum('switchgear.calls')).to.equal(200);
  });

  it('tell of calls beyond the keys there is room for', () => {
    const at = bench(effectiveOf({ bulkhead: bulkheadSpec(1) }), { maxKeys: 1 });
    const { collect } = registerMetrics();
    measure(at);
    void guard(at.targets, 'a', work().fn);
    void guard(at.targets, 'b', work().fn);
    return collect().then((seen) => expect(seen.sum('switchgear.overflow.calls')).to.equal(1));
  });

  it('fit an exporter that wants differences', async () => {
    const { collect } = registerMetrics(AggregationTemporality.DELTA);
    const at = bench(effectiveOf({ circuit: opensAtOnce }));
    measure(at);
    await rejectionOf(guard(at.targets, 'inventory', fails));
    expect((await collect()).sum('switchgear.calls')).to.equal(1);
    await rejectionOf(guard(at.targets, 'inventory', fails));
    const second = await collect();
    expect(second.sum('switchgear.calls')).to.equal(0);
    expect(second.sum('switchgear.rejections')).to.equal(1);
  });

  it('begin when an SDK is registered later, with what was counted before, and go over to another', async () => {
    const at = bench();
    const { decisions } = measure(at);
    await guard(at.targets, 'inventory', () => 1);
    const { collect } = registerMetrics();
    expect((await collect()).sum('switchgear.calls')).to.equal(undefined);
    at.clock.advance(1_000);
    expect((await collect()).sum('switchgear.calls')).to.equal(1);
    unregister();
    const other = registerMetrics();
    at.clock.advance(1_000);
    expect((await other.collect()).sum('switchgear.calls')).to.equal(1);
    await guard(at.targets, 'inventory', () => 1);
    expect((await collect()).sum('switchgear.calls'), 'the former one is left').to.equal(1);
    expect(decisions.listening).to.equal(false);
  });

  it('tell two meshes of a process apart, of one service as well', async () => {
    const { collect } = registerMetrics();
    const benches = [bench(), bench(), bench()];
    measure(benches[0] as Bench);
    measure(benches[1] as Bench, { instance: 'i-2' });
    measure(benches[2] as Bench, { service: 'cart' });
    for (const [i, { targets }] of benches.entries())
      for (let n = 0; n <= i; n++) await guard(targets, 'inventory', () => 1);
    const seen = await collect();
    expect(seen.sum('switchgear.calls', { 'switchgear.instance': 'i-2' })).to.equal(2);
    expect(seen.sum('switchgear.calls', { 'switchgear.caller': 'cart' })).to.equal(3);
    expect(seen.sum('switchgear.calls')).to.equal(6);
  });

  it('stop with the mesh, and leave no callback and no timer', async () => {
    const { telemetry, collect, targets, clock } = measured();
    await guard(targets, 'inventory', () => 1);
    await collect();
    targets.close();
    telemetry.close();
    await guard(targets, 'inventory', () => 1);
    expect((await collect()).sum('switchgear.calls'), 'as it was told last').to.equal(1);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('keep a process alive whose SDK refuses them, and complain once', () => {
    const broken = {
      getMeter() {
        throw new Error('out of order');
      },
    };
    metrics.setGlobalMeterProvider(broken);
    const at = bench();
    const { logger } = measure(at);
    at.clock.advance(10_000);
    expect(logger.of('warn')).to.have.length(1);
  });

  it('make nothing at all without an SDK', async () => {
    const at = bench(effectiveOf({ circuit: opensAtOnce }));
    const { telemetry, decisions } = measure(at);
    await rejectionOf(guard(at.targets, 'inventory', fails));
    const target = at.targets.get('inventory');
    telemetry.settle();
    telemetry.gone(target);
    await rejectionOf(guard(at.targets, 'inventory', fails));
    expect(target.tally.book.entries.map(({ count, told }) => [count, told])).to.deep.equal([[1, 0]]);
    expect(decisions.listening).to.equal(false);
  });

  it('are all observed under names, units and attributes of the table', async () => {
    const { targets, collect, clock } = measured(
      effectiveOf({ circuit: opensAtOnce, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }),
    );
    await rejectionOf(guard(targets, 'inventory', fails));
    const target = targets.ofMethod('inventory', reserve);
    const source = { policy: 'p', revision: 1 };
    for (const kind of ['retry', 'timeout', 'give-up', 'hedge', 'degrade', 'would-retry'] as const)
      target.decide(kind, source, 'x', '');
    target.reject('circuit_open', '');
    target.waited(5);
    target.count('success', 1e9);
    clock.advance(0);
    const seen = await collect();
    const specs = Object.values(metricSpecs);
    // Slow calls need a circuit that says what is slow.
    for (const { name, unit, attributes } of specs.filter(({ name }) => name !== 'switchgear.slow_calls')) {
      const points = seen.points(name);
      expect(points, name).to.not.have.length(0);
      expect(seen.units.get(name), name).to.equal(unit);
      for (const point of points)
        expect(['switchgear.caller', ...attributes], name).to.include.members(Object.keys(point.attributes));
    }
    expect([...seen.units.keys()].every((name) => specs.some((spec) => spec.name === name))).to.equal(true);
  });

  it('come from the meter of this package and its version', () => {
    const asked: unknown[] = [];
    const { provider } = meterInMemory();
    metrics.setGlobalMeterProvider({
      getMeter(name, version) {
        asked.push(name, typeof version);
        return provider.getMeter(name, version);
      },
    });
    measure(bench());
    expect(asked).to.deep.equal(['switchgear', 'string']);
  });
});
