/**
 * Decisions where people look for them: on the span of the call they were made about, and at `mesh.on('decision')`; and no price
 * for a call while nobody looks.
 */
import { type Span, trace } from '@opentelemetry/api';
import { AlwaysOffSampler } from '@opentelemetry/sdk-trace-base';
import { expect } from 'chai';
import { DecisionFeed } from '../../../agent/decision-feed.js';
import type { Decision } from '../../../agent/decisions.js';
import { Emitter } from '../../../agent/emitter.js';
import type { AgentEvents } from '../../../agent/events.js';
import { guard } from '../../../agent/guard.js';
import { isTracing } from '../../../agent/telemetry/span-events.js';
import type { Effective } from '../../../core/policy/model.js';
import { keptLogger } from '../../support/logs.js';
import { registerTracing, unregister } from '../../support/otel.js';
import { circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled } from '../../support/targets.js';

const fails = () => {
  throw new Error('broken');
};
const opensAtOnce = effectiveOf({ circuit: circuitSpec({ minimumCalls: 1 }) });

describe('decisions', () => {
  afterEach(unregister);

  const open = async (effective: Effective = opensAtOnce) => {
    const logger = keptLogger();
    const emitter = new Emitter<AgentEvents>(logger);
    const feed = new DecisionFeed(emitter);
    feed.tracing = isTracing();
    const at = bench(effective, { decisions: feed });
    await guard(at.targets, 'inventory', fails).catch(() => {});
    return { ...at, emitter, feed, logger };
  };

  it('are events of the active span, with the policy and revision that made them', async () => {
    const tracing = registerTracing();
    const { targets } = await open();
    await tracing.within('checkout', () => rejectionOf(guard(targets, 'inventory', fails)));
    const { events } = tracing.span('checkout');
    expect(events.map(({ name }) => name)).to.deep.equal(['switchgear.reject']);
    expect(events[0]?.attributes).to.include({
      'switchgear.callee': 'inventory',
      'error.type': 'circuit_open',
      'switchgear.policy.name': 'inventory-default',
      'switchgear.policy.revision': 7,
    });
    expect(events[0]?.attributes?.['switchgear.reason']).to.match(/^retry in \d+ ms$/);
  });

  it('tell of each step of a call in its order', async () => {
    const tracing = registerTracing();
    const fallback = [{ kind: 'static', value: 'kept' }] as const;
    const { targets } = await open(effectiveOf({ circuit: circuitSpec({ minimumCalls: 1 }), fallback }));
    await tracing.within('answered', () => guard(targets, 'inventory', fails));
    const names = tracing.span('answered').events.map(({ name }) => name);
    expect(names).to.deep.equal(['switchgear.reject', 'switchgear.degrade']);
  });

  it('have a type of error where something went wrong, and a reason or a kind where nothing did', async () => {
    const tracing = registerTracing();
    const { targets } = await open();
    const target = targets.get('inventory');
    const told = [
      ['retry', 'UNAVAILABLE', 'error.type'],
      ['timeout', 'deadline_exceeded', 'error.type'],
      ['would-reject', 'circuit_open', 'error.type'],
      ['give-up', 'attempts', 'switchgear.decision.reason'],
      ['hedge', 'slow', 'switchgear.decision.reason'],
      ['would-hedge', 'slow', 'switchgear.decision.reason'],
      ['would-eject', 'failure_rate', 'switchgear.decision.reason'],
      ['degrade', 'static', 'switchgear.fallback.kind'],
      ['would-degrade', 'static', 'switchgear.fallback.kind'],
    ] as const;
    await tracing.within('call', async () => {
      for (const [kind, code] of told) target.decide(kind, undefined, code, 'in words');
    });
    expect(tracing.span('call').events.map(({ name, attributes }) => [name, attributes])).to.deep.equal(
      told.map(([kind, code, attribute]) => [
        `switchgear.${kind}`,
        { 'switchgear.callee': 'inventory', [attribute]: code, 'switchgear.reason': 'in words' },
      ]),
    );
  });

  it('tell of a caller’s own fallback, which no policy asks for', async () => {
    const tracing = registerTracing();
    const { targets, emitter } = await open();
    const heard: Decision[] = [];
    emitter.on('decision', (decision) => heard.push(decision));
    await tracing.within('call', () => guard(targets, 'inventory', fails, { fallback: () => 1 }));
    await settled();
    expect(heard[1]).to.deep.equal({
      kind: 'degrade',
      callee: 'inventory',
      method: '',
      policy: '',
      revision: 0,
      code: 'caller',
      text: 'caller; circuit_open',
    });
    const [, event] = tracing.span('call').events;
    expect([event?.name, event?.attributes]).to.deep.equal([
      'switchgear.degrade',
      {
        'switchgear.callee': 'inventory',
        'switchgear.fallback.kind': 'caller',
        'switchgear.reason': 'caller; circuit_open',
      },
    ]);
  });

  it('name the gRPC method, or the key of a guarded call', async () => {
    const tracing = registerTracing();
    const { targets } = await open();
    await tracing.within('keyed', () =>
      rejectionOf(guard(targets, 'inventory', fails, { key: 'tenant/42' })),
    );
    await tracing.within('method', async () =>
      targets.ofMethod('inventory', 'shop.v1.Inventory/Reserve').reject('overloaded', 'too much'),
    );
    expect(tracing.span('keyed').events[0]?.attributes).to.include({ 'switchgear.key': 'tenant/42' });
    expect(tracing.span('method').events[0]?.attributes).to.include({
      'rpc.method': 'shop.v1.Inventory/Reserve',
    });
  });

  it('are lost on nobody: without a span, with one that is not recorded, with one that throws', async () => {
    const tracing = registerTracing(new AlwaysOffSampler());
    const { targets } = await open();
    const reject = () => rejectionOf(guard(targets, 'inventory', fails));
    expect(await reject()).to.have.property('code', 'circuit_open');
    expect(await tracing.within('unsampled', reject)).to.have.property('code', 'circuit_open');
    const original = trace.getActiveSpan;
    trace.getActiveSpan = () => ({ isRecording: () => true }) as unknown as Span;
    try {
      expect(await reject()).to.have.property('code', 'circuit_open');
    } finally {
      trace.getActiveSpan = original;
    }
  });

  it('reach listeners, also one that throws, which hurts nobody', async () => {
    const { targets, emitter, logger } = await open();
    const heard: Decision[] = [];
    emitter.on('decision', () => {
      throw new Error('a faulty listener');
    });
    emitter.on('decision', (decision) => heard.push(decision));
    expect(await rejectionOf(guard(targets, 'inventory', fails))).to.have.property('code', 'circuit_open');
    await settled();
    expect(heard).to.have.length(1);
    expect(heard[0]).to.include({
      kind: 'reject',
      policy: 'inventory-default',
      revision: 7,
      code: 'circuit_open',
    });
    expect(logger.of('error').map(({ fields }) => fields.error)).to.deep.equal(['a faulty listener']);
  });

  it('are not put into words while nobody listens', async () => {
    const { feed, emitter } = await open();
    expect(feed.listening).to.equal(false);
    const leave = emitter.on('decision', () => {});
    expect(feed.listening).to.equal(true);
    leave();
    expect(feed.listening).to.equal(false);
  });

  it('cost a call that goes well nothing, traced as it may be', async () => {
    const tracing = registerTracing();
    const { targets } = bench(effectiveOf({ circuit: circuitSpec() }), { decisions: (await open()).feed });
    let asked = 0;
    const original = trace.getActiveSpan;
    trace.getActiveSpan = () => {
      asked++;
      return original();
    };
    try {
      await tracing.within('checkout', async () => {
        for (let i = 0; i < 1_000; i++) await guard(targets, 'inventory', () => i);
      });
    } finally {
      trace.getActiveSpan = original;
    }
    expect(asked).to.equal(0);
    expect(tracing.span('checkout').events).to.deep.equal([]);
  });
});

describe('whether a process traces', () => {
  afterEach(unregister);

  it('is seen from the moment somebody registers it', () => {
    expect(isTracing()).to.equal(false);
    registerTracing();
    expect(isTracing()).to.equal(true);
    unregister();
    expect(isTracing()).to.equal(false);
  });

  it('is seen whichever copy of the API it was registered through', () => {
    const key = Symbol.for('opentelemetry.js.api.1');
    registerTracing();
    const api = (globalThis as unknown as Record<symbol, { trace: unknown }>)[key];
    if (!api) throw new Error('no global of the API');
    api.trace = { getTracer: () => undefined };
    expect(isTracing()).to.equal(true);
  });
});
