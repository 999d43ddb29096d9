/**
 * A call's way through the stages of its policies, for tests of their order: some of the stages, a call through one of the two
 * engines, and everything that any stage remembers, so that one that was not touched shows.
 */
import { expect } from 'chai';
import type { Effective, Sections } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import { type Driven, type Engine, type EngineName, engineOf } from './engines.js';
import { retrySpec } from './retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from './specs.js';
import { type Bench, bench } from './targets.js';

/** From the outside in; a policy has either retries or hedges. `admission` is one more gate, behind the rate limit. */
export const stages = [
  'fallback',
  'deadline',
  'retry',
  'hedge',
  'rateLimit',
  'admission',
  'bulkhead',
  'circuit',
  'attemptTimeout',
  'call',
] as const;
export type Stage = (typeof stages)[number];

/** What a stage that turns a call away before it begins says. */
export const rejectionCodes = {
  deadline: 'deadline_exceeded',
  rateLimit: 'rate_limited',
  admission: 'overloaded',
  bulkhead: 'bulkhead_full',
  circuit: 'circuit_open',
} as const satisfies { readonly [S in Stage]?: string };

export const isOutside = (outer: Stage, inner: Stage) => stages.indexOf(outer) < stages.indexOf(inner);
export const areRivals = (one: Stage, other: Stage) =>
  [one, other].every((stage) => stage === 'retry' || stage === 'hedge');

export type Given = { [S in keyof Sections]?: NonNullable<Sections[S]> };

export const TIMEOUT_MS = 5_000;
export const ATTEMPT_MS = 1_000;
export const HEDGE_MS = 100;
/** The longest that a pause before a first retry can be. */
export const PAUSE_MS = 25;
export const BURST = 6;
/** A minute, and the jitter. */
export const OPEN_MS = 72_001;
/** So long after a failure admission has forgotten it, and the circuit is still open. */
export const FORGOTTEN_MS = 31_000;

/** Our own rejections' statuses are among them: they aren't tried again for another reason. */
const on = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'];

const sectionsOf: { readonly [S in Stage]: Given } = {
  // A handler has its caller's time; what is over without any is answered all the same.
  fallback: {
    fallback: [
      { kind: 'handler', name: 'last' },
      { kind: 'error', status: 'NOT_FOUND', message: 'nothing to show' },
    ],
  },
  deadline: { timeout: TIMEOUT_MS },
  retry: { retry: retrySpec({ on }), idempotent: true },
  hedge: {
    hedge: { delay: { kind: 'fixed', ms: HEDGE_MS }, extra: 1 },
    retry: retrySpec({ on }),
    idempotent: true,
  },
  rateLimit: { rateLimit: { rate: 1, perMs: 3_600_000, burst: BURST, scope: 'local', by: 'service' } },
  admission: { admission: { successRate: 0.95, maxRejection: 0.8, windowMs: 30_000 } },
  bulkhead: { bulkhead: bulkheadSpec(1) },
  circuit: {
    circuit: circuitSpec({
      minimumCalls: 1,
      failureRate: 0.01,
      openForMs: 60_000,
      halfOpen: { calls: 1, maxWaitMs: 30_000 },
    }),
  },
  attemptTimeout: { attemptTimeout: ATTEMPT_MS },
  call: {},
};

export class Line {
  readonly made: Bench;
  readonly engine: Engine;
  /** What every lot comes to: high lets everybody through admission. */
  lot = 0.99;
  /** Admission has drawn so many (others draw when they fail). */
  lots = 0;
  readonly #calls: Driven[] = [];
  #present: readonly Stage[];
  readonly #changes: Given;

  constructor(engine: EngineName, present: readonly Stage[], changes: Given = {}) {
    const random: Random = {
      next: () => {
        this.lots++;
        return this.lot;
      },
      hex: () => '',
    };
    this.#present = present;
    this.#changes = changes;
    this.made = bench(this.#policies(), { random });
    this.engine = engineOf(engine, this.made);
  }

  /** A live change: the policy does without that stage, and the others keep what they hold. */
  drop(stage: Stage): void {
    this.#present = this.#present.filter((each) => each !== stage);
    this.made.apply(this.#policies());
  }

  #policies(): Effective {
    const given: Given = Object.assign({}, ...this.#present.map((stage) => ({ ...sectionsOf[stage] })));
    const names = Object.keys(given) as (keyof Given)[];
    const changed = Object.entries(this.#changes).filter(([name]) => names.includes(name as keyof Given));
    return effectiveOf({ ...given, ...Object.fromEntries(changed) } as Parameters<typeof effectiveOf>[0]);
  }

  async call(deadlineMs?: number): Promise<Driven> {
    const call = await this.engine.call(deadlineMs);
    this.#calls.push(call);
    return call;
  }

  /** A call whose first attempt fails, and any other succeeds. */
  async failing(): Promise<Driven> {
    const call = await this.call();
    await call.fail();
    await this.pass(PAUSE_MS);
    if (call.end === undefined) await call.succeed();
    return call;
  }

  async pass(ms: number): Promise<void> {
    this.made.clock.advance(ms);
    await new Promise(setImmediate);
  }

  /** Ends what is under way, and closes; fails if a permit, a slot of the budget, or a timer is out then. */
  async expectNothingLeft(): Promise<void> {
    for (const call of this.#calls)
      for (let attempt = 1; attempt <= call.attempts; attempt++) await call.succeed(attempt);
    const { targets, clock } = this.made;
    const { budget, slots } = this.engine.target().surround ?? {};
    expect(targets.permitsOut, 'permits').to.equal(0);
    expect([budget?.active ?? 0, budget?.extras ?? 0], 'budget').to.deep.equal([0, 0]);
    expect(slots?.inUse ?? 0, 'slots').to.equal(0);
    expect(targets.deadlines.size, 'limits').to.equal(0);
    targets.close();
    expect(clock.pendingTimers, 'timers').to.equal(0);
  }

  /** Attempts that have begun. */
  get begun(): number {
    return this.#calls.reduce((sum, { attempts }) => sum + attempts, 0);
  }

  get tally() {
    return this.engine.target().tally;
  }

  get rejections(): number {
    return this.tally.rejected;
  }

  /** Calls that a fallback has answered. */
  get degraded(): number {
    return Object.values(this.tally.degraded).reduce((sum, count) => sum + count, 0);
  }

  /** What the stages remember, but for the tokens of the rate limit. */
  memory(): unknown {
    const { targets, changes } = this.made;
    const { ok, failed, neutral, retries, hedges, timeouts } = this.tally;
    const { tokens, active, extras } = this.engine.target().surround?.budget ?? {};
    return {
      permits: targets.permitsOut,
      limits: targets.deadlines.size,
      counted: { ok, failed, neutral, retries, hedges, timeouts },
      budget: { tokens, active, extras },
      bulkheads: targets.bulkheads().map(({ inUse, queued }) => ({ inUse, queued })),
      circuits: targets
        .circuits()
        .map(({ epoch, to, retryAfterMs }) => ({ epoch, to, shut: retryAfterMs > 0 })),
      transitions: changes.length,
      begun: this.begun,
    };
  }
}
