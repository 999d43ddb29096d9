/**
 * All targets of an agent, each bound once by callee and method, and everything they share: parts, time limits, clock. When
 * policies change, `refresh` compiles every target anew in one go, so a call sees either the old or the new policies.
 *
 * Bound: `maxKeys` targets (10,000). Over it, the least recently used that hold nothing leave; if none can, further keys share
 * one overflow target with a circuit of its own: never unprotected in silence.
 */
import type { Clock } from '../core/clock.js';
import type { CircuitSpec, Effective } from '../core/policy/model.js';
import { parsePolicy } from '../core/policy/parse.js';
import type { Random } from '../core/random.js';
import type { CircuitStateName, SavedCircuit } from '../core/resilience/circuit.js';
import { Plan } from '../core/resilience/plan.js';
import { checkCallee, isCallee } from './callee-name.js';
import type { Logger } from './logger.js';
import { type CircuitChange, circuitId, describe, Parts } from './parts.js';
import { type Cell, Target } from './target.js';
import { Timeouts } from './timeouts.js';

export type { CircuitChange } from './parts.js';
export type { Cell } from './target.js';

export interface TargetsOptions {
  /** Name of the calling service. */
  readonly service: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The policies that hold for this callee and method (empty: every method). */
  effective(to: string, method: string): Effective;
  /** A name is used for the first time, or again after it had to make room; one that found no room isn't told. Must not throw. */
  onNewCallee(to: string): void;
  onCircuit(change: CircuitChange): void;
  readonly maxKeys?: number;
}

export interface CircuitView {
  readonly id: string;
  readonly state: CircuitStateName;
  readonly epoch: number;
  readonly retryAfterMs: number;
  /** Policy and revision that ask for the circuit; absent: no policy does, and the state is `disabled`. */
  readonly policy?: string;
  readonly revision?: number;
}

/** What waits in a line and must be told when the mesh closes. */
export interface Pending {
  cancel(): void;
}

const MAX_KEYS = 10_000;
/** Of the keys, so many leave at once, which makes room for a while and keeps the price of a look at all of them low. */
const EVICTED_AT_ONCE = 0.1;
/** After a look at all of them in which none could leave, so long passes before the next. */
const FULL_FOR_MS = 1_000;
export const OVERFLOW = '(overflow)';

/** Where no policy for `*` says otherwise, keys beyond the cap are under a circuit with all the defaults. */
function overflowCircuit(): CircuitSpec {
  const parsed = parsePolicy({ policy: 'overflow', match: { to: '*' }, spec: { circuit: {} } });
  const circuit = parsed.ok ? parsed.policy.spec.circuit : undefined;
  if (!circuit) throw new Error('a circuit without settings has to parse');
  return circuit;
}

export class Targets {
  readonly clock: Clock;
  readonly timeouts: Timeouts;
  /** Calls that share the overflow target because every key is in use. */
  overflowed = 0;
  readonly #options: TargetsOptions;
  readonly #parts: Parts;
  readonly #byCallee = new Map<string, Map<string, Target>>();
  /** Those of no particular method, found in one step. */
  readonly #whole = new Map<string, Target>();
  readonly #pending = new Set<Pending>();
  readonly #maxKeys: number;
  #keys = 0;
  #fullUntil = Number.NEGATIVE_INFINITY;
  #active: Target[] = [];
  #overflow: Target | undefined;
  #overflowSpec: CircuitSpec | undefined;
  #closed = false;
  readonly #onActive = (target: Target) => void this.#active.push(target);

  constructor(options: TargetsOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.timeouts = new Timeouts(options.clock);
    this.#parts = new Parts(options);
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
  }

  /** Keys that are bound; at most `maxKeys`. */
  get size(): number {
    return this.#keys;
  }

  /** Permits that are out: 0 when no call is under way. */
  get permitsOut(): number {
    return this.#parts.permits.out;
  }

  /**
   * The target of a callee, for one method or (empty) the callee as a whole. Calls must set its `lastUsedAt`, and whoever keeps
   * it asks again once it is `evicted`, or for each call while it is the overflow's. Throws `invalid_configuration` for what is no
   * string.
   */
  get(callee: string, method = ''): Target {
    if (method === '') return this.#whole.get(callee) ?? this.#bind(callee, method);
    return this.#byCallee.get(callee)?.get(method) ?? this.#bind(callee, method);
  }

  /** Policies changed: from the next call on the new ones hold. State, epochs and windows are kept. */
  refresh(): void {
    const all = this.#all();
    for (const target of all) target.use(this.#compile(target.callee, target.method));
    if (this.#overflow) this.#overflow.use(this.#compileOverflow());
    this.#sweep();
  }

  circuit(callee: string, method = ''): CircuitView {
    const section = this.#options.effective(callee, method).circuit;
    if (!section) return { id: '', state: 'disabled', epoch: 0, retryAfterMs: 0 };
    const id = circuitId(callee, method, section.value, section.source);
    const part = this.#parts.circuit(id);
    const now = this.clock.now();
    return {
      id,
      state: part?.circuit.state(now) ?? 'closed',
      epoch: part?.circuit.epoch ?? 1,
      retryAfterMs: part?.circuit.retryAfterMs(now) ?? 0,
      ...section.source,
    };
  }

  /** Grows with each new circuit, so that whoever tells of them knows when to look again. */
  get circuitsMade(): number {
    return this.#parts.circuitsMade;
  }

  /** Every circuit as it is now; `from` and `to` are the same. */
  circuits(): CircuitChange[] {
    const now = this.clock.now();
    return Array.from(this.#parts.circuits(), (part) => {
      const state = part.circuit.state(now);
      const retryAfterMs = part.circuit.retryAfterMs(now);
      return describe(part, {
        from: state,
        to: state,
        epoch: part.circuit.epoch,
        reason: part.reason,
        retryAfterMs,
      });
    });
  }

  /** Counts of the targets that had traffic since the last time. */
  drainCells(): Cell[] {
    const active = this.#active;
    this.#active = [];
    return active.map((target) => target.drain());
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
    this.timeouts.close();
  }

  #bind(callee: string, method: string): Target {
    // A string that no policy can name runs under `*`; what is no string is a variable that somebody forgot to set.
    if (typeof callee !== 'string') checkCallee(callee);
    if (this.#keys >= this.#maxKeys && !this.#makeRoom()) return this.#shared(callee);
    let methods = this.#byCallee.get(callee);
    if (!methods) {
      methods = new Map();
      this.#byCallee.set(callee, methods);
      this.#options.onNewCallee(callee);
    }
    const target = new Target(callee, method, this.#compile(callee, method), this.#onActive);
    target.lastUsedAt = this.clock.now();
    methods.set(method, target);
    if (method === '') this.#whole.set(callee, target);
    this.#keys++;
    return target;
  }

  #compile(callee: string, method: string): { plan: Plan; effective: Effective } {
    const effective = this.#options.effective(callee, method);
    return { plan: new Plan(this.#parts.gates(callee, method, effective), this.#parts.permits), effective };
  }

  #compileOverflow(): { plan: Plan; effective: Effective } {
    const general = this.#options.effective('*', '');
    this.#overflowSpec ??= overflowCircuit();
    const circuit = general.circuit ?? {
      value: this.#overflowSpec,
      source: { policy: OVERFLOW, revision: 0 },
    };
    const effective = { ...general, circuit };
    return { plan: new Plan(this.#parts.gates(OVERFLOW, '', effective), this.#parts.permits), effective };
  }

  #shared(callee: string): Target {
    if (!this.#overflow) {
      this.#overflow = new Target(OVERFLOW, '', this.#compileOverflow(), this.#onActive);
      const fields = { callee, keys: this.#keys, maxKeys: this.#maxKeys };
      this.#options.logger.warn(
        fields,
        'too many callees and methods in use: further ones share one circuit',
      );
    }
    this.overflowed++;
    return this.#overflow;
  }

  /** Lets the least recently used targets go that hold nothing; false if every one does. */
  #makeRoom(): boolean {
    const now = this.clock.now();
    if (now < this.#fullUntil) return false;
    const idle = this.#all().filter(
      ({ callee, method, effective }) => !this.#parts.busy(callee, method, effective, now),
    );
    idle.sort((a, b) => a.lastUsedAt - b.lastUsedAt);
    const leaving = idle.slice(0, Math.max(1, Math.floor(this.#maxKeys * EVICTED_AT_ONCE)));
    for (const target of leaving) {
      target.evicted = true;
      const methods = this.#byCallee.get(target.callee);
      methods?.delete(target.method);
      if (target.method === '') this.#whole.delete(target.callee);
      if (methods?.size === 0) this.#byCallee.delete(target.callee);
      this.#keys--;
    }
    if (leaving.length === 0) {
      this.#fullUntil = now + FULL_FOR_MS;
      return false;
    }
    this.#sweep();
    // Nobody may be reading the counts: those of whom has left are kept only while they are few.
    if (this.#active.length > this.#maxKeys) this.#active = this.#active.filter((target) => !target.evicted);
    return true;
  }

  #sweep(): void {
    const used: { callee: string; method: string; effective: Effective }[] = this.#all();
    if (this.#overflow) used.push(this.#overflow);
    this.#parts.retain(used);
  }

  #all(): Target[] {
    const all: Target[] = [];
    for (const methods of this.#byCallee.values()) all.push(...methods.values());
    return all;
  }
}
