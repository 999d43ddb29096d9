/**
 * Everything at once: guarded functions, gRPC calls of all shapes, cancels, limits, callees that hang, shed or fail, policies
 * that come, change and go, and a wall clock that jumps, in any order. Whatever happens, each call ends once, and nothing of
 * it stays behind.
 */
import { getEventListeners } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { createInterceptor } from '../../../agent/interceptor.js';
import { MeshError } from '../../../core/errors.js';
import type { Effective } from '../../../core/policy/model.js';
import type { Random } from '../../../core/random.js';
import { NullCall, type StubbedCall, stubbedCall } from '../../support/null-transport.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, settled } from '../../support/targets.js';

const names = ['db', 'inventory', 'payments'] as const;
const codes = [0, 0, 0, 1, 2, 4, 5, 8, 14] as const;

/** A guarded function that the walk ends, or never does. */
interface Running {
  end(): void;
  readonly controller: AbortController;
}

class Walk {
  readonly made: Bench;
  readonly #random: Random;
  readonly #interceptors: readonly grpc.Interceptor[];
  readonly #signals: AbortSignal[] = [];
  #running: Running[] = [];
  /** Of the guarded calls that began last, in line or under way. */
  #controllers: AbortController[] = [];
  #calls: StubbedCall[] = [];
  #wires: NullCall[] = [];
  #revision = 1;
  readonly faults: string[] = [];
  begun = 0;
  ended = 0;
  /** Highest epoch seen of each circuit, since it was made. */
  readonly #epochs = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
    this.made = bench(this.#policies(), { random });
    this.#interceptors = names.map((name) => createInterceptor(this.made.targets, name));
    this.made.listener = ({ id, epoch }) => {
      // What a listener throws is nobody's business: it is kept, and checked outside.
      const before = this.#epochs.get(id) ?? 1;
      if (epoch <= before) this.faults.push(`${id} went from epoch ${before} to ${epoch}`);
      this.#epochs.set(id, epoch);
      // Whoever listens may do as he likes, in the midst of it.
      if (this.#random.next() < 0.3) this.#cancel();
      if (this.#random.next() < 0.2) this.#guard();
    };
  }

  step(): void {
    const deed = this.#random.next();
    if (deed < 0.25) this.#guard();
    else if (deed < 0.45) this.#call();
    else if (deed < 0.6) this.#endFunction();
    else if (deed < 0.75) this.#answer();
    else if (deed < 0.82) this.#cancel();
    else if (deed < 0.94)
      this.made.clock.advance(this.#of([0, 1, 5, 20, 20, 100, 100, 1_000, 6_000, 61_000]));
    else if (deed < 0.96) this.made.clock.wallOffset += this.#of([3_600_000, -3_600_000, 1]);
    else this.#change();
  }

  check(): void {
    const { clock, targets } = this.made;
    expect(this.faults).to.deep.equal([]);
    // One for the attempts' limits, one for whatever waits, however many calls there are.
    expect(clock.pendingTimers).to.be.at.most(2);
    expect(targets.permitsOut).to.be.at.most(this.begun - this.ended + this.#wires.length);
    for (const { id, epoch } of targets.circuits()) expect(epoch).to.be.at.least(this.#epochs.get(id) ?? 1);
  }

  /** Ends all that can be ended, lets the rest run into its limits or be cancelled, and closes. */
  async conclude(): Promise<void> {
    const { clock, targets } = this.made;
    for (const { controller } of this.#running) if (this.#random.next() < 0.5) controller.abort('the end');
    for (const { call } of this.#calls) if (this.#random.next() < 0.5) call.cancelWithStatus(1, 'the end');
    await settled();
    for (let i = 0; i < 100 && targets.permitsOut > 0; i++) {
      for (const { end } of this.#running.splice(0)) end();
      for (const wire of this.#wires.splice(0)) wire.end(0);
      await settled();
    }
    targets.close();
    await settled();
    expect(targets.permitsOut, 'permits out').to.equal(0);
    expect(this.ended, 'calls that ended').to.equal(this.begun);
    expect(clock.pendingTimers, 'timers').to.equal(0);
    for (const signal of this.#signals) expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0);
    await this.#slotsAreFree();
  }

  /** A slot that was lost would show here: as many calls at once as the bulkhead holds. */
  async #slotsAreFree(): Promise<void> {
    this.made.listener = () => undefined;
    this.made.apply(this.#current());
    for (const name of names) {
      const limit = this.made.targets.get(name).effective.bulkhead?.value.maxConcurrent;
      if (typeof limit !== 'number') continue;
      this.made.clock.advance(3_600_000);
      const ends: (() => void)[] = [];
      const call = () =>
        guard(this.made.targets, name, () => new Promise<void>((resolve) => ends.push(resolve)));
      const all = Array.from({ length: limit }, () => call().catch((error: MeshError) => error.code));
      await settled();
      for (const end of ends) end();
      for (const code of await Promise.all(all)) expect(code).to.be.oneOf([undefined, 'circuit_open']);
    }
  }

  #guard(): void {
    const controller = new AbortController();
    // Some share one signal, as a request handler's calls do.
    const shared =
      this.#running.length > 0 && this.#random.next() < 0.2 ? this.#of(this.#running).controller : controller;
    this.#signals.push(shared.signal);
    this.#controllers = [...this.#controllers.slice(-20), shared];
    const { targets } = this.made;
    const outcome = this.#of([
      'answer',
      'answer',
      'answer',
      'throw',
      'throw',
      'reject',
      'hang',
      'at once',
      'throw at once',
    ]);
    this.begun++;
    const options = this.#random.next() < 0.6 ? { signal: shared.signal } : undefined;
    let ends = 0;
    const over = () => {
      ends++;
      this.ended++;
      expect(ends, 'ends of one call').to.equal(1);
    };
    const call = guard(
      targets,
      this.#of(names),
      ({ signal }) => {
        if (this.#random.next() < 0.3) this.#signals.push(signal);
        if (outcome === 'at once') return 'done';
        if (outcome === 'throw at once') throw new Error('at once');
        return new Promise<string>((resolve, reject) => {
          const end = () => {
            if (outcome === 'answer' || outcome === 'hang') resolve('done');
            else reject(outcome === 'throw' ? new Error('broken') : new MeshError('circuit_open', 'within'));
          };
          this.#running.push({ end, controller: shared });
        });
      },
      options,
    );
    call.then(over, over);
  }

  #call(): void {
    const which = Math.floor(this.#random.next() * names.length);
    const deadlineMs = this.#of([undefined, undefined, -5, 10, 80, 1_000]);
    const streams = this.#random.next() < 0.4;
    this.begun++;
    const stubbed = stubbedCall(this.made.targets, this.#interceptors[which], {
      path: this.#of(['/shop.v1.Shop/Get', '/shop.v1.Shop/List']),
      responseStream: streams,
      ...(deadlineMs === undefined ? {} : { deadline: this.made.clock.wallNow() + deadlineMs }),
      start: false,
      nextCall: (options) => {
        const wire = new NullCall(options);
        this.#wires.push(wire);
        return wire;
      },
    });
    let ends = 0;
    stubbed.client.listener.onReceiveStatus = () => {
      ends++;
      // A transport that says it twice is passed on as it is; its client knows.
      if (ends === 1) this.ended++;
    };
    stubbed.call.start(new grpc.Metadata(), stubbed.client.listener);
    stubbed.call.sendMessage('request');
    this.#calls.push(stubbed);
  }

  #endFunction(): void {
    const [running] = this.#running.splice(Math.floor(this.#random.next() * this.#running.length), 1);
    running?.end();
    if (running && this.#random.next() < 0.1) running.end();
  }

  #answer(): void {
    const at = Math.floor(this.#random.next() * this.#wires.length);
    const wire = this.#wires[at];
    if (!wire) return;
    if (this.#random.next() < 0.4) {
      wire.message('reply');
      return;
    }
    const metadata = new grpc.Metadata();
    if (this.#random.next() < 0.1) metadata.set('switchgear-reject', 'overloaded');
    wire.end(this.#of(codes), 'details', metadata);
    if (this.#random.next() < 0.1) wire.end(this.#of(codes), 'twice', metadata);
    this.#wires.splice(at, 1);
  }

  #cancel(): void {
    if (this.#random.next() < 0.5 && this.#controllers.length > 0) {
      this.#of(this.#controllers).abort('cancelled');
    } else if (this.#calls.length > 0) {
      const [stubbed] = this.#calls.splice(Math.floor(this.#random.next() * this.#calls.length), 1);
      stubbed?.call.cancelWithStatus(1, 'Cancelled on client');
      if (this.#random.next() < 0.3) stubbed?.call.cancelWithStatus(1, 'Cancelled on client');
    }
  }

  #current: () => Effective = () => ({});

  #change(): void {
    this.#revision++;
    if (this.#random.next() < 0.1) {
      this.#current = () => ({});
    } else {
      const policies = this.#policies();
      this.#current = () => policies;
    }
    this.made.apply(this.#current());
    // A circuit that went with its policy begins anew if it comes back.
    const there = new Set(this.made.targets.circuits().map(({ id }) => id));
    for (const id of this.#epochs.keys()) if (!there.has(id)) this.#epochs.delete(id);
  }

  #policies(): Effective {
    const maybe = <T extends object>(probability: number, sections: T): T | object =>
      this.#random.next() < probability ? sections : {};
    const circuit = circuitSpec({
      window: this.#of([
        { kind: 'time', durationMs: 1_000, buckets: 10 },
        { kind: 'count', calls: 10 },
      ]),
      failureRate: this.#of([0.3, 0.5, 1]),
      ...maybe(0.5, { slowCallMs: 50 }),
      minimumCalls: this.#of([1, 3, 5]),
      openForMs: this.#of([50, 1_000]),
      halfOpen: { calls: this.#of([1, 3]), maxWaitMs: this.#of([200, 30_000]) },
      per: this.#of(['service', 'method']),
    });
    const bulkhead = bulkheadSpec(this.#of([1, 2, 5]), {
      maxQueue: this.#of([0, 2, 10]),
      ...maybe(0.5, { queueTimeoutMs: this.#of([10, 100]) }),
    });
    return effectiveOf(
      {
        ...maybe(0.8, { circuit }),
        ...maybe(0.8, { bulkhead }),
        ...maybe(0.5, { timeout: this.#of([30, 200, 2_000]) }),
        ...maybe(0.3, { attemptTimeout: this.#of([20, 100]) }),
        ...maybe(0.3, { streamTimeout: this.#of([500, 5_000]) }),
      },
      { policy: this.#of(['one', 'other']), revision: this.#revision ?? 1 },
    );
  }

  #of<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random.next() * all.length)] as T;
  }
}

describe('calls under everything at once', () => {
  walks('each end once and leave nothing behind, over 2,000 random deeds', 12, async (random) => {
    const walk = new Walk(random);
    for (let i = 0; i < 2_000; i++) {
      walk.step();
      if (random.next() < 0.3) await settled();
      walk.check();
    }
    await walk.conclude();
    expect(walk.begun).to.be.above(500);
  });
});
