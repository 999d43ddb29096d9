/**
 * Random lives of gRPC calls: retries, hedges, fallbacks, lines, deadlines, cancels, policies that change, transports that answer
 * late or not at all. Whatever happens, a client is told once and in order, and in the end nothing is out and nothing is set.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Surround } from '../../../agent/surround.js';
import type { Effective, FallbackSpec, Sections } from '../../../core/policy/model.js';
import type { Random } from '../../../core/random.js';
import { told, watchPending } from '../../support/guarded.js';
import { NullCall, type StubbedCall, stubbedCall } from '../../support/null-transport.js';
import { lives } from '../../support/property.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, settled } from '../../support/targets.js';

const { status } = grpc;
const METHOD = 'shop.v1.Inventory/Get';
const statuses = [
  status.OK,
  status.OK,
  status.OK,
  status.UNAVAILABLE,
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.NOT_FOUND,
  status.INTERNAL,
];
const bys = ['service', 'method'] as const;
const criticalities = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable', 'nonsense'];

/** Headers once, first; where there is one response, a message or the word that there is none; one status. */
class Wire extends NullCall {
  over = false;
  /** It is saying something, and says nothing else meanwhile. */
  speaking = false;
  #headers = false;

  override cancelWithStatus(code: grpc.status, details: string): void {
    this.cancelled = { code, details };
    if (this.answersCancel) process.nextTick(() => this.finish(code));
  }

  headers(): void {
    if (this.#headers || this.over) return;
    this.#headers = true;
    this.listener?.onReceiveMetadata?.(new grpc.Metadata());
  }

  part(): void {
    this.headers();
    if (this.over) return;
    this.speaking = true;
    this.message('reply');
    this.speaking = false;
  }

  finish(code: grpc.status, metadata?: grpc.Metadata): void {
    if (this.over) return;
    this.over = true;
    if (!this.options.method_definition.responseStream) this.message(code === status.OK ? 'reply' : null);
    this.end(code, 'as it came', metadata);
  }
}

class Life {
  readonly made: Bench;
  readonly calls: StubbedCall[] = [];
  readonly #random: Random;
  readonly #interceptor: grpc.Interceptor;
  readonly #handlers: ((reply: unknown) => void)[] = [];
  /** Whatever was ever in force. */
  readonly #surrounds = new Set<Surround>();
  readonly #wires: Wire[] = [];
  readonly #decisions = told();
  readonly #pending: ReturnType<typeof watchPending>;
  #revision = 0;
  #epochs = new Map<string, number>();
  /** Calls that are told of a decision which they then end, while the walk goes on. */
  #endedByWord = 0;

  constructor(random: Random) {
    this.#random = random;
    this.made = bench({}, { random, decisions: this.#decisions });
    this.#pending = watchPending(this.made.targets);
    this.#decisions.listener = () => this.#heard();
    this.made.listener = () => this.#heard();
    const elsewhere = { call: (_call: unknown, done: (reply: unknown) => void) => this.#later(done) };
    this.#interceptor = createInterceptor(this.made.targets, 'inventory', { elsewhere });
    this.made.targets.handlers.set('last', () => {
      if (this.#one(4)) throw new Error('out of order');
      if (this.#one(4)) return 'at once';
      return new Promise((resolve, reject) => {
        this.#later((reply) => (reply === undefined ? reject(new Error('late')) : resolve(reply)));
      });
    });
    this.#change();
  }

  async step(): Promise<void> {
    const dice = this.#random.next();
    if (dice < 0.25) this.#begin();
    else if (dice < 0.6) this.#wire();
    else if (dice < 0.7)
      this.#pick(this.calls)?.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    else if (dice < 0.74) this.#handlers.shift()?.(this.#one(3) ? undefined : 'reply');
    else if (dice < 0.76) this.#change();
    else if (dice < 0.94) this.made.clock.advance(Math.floor(this.#random.next() * 40));
    else if (dice < 0.945) this.made.clock.advance(this.#pick([1_000, 6_000, 600_000]) ?? 0);
    // Somebody sets the machine's clock.
    else if (dice < 0.95) this.made.clock.wallOffset += this.#pick([3_600_000, -3_600_000, 1]) ?? 0;
    else await settled();
    this.#checkEpochs();
  }

  /** They only grow; a circuit that goes with its policy begins anew. */
  #checkEpochs(): void {
    const circuits = new Map(this.made.targets.circuits().map(({ id, epoch }) => [id, epoch]));
    for (const [id, epoch] of circuits) expect(epoch, id).to.be.at.least(this.#epochs.get(id) ?? 1);
    this.#epochs = circuits;
  }

  /** Lets everything come to its end. */
  async end(): Promise<void> {
    this.#decisions.listener = this.made.listener = () => undefined;
    for (let round = 0; round < 200; round++) {
      for (const wire of this.#open()) this.#endOf(wire, status.UNAVAILABLE);
      for (const answer of this.#handlers.splice(0)) answer(undefined);
      await settled();
      this.made.clock.advance(100);
      if (this.#open().length === 0 && this.calls.every(({ client }) => client.status)) break;
    }
    expect(this.#pending.size, 'pending').to.equal(0);
    this.made.targets.close();
    await settled();
  }

  check(): void {
    for (const { client, call } of this.calls) {
      const { responseStream } = call.options.method_definition;
      const story = client.heard.join(', ');
      const one = /^(metadata, )?message [^,]*, status [A-Z_]+$/;
      const stream = /^(metadata, )?(message [^,]*, )*status [A-Z_]+$/;
      expect(story).to.match(responseStream ? stream : one);
    }
    // The walk went everywhere.
    const { retries, hedges, degraded, queued, rejections } = this.made.targets.get(
      'inventory',
      METHOD,
    ).tally;
    const everywhere = [retries, hedges, queued, Object.keys(degraded).length, this.#endedByWord];
    expect(Math.min(...everywhere)).to.be.above(0);
    expect(rejections).to.include.keys('rate_limited', 'overloaded');
    expect(Object.keys(rejections).length, 'reasons').to.be.at.least(4);
    expect(this.made.targets.permitsOut, 'permits').to.equal(0);
    expect(this.made.targets.shadowPermitsOut, 'permits in shadow').to.equal(0);
    for (const { inUse, queued } of this.made.targets.bulkheads())
      expect([inUse, queued], 'places').to.deep.equal([0, 0]);
    expect(this.made.clock.pendingTimers, 'timers').to.equal(0);
    for (const { budget, slots } of this.#surrounds) {
      expect([budget?.active ?? 0, budget?.extras ?? 0], 'budget').to.deep.equal([0, 0]);
      expect(slots?.inUse ?? 0, 'slots').to.equal(0);
    }
  }

  /** Somebody hears of a decision, within it, and ends a call: by a cancel, or by what the transport says of it. */
  #heard(): void {
    if (!this.#one(4)) return;
    const recent = this.calls.slice(-12);
    const wire = this.#one(2)
      ? this.#pick(
          this.#open()
            .filter(({ speaking }) => !speaking)
            .slice(-12),
        )
      : undefined;
    this.#endedByWord++;
    if (wire) this.#endOf(wire, this.#pick(statuses) ?? status.OK);
    else this.#pick(recent)?.call.cancelWithStatus(status.CANCELLED, 'by whoever heard');
  }

  #begin(): void {
    const metadata = new grpc.Metadata();
    if (this.#one(4)) metadata.set('switchgear-criticality', this.#pick(criticalities) ?? '');
    if (this.#one(10)) metadata.set('grpc-previous-rpc-attempts', '1');
    const requestStream = this.#one(6);
    const call = stubbedCall(this.made.targets, this.#interceptor, {
      start: false,
      metadata,
      requestStream,
      responseStream: this.#one(4),
      ...(this.#one(3) ? { deadline: this.made.clock.wallNow() + this.#random.next() * 200 - 5 } : {}),
      nextCall: (options) => {
        const wire = Object.assign(new Wire(options), { answersCancel: !this.#one(3) });
        this.#wires.push(wire);
        return wire;
      },
    });
    // Known before it starts, so that it can be ended within its start.
    this.calls.push(call);
    call.call.start(metadata, call.client.listener);
    call.call.sendMessage(requestStream ? 'part' : 'request');
    if (!requestStream) call.call.halfClose();
    call.call.startRead();
  }

  /** Something is heard of an attempt. */
  #wire(): void {
    const wire = this.#pick(this.#open());
    if (!wire) return;
    const dice = this.#random.next();
    if (dice < 0.2) wire.headers();
    else if (dice < 0.4 && wire.options.method_definition.responseStream) wire.part();
    else if (this.#one(8) && wire.options.deadline !== undefined) this.#endOf(wire, status.DEADLINE_EXCEEDED);
    else this.#endOf(wire, this.#pick(statuses) ?? status.OK);
  }

  #endOf(wire: Wire, code: grpc.status): void {
    const metadata = new grpc.Metadata();
    if (this.#one(10)) metadata.set('grpc-retry-pushback-ms', this.#pick(['0', '30', '-1']) ?? '');
    if (this.#one(12)) metadata.set('switchgear-reject', 'overloaded');
    wire.finish(code, metadata);
  }

  /** Attempts at which the transport has not said its last word. */
  #open(): Wire[] {
    return this.#wires.filter(({ over }) => !over);
  }

  #change(): void {
    const sections: Record<string, unknown> = {};
    const may = (name: keyof Sections, value: unknown) => {
      if (!this.#one(3)) sections[name] = value;
    };
    const chains: readonly (readonly FallbackSpec[])[] = [
      [
        { kind: 'cache', maxAgeMs: 500 },
        { kind: 'handler', name: 'last' },
      ],
      [
        { kind: 'target', to: 'replica' },
        { kind: 'error', status: 'NOT_FOUND' },
      ],
      [{ kind: 'handler', name: 'last' }],
    ];
    may('retry', retrySpec({ on: ['UNAVAILABLE', 'DEADLINE_EXCEEDED'], backoff: { baseMs: 10, maxMs: 50 } }));
    may('hedge', { delay: { kind: 'fixed', ms: 15 }, extra: 2 });
    may('idempotent', true);
    may('timeout', 150);
    may('attemptTimeout', 60);
    may('fallback', this.#pick(chains));
    may('bulkhead', bulkheadSpec(4, { maxQueue: 4, queueTimeoutMs: 50, shares: { critical: 0.5 } }));
    if (this.#one(4)) sections.bulkhead = { maxConcurrent: 'auto', maxQueue: 0, per: 'service' };
    may('circuit', circuitSpec({ minimumCalls: 10, openForMs: 100 }));
    if (this.#one(3))
      sections.rateLimit = { rate: 20, perMs: 1_000, burst: 5, scope: 'local', by: this.#pick(bys) };
    if (this.#one(3)) sections.admission = { windowMs: 5_000, successRate: 0.95, maxRejection: 0.8 };
    may('streamTimeout', 120);
    may('classify', { NOT_FOUND: 'failure' });
    const source = { policy: this.#one(5) ? 'other' : 'inventory-default', revision: ++this.#revision };
    const shadow = effectiveOf(
      {
        circuit: circuitSpec({ minimumCalls: 5, openForMs: 50 }),
        bulkhead: bulkheadSpec(3),
        timeout: 40,
        streamTimeout: 30,
      },
      { policy: 'in-shadow', revision: 1 },
    );
    const enforced = effectiveOf(sections as Parameters<typeof effectiveOf>[0], source) as Effective;
    this.made.apply(enforced, this.#one(2) ? shadow : undefined);
    const { surround } = this.made.targets.get('inventory', METHOD);
    if (surround) this.#surrounds.add(surround);
  }

  #later(done: (reply: unknown) => void): () => void {
    this.#handlers.push(done);
    return () => undefined;
  }

  #one(of: number): boolean {
    return this.#random.next() * of < 1;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random.next() * from.length)];
  }
}

describe('the life of calls with everything around them', () => {
  lives('tells each client once, and leaves nothing behind', (random) => new Life(random));
});
