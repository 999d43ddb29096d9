/**
 * All targets of an agent, each bound once by callee and method, and everything they share: parts, time limits, clock. When
 * policies change, `refresh` compiles every target anew in one go, so a call sees either the old or the new policies.
 *
 * Bound: `maxKeys` targets (10,000). Over it, the least recently used that hold nothing leave; if none can, further keys share
 * one target of their callee, under its policies (`overflow.ts`): never unprotected in silence.
 */
import type { Clock } from '../core/clock.js';
import type { CircuitSpec, Effective } from '../core/policy/model.js';
import type { Random } from '../core/random.js';
import type { SavedCircuit } from '../core/resilience/circuit.js';
import { Plan } from '../core/resilience/plan.js';
import { ResponseCache } from '../core/resilience/response-cache.js';
import type { RateDemand, RateGrants } from '../proto/messages.js';
import { checkCallee, isCallee, SELF } from './callee-name.js';
import { CoarseClock } from './coarse-clock.js';
import { Deadlines } from './deadlines.js';
import { type DecisionListener, nobody } from './decisions.js';
import { Directions } from './directions.js';
import { FallbackHandlers } from './fallback-handlers.js';
import type { Logger } from './logger.js';
import { OVERFLOW, Overflow, overflowCircuit } from './overflow.js';
import { type CircuitChange, Parts, type PartsOptions, type Use } from './parts.js';
import { RateShares } from './rate-shares.js';
import { Room } from './room.js';
import { Shadow } from './shadow.js';
import { surroundOf } from './surround.js';
import { type Cell, type Compiled, Target, type TargetOwner } from './target.js';
import { Timeouts } from './timeouts.js';
import {
  type BulkheadView,
  bulkheadRows,
  type CircuitView,
  circuitRows,
  circuitView,
  noCircuit,
  shadowView,
} from './views.js';

export type { CircuitChange } from './parts.js';
export type { Cell } from './target.js';
export type { BulkheadView, CircuitView } from './views.js';

export interface TargetsOptions {
  /** Name of the calling service. */
  readonly service: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The policies that hold for this callee and method (empty: every method). */
  effective(to: string, method: string): Effective;
  /** Of those, what policies in shadow would change; undefined: none would. */
  shadowed?(to: string, method: string): Effective | undefined;
  /** A name is used for the first time, or again after it had to make room; one that found none of its own isn't told. Must not throw. */
  onNewCallee(to: string): void;
  onCircuit(change: CircuitChange): void;
  /** An attempt that a probe permit of the mesh let through has come to something. Must not throw. */
  onProbe?(circuit: string, permit: number, ok: boolean): void;
  /** Calls under a circuit of the mesh begin to fail or to be slow. Must not throw. */
  onBad?(): void;
  /** A target has to make room for others; its counts go with it. Must not throw. */
  onGone?(target: Target): void;
  readonly decisions?: DecisionListener;
  readonly maxKeys?: number;
  /** Callees that have a target for what is over `maxKeys`. */
  readonly overflowsMax?: number;
}

/** What waits in a line and must be told when the mesh closes. */
export interface Pending {
  cancel(): void;
}

const MAX_KEYS = 10_000;

export class Targets {
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  readonly deadlines: Deadlines;
  /** For counts that don't need more. */
  readonly coarse: CoarseClock;
  /** Functions that policies name as fallbacks. */
  readonly handlers: FallbackHandlers;
  /** Among how many agents limits of the mesh are divided, those of policies in shadow as well. */
  readonly rateShares: RateShares;
  /** What the mesh says of circuits. */
  readonly directions: Directions;
  readonly #options: TargetsOptions;
  readonly #parts: Parts;
  readonly #shadows: Parts;
  readonly #decisions: DecisionListener;
  readonly #byCallee = new Map<string, Map<string, Target>>();
  /** Those of no particular method, found in one step. */
  readonly #whole = new Map<string, Target>();
  /** Of no particular method, asked for last. */
  #last: Target | undefined;
  readonly #pending = new Set<Pending>();
  #responses: ResponseCache<unknown> | undefined;
  readonly #maxKeys: number;
  #keys = 0;
  readonly #room: Room;
  #active: Target[] = [];
  readonly #overflow: Overflow;
  #overflowSpec: CircuitSpec | undefined;
  #closed = false;
  readonly #owner: TargetOwner = {
    active: (target) => void this.#active.push(target),
    bad: () => this.#options.onBad?.(),
  };

  constructor(options: TargetsOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.timeouts = new Timeouts(options.clock);
    this.coarse = new CoarseClock(options.clock);
    this.handlers = new FallbackHandlers(options.logger);
    this.rateShares = new RateShares(options.clock);
    const { clock, logger } = options;
    const find = (id: string) => this.#parts.circuit(id)?.circuit;
    this.directions = new Directions({ clock, logger, timeouts: this.timeouts, find });
    this.#decisions = options.decisions ?? nobody;
    const onMade: PartsOptions['onMade'] = (id, circuit) => this.directions.made(id, circuit);
    this.#parts = new Parts({ ...options, rateShares: this.rateShares, onMade });
    this.deadlines = new Deadlines(options.clock, this.#parts.permits);
    this.#shadows = new Parts({ ...options, rateShares: this.rateShares, shadow: true });
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    const busy = (target: Target, now: number) => this.#parts.busy(target, now);
    this.#room = new Room(busy);
    this.#overflow = new Overflow({
      logger,
      busy,
      make: (callee) => this.#makeOverflow(callee),
      left: (targets) => this.#left(targets),
      ...(options.overflowsMax === undefined ? {} : { calleesMax: options.overflowsMax }),
    });
  }

  /** Keys that are bound; at most `maxKeys`. */
  get size(): number {
    return this.#keys;
  }

  /** Calls that share a target of their callee because every key is in use. */
  get overflowed(): number {
    return this.#overflow.calls;
  }

  /** Permits that are out: 0 when no call is under way. */
  get permitsOut(): number {
    return this.#parts.permits.out;
  }

  /** Of the policies in shadow: 0 as well when no call is under way. */
  get shadowPermitsOut(): number {
    return this.#shadows.permits.out;
  }

  /**
   * The target of a callee, for one method or (empty) the callee as a whole. Calls must set its `lastUsedAt`, and whoever keeps
   * it asks again once it is `evicted`, or for each call while it is an `overflow`. Throws `invalid_configuration` for what is no
   * string.
   */
  get(callee: string, method = ''): Target {
    if (method === '') {
      const last = this.#last;
      if (last !== undefined && last.callee === callee && !last.evicted) return last;
      return this.#find(callee);
    }
    return this.#byCallee.get(callee)?.get(method) ?? this.#bind(callee, method);
  }

  /** That of a method of gRPC, which metrics name; what else stands for a method is a key of the application's own. */
  ofMethod(callee: string, path: string): Target {
    const target = this.get(callee, path.startsWith('/') ? path.slice(1) : path);
    target.rpc = !target.overflow;
    return target;
  }

  /** Whether this is a method of gRPC that was called. */
  isRpc(callee: string, method: string): boolean {
    return this.#byCallee.get(callee)?.get(method)?.rpc === true;
  }

  #find(callee: string): Target {
    const target = this.#whole.get(callee) ?? this.#bind(callee, '');
    if (!target.overflow) this.#last = target;
    return target;
  }

  /** Policies changed: from the next call on the new ones hold. State, epochs and windows are kept. */
  refresh(): void {
    for (const target of this.bound()) target.use(this.#compile(target.callee, target.method));
    this.#sweep();
  }

  /** The circuit that the next call would meet. Calls into this service have none, whatever their policies say. */
  circuit(callee: string, key = ''): CircuitView {
    if (callee === SELF) return noCircuit;
    const method = this.#overflows(callee, key) ? OVERFLOW : key;
    const use = { callee, method, effective: this.#options.effective(callee, method) };
    const view = circuitView(this.#parts, use, this.clock.now(), (id) => this.directions.of(id));
    return view ?? shadowView(this.#shadows, callee, method, this.#options.shadowed?.(callee, method));
  }

  /** The last good answers, for fallbacks; made when a policy first asks for them. 1,000 answers, about 16 MiB. */
  get responses(): ResponseCache<unknown> {
    this.#responses ??= new ResponseCache();
    return this.#responses;
  }

  get random(): Random {
    return this.#options.random;
  }

  /** Grows with each new circuit, so that whoever tells of them knows when to look again. */
  get circuitsMade(): number {
    return this.#parts.circuitsMade + this.#shadows.circuitsMade;
  }

  /** Every circuit as it is now; `from` and `to` are the same. */
  circuits(): CircuitChange[] {
    const now = this.clock.now();
    return [...circuitRows(this.#parts, false, now), ...circuitRows(this.#shadows, true, now)];
  }

  /** Every bulkhead that a target uses, as it is now. */
  bulkheads(): BulkheadView[] {
    return bulkheadRows(this.#parts, this.bound());
  }

  /** Every target that is bound, for whoever reads their counts. */
  bound(): Target[] {
    return [...this.#all(), ...this.#overflow.all()];
  }

  /** Of the limits that the mesh shares: what was asked of each since the last time. */
  rateDemands(): RateDemand[] {
    return this.#parts.rateDemands();
  }

  /** What the control plane grants this agent of them. */
  grantRates(grants: RateGrants): void {
    this.#parts.grantRates(grants);
  }

  /** Counts of the targets that had traffic since the last time. `urgent`: it isn't the time yet, something turned bad. */
  drainCells(urgent = false): Cell[] {
    const active = this.#active;
    this.#active = [];
    return active.flatMap((target) => target.drainCells(urgent));
  }

  save(): { readonly [id: string]: SavedCircuit } {
    return this.#parts.save();
  }

  /** Circuits as a former process left them. They stand as they did before anybody calls, so that whoever looks sees them. */
  restore(saved: { readonly [id: string]: SavedCircuit }, elapsedMs: number): void {
    this.#parts.restore(saved, elapsedMs);
    this.refresh();
    for (const id of Object.keys(saved)) {
      const [callee = '', , method = ''] = id.split('|');
      if (isCallee(callee) && this.circuit(callee, method).id === id) this.get(callee, method);
    }
  }

  /** Remembers what waits in a line, until `settled`; false once closed. Bounded by the lines' own limits. */
  pending(waiting: Pending): boolean {
    if (!this.#closed) this.#pending.add(waiting);
    return !this.#closed;
  }

  settled(waiting: Pending): void {
    this.#pending.delete(waiting);
  }

  /** Rejects what waits; calls under way end on their own, within their limits. No timer outlasts the last of them. */
  close(): void {
    this.#closed = true;
    for (const waiting of [...this.#pending]) waiting.cancel();
    this.#pending.clear();
    this.directions.close();
    this.timeouts.close();
    this.deadlines.close();
    this.coarse.close();
  }

  #bind(callee: string, method: string): Target {
    // A string that no policy can name runs under `*`; what is no string is a variable that somebody forgot to set.
    if (typeof callee !== 'string') checkCallee(callee);
    if (method === OVERFLOW) return this.#overflow.of(callee, this.clock.now());
    if (this.#keys >= this.#maxKeys && !this.#makeRoom()) {
      this.#overflow.calls++;
      return this.#overflow.of(callee, this.clock.now());
    }
    let methods = this.#byCallee.get(callee);
    if (!methods) {
      methods = new Map();
      this.#byCallee.set(callee, methods);
      this.#options.onNewCallee(callee);
    }
    const target = this.#make(callee, method);
    methods.set(method, target);
    if (method === '') this.#whole.set(callee, target);
    this.#keys++;
    return target;
  }

  #make(callee: string, method: string): Target {
    const target = new Target(callee, method, this.#compile(callee, method), this.#owner, this.#decisions);
    target.lastUsedAt = this.clock.now();
    return target;
  }

  #makeOverflow(callee: string): Target {
    // Its policies are its own: the control plane has to know that they are asked for.
    if (callee !== OVERFLOW && !this.#byCallee.has(callee)) this.#options.onNewCallee(callee);
    const target = this.#make(callee, callee === OVERFLOW ? '' : OVERFLOW);
    target.overflow = true;
    return target;
  }

  /** Whether a key that isn't bound would find no place. */
  #overflows(callee: string, key: string): boolean {
    if (this.#keys < this.#maxKeys || this.#overflow.find(callee) === undefined) return false;
    return !this.#byCallee.get(callee)?.has(key);
  }

  #compile(callee: string, method: string): Compiled {
    if (callee === OVERFLOW) return this.#compileOverflow();
    const effective = this.#options.effective(callee, method);
    const shadowed = this.#options.shadowed?.(callee, method);
    if (shadowed === undefined) return this.#compiled(callee, method, effective);
    const plan = new Plan(this.#shadows.gates(callee, method, shadowed), this.#shadows.permits);
    const outliers = this.#shadows.outliers(callee, shadowed);
    const shadow = new Shadow(plan, shadowed, outliers, effective.idempotent?.value);
    return this.#compiled(callee, method, effective, shadow);
  }

  #compiled(callee: string, method: string, effective: Effective, shadow?: Shadow): Compiled {
    const parts = this.#parts;
    const plan = new Plan(parts.gates(callee, method, effective), parts.permits);
    const shared = { budget: parts.budget(callee, effective), slots: parts.slots(callee, effective) };
    return { plan, effective, surround: surroundOf(effective, shared, shadow) };
  }

  #compileOverflow(): Compiled {
    const general = this.#options.effective('*', '');
    this.#overflowSpec ??= overflowCircuit();
    const circuit = general.circuit ?? {
      value: this.#overflowSpec,
      source: { policy: OVERFLOW, revision: 0 },
    };
    return this.#compiled(OVERFLOW, '', { ...general, circuit });
  }

  /** False if no key can leave. */
  #makeRoom(): boolean {
    const leaving = this.#room.leaving(() => this.#all(), this.clock.now());
    for (const { callee, method } of leaving) {
      const methods = this.#byCallee.get(callee);
      methods?.delete(method);
      if (method === '') this.#whole.delete(callee);
      if (methods?.size === 0) this.#byCallee.delete(callee);
      this.#keys--;
    }
    if (leaving.length > 0) this.#left(leaving);
    return leaving.length > 0;
  }

  /** They are in no table any more. */
  #left(targets: readonly Target[]): void {
    for (const target of targets) {
      target.evicted = true;
      this.#options.onGone?.(target);
    }
    this.#sweep();
    // Nobody may be reading the counts: those of whom has left are kept only while they are few.
    if (this.#active.length > this.#maxKeys) this.#active = this.#active.filter((target) => !target.evicted);
  }

  #sweep(): void {
    const used: Use[] = this.bound();
    this.#parts.retain(used);
    const { shadowed } = this.#options;
    if (!shadowed) return;
    const shadows = used.map(({ callee, method }) => ({
      callee,
      method,
      effective: shadowed(callee, method) ?? {},
    }));
    this.#shadows.retain(shadows);
  }

  #all(): Target[] {
    const all: Target[] = [];
    for (const methods of this.#byCallee.values()) all.push(...methods.values());
    return all;
  }
}
