/**
 * A circuit with a clock of its own in one object, so that a test reads as what happened, in order.
 */
import type { CircuitSpec } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import { Circuit, type CircuitMode, type Transition } from '../../core/resilience/circuit.js';
import type { DirectionSpec } from '../../core/resilience/direction.js';
import type { Refusal } from '../../core/resilience/gate.js';
import type { Outcome } from '../../core/resilience/outcome.js';
import { NONE, Permits } from '../../core/resilience/permits.js';
import { circuitSpec, evenRandom } from './specs.js';

export class TestCircuit {
  now = 0;
  readonly permits = new Permits();
  readonly transitions: Transition[] = [];
  readonly wouldReject: Refusal[] = [];
  /** What probe permits of the mesh came to. */
  readonly probed: { permit: number; ok: boolean }[] = [];
  readonly circuit: Circuit;
  onTransition: (transition: Transition) => void = () => undefined;

  constructor(
    readonly spec: CircuitSpec = circuitSpec(),
    options: { random?: Random; mode?: CircuitMode } = {},
  ) {
    this.circuit = new Circuit(spec, {
      permits: this.permits,
      random: options.random ?? evenRandom,
      now: 0,
      ...(options.mode ? { mode: options.mode } : {}),
      listener: {
        transition: (transition) => {
          this.transitions.push(transition);
          this.onTransition(transition);
        },
        wouldReject: (refusal) => void this.wouldReject.push(refusal),
        probed: (permit, ok) => void this.probed.push({ permit, ok }),
      },
    });
  }

  get state(): string {
    return this.circuit.state(this.now);
  }

  /** The states it went to, in order. */
  get path(): string[] {
    return this.transitions.map(({ to }) => to);
  }

  acquire(deadlineMs = Number.POSITIVE_INFINITY): number {
    return this.circuit.tryAcquire(this.now, this.now + deadlineMs);
  }

  end(handle: number, outcome: Outcome): void {
    this.circuit.end(handle, outcome, this.now);
  }

  /** The mesh says something of it. */
  direct(state: DirectionSpec['state'], changes: Partial<DirectionSpec> = {}): this {
    const usual = {
      epoch: 1,
      admitPercent: 100,
      permits: [],
      ttlMs: 10_000,
      reason: '12 of 20 agents agree',
    };
    this.circuit.direct({ ...usual, state, ...changes }, this.now);
    return this;
  }

  /** Whole calls, one after the other, each of that length; answers how many were let through. */
  calls(count: number, outcome: Outcome, tookMs = 0): number {
    let admitted = 0;
    for (let i = 0; i < count; i++) {
      const handle = this.acquire();
      if (handle === NONE) continue;
      admitted++;
      this.now += tookMs;
      this.end(handle, outcome);
    }
    return admitted;
  }

  /** Opens by as many failures as it takes, and moves on to where the next call is a probe. */
  untilHalfOpen(): this {
    this.trip();
    this.now += this.circuit.retryAfterMs(this.now);
    return this;
  }

  trip(): this {
    this.calls(this.spec.minimumCalls, 'failure');
    if (this.state !== 'open') throw new Error(`expected it to open, it is ${this.state}`);
    return this;
  }

  /** What a call would be told; '' if it would be let through. */
  rejection(): string {
    const handle = this.acquire();
    if (handle === NONE) return this.circuit.refusal(this.now).text;
    this.end(handle, 'neutral');
    return '';
  }
}
