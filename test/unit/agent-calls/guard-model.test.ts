/**
 * Guarded calls under everything that may surround them at once: retries, hedges, fallbacks, gates of every kind, policies in shadow;
 * functions that hang, throw, answer late or twice; callers who leave; listeners who call, leave and change policies in the midst of
 * it; clocks that jump. Whatever happens, each call ends once, with no more attempts than its policy allows, and nothing stays behind.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { withinContext } from '../../../agent/context.js';
import { guard } from '../../../agent/guard.js';
import type { GuardContext } from '../../../agent/guarded-function.js';
import type { Surround } from '../../../agent/surround.js';
import type { Pending } from '../../../agent/targets.js';
import { criticalities } from '../../../core/criticality.js';
import { MeshError } from '../../../core/errors.js';
import type { Effective, FallbackSpec } from '../../../core/policy/model.js';
import type { Random } from '../../../core/random.js';
import { serviceError, told, watchPending } from '../../support/guarded.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, settled } from '../../support/targets.js';

const names = ['db', 'cache', 'search'] as const;
const keys = [undefined, undefined, 'a', 'b'] as const;

/** Answers twice, and fails besides. */
const hostile = {
  // biome-ignore lint/suspicious/noThenProperty: what is tested
  then(resolve: (value: string) => void, reject: (error: unknown) => void) {
    resolve('first');
    reject(new Error('after the fact'));
    resolve('second');
  },
};

interface Call {
  readonly attemptsMax: number;
  attempts: number;
  fallbacks: number;
  ended: boolean;
}

class Walk {
  readonly made: Bench;
  readonly #random: Random;
  readonly #decisions = told();
  readonly #signals = new Set<AbortSignal>();
  readonly #surrounds = new Set<Surround>();
  readonly #pending: Set<Pending>;
  readonly #epochs = new Map<string, number>();
  readonly faults: string[] = [];
  readonly calls: Call[] = [];
  /** What hangs: functions, handlers and fallbacks, until the walk ends them. */
  #hanging: (() => void)[] = [];
  #controllers: AbortController[] = [];
  #revision = 1;
  #depth = 0;

  constructor(random: Random) {
    this.#random = random;
    this.made = bench(this.#policies('one'), {
      random,
      decisions: this.#decisions,
      shadow: this.#policies('in-shadow'),
      maxKeys: this.#of([5, 10_000]),
      onGone: ({ callee }) => this.#forget((id) => id.startsWith(`${callee}|`)),
    });
    const { targets } = this.made;
    this.#pending = watchPending(targets);
    targets.handlers.set('handler', () => this.#answer());
    this.#decisions.listener = () => this.#meddle(0.05);
    this.made.listener = ({ id, epoch }) => {
      const before = this.#epochs.get(id) ?? 1;
      if (epoch <= before) this.faults.push(`${id} went from epoch ${before} to ${epoch}`);
      this.#epochs.set(id, epoch);
      this.#meddle(0.3);
    };
  }

  step(): void {
    const { clock, targets } = this.made;
    const deed = this.#random.next();
    if (deed < 0.35) this.#guard();
    else if (deed < 0.65) this.#end();
    else if (deed < 0.72) this.#leave();
    else if (deed < 0.94) clock.advance(this.#of([0, 1, 5, 12.5, 20, 33.3, 100, 400]));
    else if (deed < 0.95) clock.advance(this.#of([1_000, 6_000, 61_000, 600_000]));
    else if (deed < 0.96) clock.stall(this.#of([1, 30, 300]));
    else if (deed < 0.97) clock.wallOffset += this.#of([3_600_000, -3_600_000, 1]);
    else if (deed < 0.98) targets.refresh();
    else this.#change();
  }

  check(): void {
    const { clock, targets } = this.made;
    expect(this.faults).to.deep.equal([]);
    expect(clock.pendingTimers).to.be.at.most(3);
    const open = this.calls.reduce((sum, call) => sum + (call.ended ? 0 : call.attemptsMax), 0);
    expect(targets.permitsOut).to.be.at.most(open);
    expect(targets.deadlines.size).to.be.at.most(open);
    for (const { id, epoch } of targets.circuits()) {
      expect(epoch).to.be.at.least(this.#epochs.get(id) ?? 1);
      this.#epochs.set(id, epoch);
    }
    if (this.calls.length > 500)
      this.calls.splice(0, this.calls.length, ...this.calls.filter(({ ended }) => !ended));
  }

  /** `early`: the mesh closes while calls are under way. */
  async conclude(early: boolean): Promise<void> {
    const { clock, targets } = this.made;
    this.made.listener = this.#decisions.listener = () => undefined;
    if (early) {
      targets.close();
      this.#pending.clear();
    }
    for (let i = 0; i < 200 && this.calls.some(({ ended }) => !ended); i++) {
      for (const end of this.#hanging.splice(0)) end();
      await settled();
      clock.advance(1_000);
    }
    await settled();
    expect(
      this.calls.filter(({ ended }) => !ended),
      'calls that hang',
    ).to.have.lengthOf(0);
    expect([targets.permitsOut, targets.shadowPermitsOut], 'permits out').to.deep.equal([0, 0]);
    for (const { budget, slots } of this.#surrounds)
      expect([budget?.active ?? 0, budget?.extras ?? 0, slots?.inUse ?? 0], 'budget, slots').to.deep.equal([
        0, 0, 0,
      ]);
    expect([targets.deadlines.size, this.#pending.size], 'limits, pending').to.deep.equal([0, 0]);
    for (const { inUse, queued } of targets.bulkheads())
      expect([inUse, queued], 'bulkhead').to.deep.equal([0, 0]);
    for (const signal of this.#signals) expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0);
    targets.close();
    expect(clock.pendingTimers, 'timers').to.equal(0);
  }

  #guard(): void {
    const { clock, targets } = this.made;
    const name = this.#of(names);
    const key = this.#of(keys);
    const { effective, surround } = targets.get(name, key ?? '');
    if (surround) this.#surrounds.add(surround);
    const extra = effective.idempotent?.value === true ? (effective.hedge?.value.extra ?? 0) : 0;
    const attemptsMax = Math.max(effective.retry?.value.attempts ?? 1, 1 + extra);
    const call: Call = { attemptsMax, attempts: 0, fallbacks: 0, ended: false };
    this.calls.push(call);
    const controller = this.#chance(0.2)
      ? (this.#controllers.at(-1) ?? new AbortController())
      : new AbortController();
    if (this.#chance(0.02)) controller.abort('before');
    const plain = this.#chance(0.3);
    const options = {
      ...(this.#chance(0.6) ? { signal: controller.signal } : {}),
      ...(key === undefined ? {} : { key }),
      ...(this.#chance(0.3) ? { criticality: this.#of(criticalities) } : {}),
      ...(this.#chance(0.2) ? { isFailure: () => this.#judge() } : {}),
      ...(this.#chance(0.2) ? { fallback: () => this.#fallback(call) } : {}),
    };
    if ('signal' in options) {
      this.#signals.add(controller.signal);
      this.#controllers = [...this.#controllers.slice(-20), controller];
    }
    const make = () =>
      guard<unknown>(
        targets,
        name,
        (context) => this.#run(call, context),
        plain && key === undefined ? undefined : options,
      );
    const over = () => {
      if (call.ended) this.faults.push('a call ended twice');
      call.ended = true;
    };
    const inherited = {
      deadlineAt: clock.now() + this.#of([-5, 20, 500, Number.POSITIVE_INFINITY]),
      rank: this.#of([0, 1, 3]),
      trace: [],
    };
    const context = this.#chance(0.5) ? inherited : { ...inherited, upstreamRetry: true as const };
    (this.#chance(0.1) ? withinContext(context, make) : make()).then(over, over);
  }

  #run(call: Call, context: GuardContext): unknown {
    call.attempts++;
    if (call.attempts > call.attemptsMax)
      this.faults.push(`${call.attempts} attempts, at most ${call.attemptsMax} allowed`);
    if (call.ended) this.faults.push('an attempt after the end of its call');
    if (this.#chance(0.2)) void context.signal;
    if (this.#chance(0.05)) this.#meddle(1);
    return this.#answer(context);
  }

  #fallback(call: Call): unknown {
    if (++call.fallbacks > 1) this.faults.push('two fallbacks of one call');
    return this.#answer();
  }

  #judge(): boolean {
    if (this.#chance(0.1)) throw new Error('a predicate that throws');
    return this.#chance(0.5);
  }

  /** At once, or later, or not before the walk is over; well or not. */
  #answer(context?: GuardContext): unknown {
    const outcome = this.#random.next();
    if (outcome < 0.1) return 'at once';
    if (outcome < 0.2) throw this.#error();
    if (outcome < 0.25) return undefined;
    if (outcome < 0.3) return hostile;
    return new Promise((resolve, reject) => {
      const fails = this.#chance(0.5) ? this.#error() : undefined;
      this.#hanging.push(() => (fails === undefined ? resolve('later') : reject(fails)));
      // Some heed their signal, most don't.
      if (context && this.#chance(0.2))
        context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true });
    });
  }

  #error(): unknown {
    const pushback = { 'grpc-retry-pushback-ms': [this.#of(['0', '7', '500', '-1', 'x'])] };
    const headers = this.#of([{}, {}, pushback, { 'switchgear-reject': ['overloaded'] }]);
    return this.#of([
      () => new Error('broken'),
      () => undefined,
      () => serviceError(this.#of([4, 5, 10, 14, 14, 14]), headers),
      () => Object.assign(new Error('unsent'), { code: 'ECONNREFUSED' }),
      () => new MeshError(this.#of(['circuit_open', 'deadline_exceeded', 'fallback_error']), 'within'),
    ])();
  }

  #end(): void {
    const [end] = this.#hanging.splice(Math.floor(this.#random.next() * this.#hanging.length), 1);
    end?.();
  }

  #leave(): void {
    if (this.#controllers.length > 0) this.#of(this.#controllers).abort('left');
  }

  /** Whoever listens, or runs within, may do as he likes. */
  #meddle(probability: number): void {
    if (this.#depth > 3 || !this.#chance(probability)) return;
    this.#depth++;
    const deed = this.#random.next();
    if (deed < 0.4) this.#leave();
    else if (deed < 0.7) this.#guard();
    else if (deed < 0.9) this.#end();
    else this.#change();
    this.#depth--;
  }

  #change(): void {
    this.#revision++;
    const next = this.#chance(0.1) ? {} : this.#policies(this.#of(['one', 'other']));
    this.made.apply(next, this.#chance(0.5) ? this.#policies('in-shadow') : undefined);
    // A circuit that went with its policy begins anew if it comes back.
    const there = new Set(this.made.targets.circuits().map(({ id }) => id));
    this.#forget((id) => !there.has(id));
  }

  #forget(which: (id: string) => boolean): void {
    for (const id of this.#epochs.keys()) if (which(id)) this.#epochs.delete(id);
  }

  #policies(policy: string): Effective {
    const maybe = <T extends object>(probability: number, sections: T): T | object =>
      this.#chance(probability) ? sections : {};
    const per = this.#of(['service', 'method'] as const);
    const circuit = circuitSpec({
      window: this.#of([
        { kind: 'time', durationMs: 1_000, buckets: 10 },
        { kind: 'time', durationMs: 10_000, buckets: 10 },
        { kind: 'count', calls: 10 },
      ]),
      ...maybe(0.3, { slowCallMs: 50 }),
      minimumCalls: this.#of([1, 3, 5]),
      openForMs: this.#of([50, 1_000]),
      halfOpen: { calls: this.#of([1, 3]), maxWaitMs: this.#of([200, 30_000]) },
      per,
    });
    const bulkhead = bulkheadSpec(this.#of([1, 2, 5]), {
      ...maybe(0.3, { maxConcurrent: 'auto' as const }),
      maxQueue: this.#of([0, 2, 10]),
      ...maybe(0.5, { queueTimeoutMs: this.#of([10, 100]) }),
      ...maybe(0.3, { shares: { critical: 0.5, 'critical-plus': 0.3 } }),
      per,
    });
    const retry = {
      attempts: this.#of([1, 2, 3, 5]),
      on: this.#of([['UNAVAILABLE'], ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED']]),
      backoff: this.#of([
        { baseMs: 1, maxMs: 1 },
        { baseMs: 25, maxMs: 250 },
      ]),
      budget: this.#of([0, 0.2, 1]),
    };
    const delay = this.#of([
      { kind: 'fixed', ms: 5 },
      { kind: 'fixed', ms: 40 },
      { kind: 'percentile', p: 0.9 },
    ] as const);
    const last: FallbackSpec = this.#of([
      { kind: 'static', value: [1] },
      { kind: 'error', status: 'ABORTED' },
    ]);
    const chain = this.#of<readonly FallbackSpec[]>([
      [{ kind: 'handler', name: 'handler' }, last],
      [
        { kind: 'cache', maxAgeMs: 500 },
        { kind: 'handler', name: 'nobody' },
      ],
      [last],
    ]);
    return effectiveOf(
      {
        ...maybe(0.6, { circuit }),
        ...maybe(0.6, { bulkhead }),
        ...maybe(0.3, { rateLimit: { rate: 20, perMs: 100, burst: 5, scope: 'local', by: per } }),
        ...maybe(0.3, { admission: { successRate: 0.5, maxRejection: 0.8, windowMs: 3_000 } }),
        ...maybe(0.5, { timeout: this.#of([30, 300, 2_000]) }),
        ...maybe(0.4, { attemptTimeout: this.#of([20, 250]) }),
        ...maybe(0.7, { idempotent: true }),
        ...maybe(0.5, { retry }),
        ...maybe(0.3, { hedge: { delay, extra: this.#of([1, 2]) } }),
        ...maybe(0.3, { fallback: chain }),
        ...maybe(0.2, { classify: { ABORTED: 'neutral', UNAVAILABLE: 'success' } }),
      },
      { policy, revision: this.#revision ?? 1 },
    );
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #of<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random.next() * all.length)] as T;
  }
}

describe('guarded calls under everything at once', () => {
  walks('each end once and leave nothing behind, over 10,000 random deeds', 6, async (random) => {
    const walk = new Walk(random);
    for (let i = 0; i < 10_000; i++) {
      walk.step();
      if (random.next() < 0.3) await settled();
      walk.check();
    }
    await walk.conclude(random.next() < 0.5);
  });
});
