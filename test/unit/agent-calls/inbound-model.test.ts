/**
 * Random lives of calls into this service, of every kind: lines, limits that find themselves, criticalities, deadlines, callers that
 * give up, handlers that never end, policies that change, clocks that jump. Whatever happens, a client is told once, a handler hears
 * of a call that was admitted and of no other, and in the end nothing is out and nothing is set.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { Wire } from '../../../agent/server-call.js';
import { createServerInterceptor } from '../../../agent/server-interceptor.js';
import { DEFAULT_RANK, rankOf } from '../../../core/criticality.js';
import type { BulkheadSpec, Effective, RateLimitSpec, Source } from '../../../core/policy/model.js';
import type { Random } from '../../../core/random.js';
import { told, watchPending } from '../../support/guarded.js';
import { callKinds, methodNames, requestStreams, responseStreams } from '../../support/kinds.js';
import { type Arrival, arrive, type NullWire } from '../../support/null-wire.js';
import { lives } from '../../support/property.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { SpokenWire } from '../../support/spoken-wire.js';
import { type Bench, bench, settled } from '../../support/targets.js';

const { status } = grpc;
const HOUR_MS = 3_600_000;
/** Calls that come at once: more than a limit that finds itself begins with. */
const CROWD = 25;
const criticalities = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable', 'nonsense'];
const statuses = [status.OK, status.OK, status.OK, status.INTERNAL, status.UNAVAILABLE, status.NOT_FOUND];
const shares = { critical: 0.5, sheddable: 0.25 };
const auto: BulkheadSpec = { maxConcurrent: 'auto', maxQueue: 0, per: 'service' };
const bulkheads: readonly (BulkheadSpec | undefined)[] = [
  bulkheadSpec(4, { maxQueue: 4, queueTimeoutMs: 50 }),
  bulkheadSpec(4, { maxQueue: 3, queueTimeoutMs: 30, shares }),
  bulkheadSpec(2, { maxQueue: 8 }),
  bulkheadSpec(1, { per: 'method' }),
  bulkheadSpec(2, { maxQueue: 2, per: 'method', shares }),
  auto,
  { ...auto, maxQueue: 3, queueTimeoutMs: 40, shares },
  undefined,
];
/** What is about calling, and does nothing here. */
const calling = {
  circuit: circuitSpec({ minimumCalls: 1 }),
  admission: { successRate: 1, maxRejection: 1, windowMs: 30_000 },
  timeout: 20,
  attemptTimeout: 10,
  retry: retrySpec(),
  hedge: { delay: { kind: 'fixed', ms: 5 }, extra: 1 },
};

interface Call {
  readonly wire: SpokenWire;
  /** Of the monotonic clock. */
  readonly deadlineAt: number;
  readonly rank: number;
  /** Its handler never answers. */
  readonly hangs: boolean;
  answered: boolean;
  arrival?: Arrival;
}

class Life {
  readonly made: Bench;
  readonly calls: Call[] = [];
  /** How often something happened that a walk has to meet with. */
  readonly met: Record<string, number> = {};
  /** Calls of which something can still be heard. */
  #live: Call[] = [];
  readonly #random: Random;
  readonly #interceptor: grpc.ServerInterceptor;
  readonly #decisions = told();
  readonly #pending: ReturnType<typeof watchPending>;
  #revision = 0;
  #epochs = new Map<string, number>();
  /** Places in use after the last step. */
  readonly #inUse = new Map<string, number>();
  #deciding = false;
  /** Of the limits in force one does. */
  #findsItself = false;

  constructor(random: Random) {
    this.#random = random;
    this.made = bench({}, { random, decisions: this.#decisions });
    this.#pending = watchPending(this.made.targets);
    this.#decisions.listener = ({ kind, code, text }) => {
      this.#meet(`${kind} ${code}`);
      if (text.startsWith('gave up its place')) this.#meet('displaced');
      if (text.includes('before the caller')) this.#meet('late in line');
      if (text.includes('what the callee bears')) this.#meet(`${kind} by auto`);
      this.#heard();
    };
    this.made.listener = () => this.#heard();
    this.#interceptor = createServerInterceptor(this.made.targets);
    this.#change();
  }

  async step(): Promise<void> {
    const { clock } = this.made;
    const dice = this.#random.next();
    if (dice < 0.27) this.#arrive();
    else if (dice < 0.47) this.#pick(this.#live)?.wire.next();
    else if (dice < 0.63) this.#answer(this.#pick(this.#live));
    else if (dice < 0.68) this.#cancel(this.#pick(this.#live));
    else if (dice < 0.73) this.#notify();
    else if (dice < 0.76) this.#deadlineOnWire();
    else if (dice < 0.77) this.#interject();
    else if (dice < 0.78) this.#change();
    else if (dice < 0.9) clock.advance(Math.floor(this.#random.next() * 25));
    else if (dice < 0.905) clock.advance(this.#pick([1_000, 6_000, 600_000]) ?? 0);
    // The event loop is held up: timers are late.
    else if (dice < 0.92) clock.stall(this.#pick([1, 30, 30, 300]) ?? 0);
    // Somebody sets the machine's clock.
    else if (dice < 0.93) clock.wallOffset += this.#pick([HOUR_MS, -HOUR_MS, 1]) ?? 0;
    else if (dice < 0.935) for (let i = 0; i < CROWD; i++) this.#arrive();
    else await settled();
    this.#live = this.#live.filter(
      (call) => !call.wire.notified || (began(call) && !call.answered && !call.hangs),
    );
    this.#checkPermits();
    this.#checkPlaces();
    this.#checkEpochs();
  }

  /** Lets everything come to its end. The mesh may close before: those in line are let through. */
  async end(): Promise<void> {
    const { clock, targets } = this.made;
    this.#decisions.listener = this.made.listener = () => undefined;
    if (this.#one(2)) targets.close();
    for (let round = 0; round < 20; round++) {
      for (const call of this.#live) {
        this.#answer(call);
        if (!call.hangs || call.deadlineAt < Number.POSITIVE_INFINITY) continue;
        call.wire.finish('cancelled');
        call.wire.notify();
      }
      await settled();
      clock.advance(20);
    }
    // What never ends has given back its place at its deadline, though nobody has said a word; that is the wire's to say.
    expect(targets.permitsOut, 'permits').to.equal(0);
    for (const call of this.#live) {
      if (!call.wire.over) expect([began(call), call.hangs], 'untold').to.deep.equal([true, true]);
      call.wire.finish('DEADLINE_EXCEEDED');
      call.wire.notify();
    }
    targets.close();
    await settled();
  }

  check(): void {
    const { clock, targets } = this.made;
    for (const call of this.calls) {
      const { wire, arrival, deadlineAt, rank } = call;
      const { heard = [], contexts = [] } = arrival ?? {};
      expect(wire.ends, 'ends').to.have.length(1);
      expect(wire.statuses.length, 'statuses').to.be.at.most(1);
      expect(wire.late.filter(isRejection), 'late').to.deep.equal([]);
      const messages = Array.from({ length: wire.delivered }, (_, i) => `message ${i + 1}`);
      const whole = ['metadata', ...messages, ...(wire.halfClosed ? ['half-close'] : [])];
      expect(heard.filter((event) => event !== 'cancel')).to.deep.equal(began(call) ? whole : []);
      expect(heard.indexOf('cancel')).to.equal(heard.length - 1);
      expect(began(call) && refused(call), 'begun, and refused').to.equal(false);
      if (!began(call)) expect(wire.reads).to.equal(0);
      for (const context of contexts) {
        expect(context).to.equal(contexts[0]);
        expect(context?.rank).to.equal(rank);
        expect(context?.deadlineAt).to.be.within(deadlineAt - 1, deadlineAt + 1);
      }
    }
    expect(this.#pending.size, 'pending').to.equal(0);
    expect([targets.permitsOut, targets.shadowPermitsOut], 'permits').to.deep.equal([0, 0]);
    for (const { inUse, queued } of targets.bulkheads())
      expect([inUse, queued], 'places').to.deep.equal([0, 0]);
    expect(clock.pendingTimers, 'timers').to.equal(0);
    expect(targets.circuits().filter(({ callee }) => callee === 'self')).to.deep.equal([]);
    this.#checkEverywhere();
  }

  /** The walk went everywhere. */
  #checkEverywhere(): void {
    const { targets } = this.made;
    const tallies = callKinds.map((kind) => targets.get('self', pathOf(kind)).tally);
    const least = (counts: readonly number[], what: string) =>
      expect(Math.min(...counts), what).to.be.above(0);
    least(
      tallies.flatMap(({ ok, failed, neutral, queued }) => [ok, failed, neutral, queued]),
      'of each kind',
    );
    const would = ['bulkhead_full', 'rate_limited', 'overloaded'];
    for (const code of [...would, 'bulkhead_timeout', 'deadline_exceeded'])
      least(
        tallies.map((tally) => tally.rejections[code] ?? 0),
        code,
      );
    for (const what of [
      ...would.map((code) => `would-reject ${code}`),
      ...['displaced', 'reject by auto', 'ended by a word', 'cancelled in line', 'late on the wire'],
      ...['late in line', 'over its deadline', 'interjected', 'circuit'],
    ])
      least([this.met[what] ?? 0], what);
  }

  /** Places are never overdrawn: where a limit fell below what is in use, that only drains. */
  #checkPlaces(): void {
    for (const { callee, method, policy, inUse, queued, limit } of this.made.targets.bulkheads()) {
      const id = `${callee}|${policy}|${method}`;
      expect(Math.min(inUse, queued), id).to.be.at.least(0);
      // One that finds itself falls as calls end, of which others take the places in the same step.
      const most = Math.max(limit, this.#inUse.get(id) ?? 0);
      if (!this.#findsItself) expect(inUse, id).to.be.at.most(most);
      this.#inUse.set(id, inUse);
    }
  }

  /** They only grow; a circuit that goes with its policy begins anew. */
  #checkEpochs(): void {
    const circuits = new Map(this.made.targets.circuits().map(({ id, epoch }) => [id, epoch]));
    for (const [id, epoch] of circuits) {
      expect(epoch, id).to.be.at.least(this.#epochs.get(id) ?? 1);
      if (epoch > 1) this.#meet('circuit');
    }
    this.#epochs = circuits;
  }

  /** As many are out as calls are in; one whose deadline is over may still have to hear of it. */
  #checkPermits(): void {
    const inside = this.#live.filter((call) => !call.answered && !call.wire.notified && !refused(call));
    const sure = inside.filter(({ deadlineAt }) => deadlineAt > this.made.clock.now() + 1);
    expect(this.made.targets.permitsOut, 'permits').to.be.within(sure.length, inside.length);
  }

  /** Somebody hears of a decision, within it, and ends a call, perhaps the very one. */
  #heard(): void {
    if (this.#deciding || !this.#one(4)) return;
    this.#deciding = true;
    const call = this.#one(2) ? this.#live.at(-1) : this.#pick(this.#live.slice(-12));
    this.#meet('ended by a word');
    if (this.#one(3)) this.#answer(call);
    else if (this.#one(2)) this.#interject();
    else this.#cancel(call, true);
    this.#deciding = false;
  }

  #arrive(): void {
    const { clock } = this.made;
    const kind = this.#pick(callKinds) ?? 'unary';
    const limitMs = this.#one(2) ? Math.floor(this.#random.next() * 200) - 5 : Number.POSITIVE_INFINITY;
    const at = clock.wallNow() + limitMs;
    const deadline = limitMs !== Number.POSITIVE_INFINITY && this.#one(2) ? new Date(at) : at;
    const criticality = this.#one(2) ? this.#pick(criticalities) : undefined;
    const messages = requestStreams(kind) ? Math.floor(this.#random.next() * 4) : 1;
    const wire = new SpokenWire(deadline, messages, this.#one(2), this.#one(4));
    const deadlineAt = clock.now() + limitMs;
    const rank = rankOf(criticality) ?? DEFAULT_RANK;
    const call: Call = { wire, deadlineAt, rank, hangs: this.#one(8), answered: false };
    // Known before it arrives, so that it can be ended while it does.
    this.calls.push(call);
    this.#live.push(call);
    call.arrival = arrive(this.#interceptor, {
      wire,
      path: `/${pathOf(kind)}`,
      headers: criticality === undefined ? {} : { 'switchgear-criticality': criticality },
      onEvent: (event, through) => {
        if (event === 'metadata' || (event.startsWith('message') && requestStreams(kind)))
          through.startRead();
        if (event === 'metadata' && this.#one(6))
          void guard(this.made.targets, 'db', this.#work).catch(() => undefined);
        if (event !== 'cancel' && responseStreams(kind) && this.#one(3))
          through.sendMessage('part', () => {});
        if (event !== 'cancel' && this.#one(12)) this.#answer(call, through);
      },
    });
  }

  /** What handlers call on to, under a circuit. */
  readonly #work = () => {
    if (this.#one(2)) throw new Error('down');
  };

  /** The handler answers once, if it has heard of the call and ever does. */
  #answer(call: Call | undefined, through: Wire | undefined = call?.arrival?.call): void {
    if (!call || !through || call.hangs || call.answered) return;
    if (call.arrival && !began(call)) return;
    call.answered = true;
    if (!call.wire.over && call.deadlineAt <= this.made.clock.now()) this.#meet('over its deadline');
    through.sendStatus({ code: this.#pick(statuses) ?? status.OK, details: '' });
  }

  /** Its caller gives up; `told`: the wire says so at once. */
  #cancel(call: Call | undefined, told = this.#one(2)): void {
    if (!call || call.wire.over) return;
    if (call.arrival?.heard.length === 0) this.#meet('cancelled in line');
    call.wire.finish('cancelled');
    if (told) call.wire.notify();
  }

  /** Some wires say that they are over. */
  #notify(): void {
    for (const { wire } of this.#live) if (this.#one(2)) wire.notify();
  }

  /** What grpc-js answers by itself, past everybody. */
  #deadlineOnWire(): void {
    const now = this.made.clock.now();
    const call = this.#pick(this.#live.filter(({ wire, deadlineAt }) => !wire.over && deadlineAt <= now));
    if (!call) return;
    this.#meet('late on the wire');
    call.wire.finish('DEADLINE_EXCEEDED');
  }

  /** Somebody between us and the handler ends a call of which that has not heard. */
  #interject(): void {
    const waiting = this.#live.filter(
      ({ wire, arrival, answered }) =>
        arrival?.heard.length === 0 && !answered && wire.statuses.length === 0 && !wire.notified,
    );
    const call = this.#pick(waiting);
    if (!call) return;
    this.#meet('interjected');
    call.answered = true;
    call.arrival?.call.sendStatus({ code: status.ABORTED, details: '' });
  }

  #change(): void {
    const source: Source = { policy: this.#one(4) ? 'other' : 'inbound', revision: ++this.#revision };
    // One that finds itself is tried before there is any.
    const tried = this.#one(2)
      ? this.#pick([auto, { ...auto, shares }, bulkheadSpec(3), 'rate'] as const)
      : undefined;
    const limit = tried === 'rate' ? undefined : tried;
    const shadow =
      tried && this.#policies({ ...source, policy: 'in-shadow' }, limit, tried === 'rate' ? 2 : 0);
    const pick = () => (limit?.maxConcurrent === 'auto' ? undefined : this.#pick(bulkheads));
    const all = this.#policies(source, pick());
    const own = this.#one(3) ? this.#policies({ ...source, policy: 'of-uploads' }, pick()) : all;
    this.#findsItself = [all, own].some(({ bulkhead }) => bulkhead?.value.maxConcurrent === 'auto');
    const upload = pathOf('client stream');
    const db = effectiveOf({ circuit: circuitSpec({ minimumCalls: 3, openForMs: 50 }) });
    this.made.policies = (to, method) => (to !== 'self' ? db : method === upload ? own : all);
    this.made.shadows = (to) => (to === 'self' ? shadow : undefined);
    this.made.targets.refresh();
  }

  #policies(source: Source, bulkhead: BulkheadSpec | undefined, rate = this.#one(3) ? 40 : 0): Effective {
    const by = this.#one(2) ? 'service' : 'method';
    const rateLimit: RateLimitSpec = { rate, perMs: 1_000, burst: 4, scope: 'local', by };
    return effectiveOf(
      {
        ...(bulkhead && { bulkhead }),
        ...(rate > 0 && { rateLimit }),
        ...(this.#one(2) && calling),
      } as Parameters<typeof effectiveOf>[0],
      source,
    );
  }

  #meet(what: string): void {
    this.met[what] = (this.met[what] ?? 0) + 1;
  }

  #one(of: number): boolean {
    return this.#random.next() * of < 1;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random.next() * from.length)];
  }
}

function pathOf(kind: keyof typeof methodNames): string {
  return `test.Kinds/${methodNames[kind]}`;
}

/** Its handler has heard of it. */
function began({ arrival }: Call): boolean {
  return arrival?.heard[0] === 'metadata';
}

function isRejection({ metadata }: NullWire['statuses'][number]): boolean {
  return (metadata?.get('switchgear-reject').length ?? 0) > 0;
}

/** By a policy; what grpc-js says past us is none of ours. */
function refused({ wire }: Call): boolean {
  return wire.statuses.some(isRejection);
}

describe('the life of calls into this service', () => {
  lives('tells each client once, and leaves nothing behind', (random) => new Life(random));
});
