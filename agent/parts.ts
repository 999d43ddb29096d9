/**
 * The circuits, bulkheads, rates and budgets of an agent, by identity: callee and the policy that asks for it (and the method,
 * where the policy says so). Targets share them; a policy's new revision finds them again and keeps their state. A part that no
 * target refers to any more goes, with whatever it held.
 */
import type { Clock } from '../core/clock.js';
import type { CircuitSpec, Effective, Source } from '../core/policy/model.js';
import type { Random } from '../core/random.js';
import { Admission } from '../core/resilience/admission.js';
import { AttemptBudget } from '../core/resilience/budget.js';
import { Bulkhead } from '../core/resilience/bulkhead.js';
import { Circuit, type CircuitStateName, type SavedCircuit } from '../core/resilience/circuit.js';
import type { Gate } from '../core/resilience/gate.js';
import { OutlierWatch } from '../core/resilience/outlier-watch.js';
import { Permits } from '../core/resilience/permits.js';
import { RateLimiter } from '../core/resilience/rate.js';
import type { RateDemand, RateGrants } from '../proto/messages.js';
import { SELF } from './callee-name.js';
import { Kept } from './kept.js';
import type { RateShares } from './rate-shares.js';
import { FallbackSlots } from './surround.js';

/** A circuit changed its state, or is as it is. */
export interface CircuitChange {
  /** `<callee>|<policy>`, and `|<method>` where the policy says `per: method`. */
  readonly id: string;
  readonly callee: string;
  /** Empty for a circuit per service. */
  readonly method: string;
  /** Of a policy in shadow both are `shadow`; what it would be is in `reason`. */
  readonly from: CircuitStateName;
  readonly to: CircuitStateName;
  readonly policy: string;
  readonly revision: number;
  readonly epoch: number;
  readonly retryAfterMs: number;
  /** In words, with the figures that decided. */
  readonly reason: string;
}

export interface CircuitPart {
  readonly id: string;
  readonly callee: string;
  readonly method: string;
  readonly circuit: Circuit;
  source: Source;
  spec: CircuitSpec;
  /** Why it is in its state. */
  reason: string;
}

export interface PartsOptions {
  readonly clock: Clock;
  readonly random: Random;
  onCircuit(change: CircuitChange): void;
  onProbe?(circuit: string, permit: number, ok: boolean): void;
  /** A circuit has just been made: nobody has called through it yet. */
  onMade?(id: string, circuit: Circuit): void;
  readonly rateShares: RateShares;
  /** They only run beside what is enforced: their circuits show as `shadow`. */
  readonly shadow?: boolean;
}

/** A target, as far as it says which parts it uses. */
export interface Use {
  readonly callee: string;
  readonly method: string;
  readonly effective: Effective;
}

/** Saved circuits that no policy has asked for yet are kept up to this many. */
const SAVED_MAX = 10_000;
/** So long after its open period a circuit that nobody asked for is history. */
const SAVED_STALE_MS = 10 * 60_000;

export class Parts {
  readonly permits: Permits;
  readonly #circuits = new Map<string, CircuitPart>();
  readonly #bulkheads = new Kept<Bulkhead>();
  readonly #rates = new Kept<RateLimiter>();
  readonly #admissions = new Kept<Admission>();
  readonly #budgets = new Kept<AttemptBudget>();
  readonly #slots = new Kept<FallbackSlots>();
  readonly #outliers = new Kept<OutlierWatch>();
  readonly #saved = new Map<string, { saved: SavedCircuit; elapsedMs: number; at: number }>();
  readonly #options: PartsOptions;
  /** Circuits that were ever made. */
  circuitsMade = 0;

  constructor(options: PartsOptions, permits = new Permits()) {
    this.#options = options;
    this.permits = permits;
    options.rateShares.onChange(() => this.#shareRates());
  }

  /** The gates that these policies ask for, outermost first. Calls into this service have no circuit: it is their own. */
  gates(callee: string, method: string, effective: Effective): readonly Gate[] {
    const gates: Gate[] = [];
    const { rateLimit, admission, bulkhead, circuit } = effective;
    const inbound = callee === SELF;
    if (rateLimit) gates.push(this.#rateFor(callee, method, rateLimit));
    if (admission && !inbound) gates.push(this.#admissionFor(callee, admission));
    if (bulkhead) gates.push(this.#bulkheadFor(callee, method, effective));
    if (circuit && !inbound) gates.push(this.#circuitFor(callee, method, circuit.value, circuit.source));
    return gates;
  }

  /** What retries and hedges of this callee share; undefined if these policies name neither. */
  budget(callee: string, { retry, hedge }: Effective): AttemptBudget | undefined {
    const source = (retry ?? hedge)?.source;
    if (!source) return undefined;
    const share = retry?.value.budget ?? HEDGE_BUDGET;
    const make = () => new AttemptBudget(share);
    return this.#budgets.get(idOf(callee, source), share, make, (budget) => budget.reconfigure(share));
  }

  slots(callee: string, { fallback }: Effective): FallbackSlots | undefined {
    if (!fallback) return undefined;
    return this.#slots.get(idOf(callee, fallback.source), true, () => new FallbackSlots());
  }

  /** Where nobody is left out, only told of; calls into this service have no instances. */
  outliers(callee: string, { outlier }: Effective): OutlierWatch | undefined {
    if (!outlier || callee === SELF) return undefined;
    const { value, source } = outlier;
    const now = this.#options.clock.now();
    const make = () => new OutlierWatch(value, now);
    return this.#outliers.get(idOf(callee, source), value, make, (part) => part.reconfigure(value, now));
  }

  /** How much was asked of the limits that the mesh shares, since the last time. */
  rateDemands(): RateDemand[] {
    const demands: RateDemand[] = [];
    for (const [id, { part }] of this.#rates.entries()) {
      if (part.scope !== 'cluster') continue;
      const asked = part.takeDemand();
      if (asked > 0) demands.push({ id, asked });
    }
    return demands;
  }

  grantRates({ grants, ttlMs }: RateGrants): void {
    const now = this.#options.clock.now();
    for (const { id, tokens, intervalMs, agents } of grants) {
      this.#rates.find(id)?.grant(tokens, intervalMs, ttlMs, agents, now);
    }
  }

  #shareRates(): void {
    const now = this.#options.clock.now();
    for (const [id, { part }] of this.#rates.entries())
      part.share(this.#options.rateShares.of(id).agents, now);
  }

  circuit(id: string): CircuitPart | undefined {
    return this.#circuits.get(id);
  }

  circuits(): Iterable<CircuitPart> {
    return this.#circuits.values();
  }

  bulkhead(callee: string, method: string, { bulkhead }: Effective): Bulkhead | undefined {
    return bulkhead && this.#bulkheads.find(keyedId(callee, method, bulkhead.value.per, bulkhead.source));
  }

  /** Whether something would be lost by dropping what this target alone may be using. */
  busy({ callee, method, effective }: Use, now: number): boolean {
    const held = this.bulkhead(callee, method, effective);
    if (held && held.inUse + held.queued > 0) return true;
    const { circuit, retry, hedge } = effective;
    const source = (retry ?? hedge)?.source;
    if (source && (this.#budgets.find(idOf(callee, source))?.active ?? 0) > 0) return true;
    const part = circuit && this.#circuits.get(circuitId(callee, method, circuit.value, circuit.source));
    return part !== undefined && part.circuit.state(now) !== 'closed';
  }

  /** Drops all that none of these refers to. */
  retain(used: Iterable<Use>): void {
    const circuits = new Set<string>();
    const bulkheads = new Set<string>();
    const rates = new Set<string>();
    const others = new Set<string>();
    for (const { callee, method, effective } of used) {
      const { bulkhead, circuit, rateLimit, admission, retry, hedge, fallback, outlier } = effective;
      if (bulkhead) bulkheads.add(keyedId(callee, method, bulkhead.value.per, bulkhead.source));
      if (circuit) circuits.add(circuitId(callee, method, circuit.value, circuit.source));
      if (rateLimit) rates.add(keyedId(callee, method, rateLimit.value.by, rateLimit.source));
      for (const section of [admission, retry, hedge, fallback, outlier])
        if (section) others.add(idOf(callee, section.source));
    }
    for (const id of this.#circuits.keys()) if (!circuits.has(id)) this.#circuits.delete(id);
    this.#bulkheads.retain(bulkheads);
    this.#rates.retain(rates);
    for (const kept of [this.#admissions, this.#budgets, this.#slots, this.#outliers]) kept.retain(others);
  }

  /** Circuits that are not closed, for the snapshot; those of a former process that nobody has asked for yet among them. */
  save(): { readonly [id: string]: SavedCircuit } {
    const now = this.#options.clock.now();
    const saved: Record<string, SavedCircuit> = Object.create(null);
    for (const [id, former] of this.#saved) {
      const remainingMs = former.saved.remainingMs - former.elapsedMs - (now - former.at);
      if (remainingMs > -SAVED_STALE_MS)
        saved[id] = { ...former.saved, remainingMs: Math.max(0, remainingMs) };
      else this.#saved.delete(id);
    }
    for (const part of this.#circuits.values()) {
      const state = part.circuit.save(now);
      if (state) saved[part.id] = state;
    }
    return saved;
  }

  /** Circuits as a former process left them `elapsedMs` ago; each opens when its policy asks for it. */
  restore(saved: { readonly [id: string]: SavedCircuit }, elapsedMs: number): void {
    const at = this.#options.clock.now();
    // The wall clock, which `elapsedMs` comes from, may have gone back; what passes from here on counts all the same.
    const former = { elapsedMs: Math.max(0, elapsedMs), at };
    for (const [id, state] of Object.entries(saved).slice(0, SAVED_MAX)) {
      this.#saved.set(id, { saved: state, ...former });
      const known = this.#circuits.get(id);
      if (known) this.#revive(id, known.circuit, at);
    }
  }

  #circuitFor(callee: string, method: string, spec: CircuitSpec, source: Source): Circuit {
    const id = circuitId(callee, method, spec, source);
    const now = this.#options.clock.now();
    const known = this.#circuits.get(id);
    if (known) {
      // By identity, not by revision: after the data were replaced the same number may mean another document.
      if (known.spec !== spec) known.circuit.reconfigure(spec, now);
      known.source = source;
      known.spec = spec;
      return known.circuit;
    }
    const { random } = this.#options;
    const circuit: Circuit = new Circuit(spec, {
      permits: this.permits,
      random,
      now,
      listener: {
        transition: (transition) => {
          // Dropped with its policy: calls from before may still end in it, but it is nobody's circuit any more.
          if (this.#circuits.get(id) !== part) return;
          part.reason = transition.reason;
          this.#options.onCircuit(describe(part, transition, this.#options.shadow));
        },
        probed: (permit, ok) => this.#options.onProbe?.(id, permit, ok),
      },
    });
    const part: CircuitPart = {
      id,
      callee,
      method: spec.per === 'method' ? method : '',
      circuit,
      source,
      spec,
      reason: '',
    };
    this.#circuits.set(id, part);
    this.circuitsMade++;
    this.#revive(id, circuit, now);
    this.#options.onMade?.(id, circuit);
    return circuit;
  }

  #revive(id: string, circuit: Circuit, now: number): void {
    const former = this.#saved.get(id);
    if (!former) return;
    this.#saved.delete(id);
    circuit.restore(former.saved, former.elapsedMs + (now - former.at), now);
  }

  #rateFor(callee: string, method: string, { value, source }: Section<'rateLimit'>): RateLimiter {
    const now = this.#options.clock.now();
    const id = keyedId(callee, method, value.by, source);
    const make = () => new RateLimiter(value, now, this.#options.rateShares.of(id));
    return this.#rates.get(id, value, make, (rate) => rate.reconfigure(value, now));
  }

  #admissionFor(callee: string, { value, source }: Section<'admission'>): Admission {
    const { clock, random } = this.#options;
    const now = clock.now();
    const make = () => new Admission(value, { random, now });
    return this.#admissions.get(idOf(callee, source), value, make, (part) => part.reconfigure(value, now));
  }

  #bulkheadFor(callee: string, method: string, { bulkhead, timeout, attemptTimeout }: Effective): Bulkhead {
    const { value, source } = bulkhead as Section<'bulkhead'>;
    const now = this.#options.clock.now();
    const timeoutMs = attemptTimeout?.value ?? timeout?.value;
    const side = callee === SELF ? 'server' : 'client';
    // In shadow nobody can wait: a place in line counts as room.
    const spec =
      this.#options.shadow && typeof value.maxConcurrent === 'number'
        ? { ...value, maxConcurrent: value.maxConcurrent + value.maxQueue, maxQueue: 0 }
        : value;
    const make = () =>
      new Bulkhead(spec, { permits: this.permits, side, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    const id = keyedId(callee, method, value.per, source);
    return this.#bulkheads.get(id, value, make, (part) => part.reconfigure(spec, now));
  }
}

type Section<S extends keyof Effective> = NonNullable<Effective[S]>;

/** Of a policy that hedges and says nothing of retries. */
const HEDGE_BUDGET = 0.2;

export function describe(
  part: CircuitPart,
  change: {
    from: CircuitStateName;
    to: CircuitStateName;
    epoch: number;
    reason: string;
    retryAfterMs: number;
  },
  shadow = false,
): CircuitChange {
  const { id, callee, method, source } = part;
  const { policy, revision } = source;
  if (!shadow) return { id, callee, method, policy, revision, ...change };
  const reason = change.reason === '' ? '' : `would be ${change.to}: ${change.reason}`;
  const { epoch } = change;
  return {
    id,
    callee,
    method,
    policy,
    revision,
    from: 'shadow',
    to: 'shadow',
    epoch,
    retryAfterMs: 0,
    reason,
  };
}

/** Identity of the circuit that this section asks for. */
export function circuitId(callee: string, method: string, spec: CircuitSpec, source: Source): string {
  return keyedId(callee, method, spec.per, source);
}

function keyedId(callee: string, method: string, per: 'service' | 'method', source: Source): string {
  const whole = idOf(callee, source);
  return per === 'method' && method !== '' ? `${whole}|${method}` : whole;
}

function idOf(callee: string, source: Source): string {
  return `${callee}|${source.policy}`;
}
