/**
 * The circuit against its dumb twin: calls that end in any order, twice, late or never, a clock that stands, steps or leaps an
 * hour, policies that change, holds that come and go (with and without an end), the mesh that opens, probes, ramps or forces it, and
 * processes that end and come back with what was saved.
 */
import { expect } from 'chai';
import type { CircuitSpec, WindowSpec } from '../../../core/policy/model.js';
import { type Random, seededRandom } from '../../../core/random.js';
import type { CircuitMode, SavedCircuit } from '../../../core/resilience/circuit.js';
import type { DirectionSpec } from '../../../core/resilience/direction.js';
import type { Outcome } from '../../../core/resilience/outcome.js';
import { NONE } from '../../../core/resilience/permits.js';
import { CircuitTwin } from '../../support/circuit-twin.js';
import { TestCircuit } from '../../support/circuits.js';
import { walks } from '../../support/property.js';
import { circuitSpec } from '../../support/specs.js';

const windows: readonly WindowSpec[] = [
  { kind: 'time', durationMs: 10_000, buckets: 10 },
  { kind: 'time', durationMs: 1_000, buckets: 3 },
  { kind: 'count', calls: 8 },
  { kind: 'count', calls: 20 },
];

class Choice {
  constructor(readonly random: Random) {}

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  of<T>(all: readonly T[]): T {
    return all[Math.floor(this.random.next() * all.length)] as T;
  }

  spec(): CircuitSpec {
    const slowCallMs = this.of([undefined, 50, 200]);
    return circuitSpec({
      window: this.of(windows),
      failureRate: this.of([0.07, 0.25, 1 / 3, 0.5, 0.8, 1]),
      ...(slowCallMs === undefined ? {} : { slowCallMs }),
      slowRate: this.of([0.3, 0.5, 1]),
      minimumCalls: this.of([1, 3, 8]),
      openForMs: this.of([100, 5_000, 90_000]),
      halfOpen: { calls: this.of([1, 2, 3, 5]), maxWaitMs: this.of([300, 30_000]) },
    });
  }

  mode(): CircuitMode {
    return this.of(['enforce', 'enforce', 'enforce', 'shadow', 'disabled'] as const);
  }

  /** What the mesh says; undefined: nothing any more. Of a few permits, so that some are named again. */
  word(): DirectionSpec | undefined {
    if (this.chance(0.15)) return undefined;
    const states = ['closed', 'open', 'half-open', 'half-open', 'ramping', 'ramping', 'forced-open'] as const;
    const permits = [1, 2, 3, 4].filter(() => this.chance(0.4));
    return {
      state: this.chance(0.2) ? 'forced-closed' : this.of(states),
      epoch: this.of([1, 1, 2]),
      admitPercent: this.of([0, 5, 50, 100]),
      permits: this.chance(0.5) ? permits : [...permits].reverse(),
      ttlMs: this.of([50, 1_000, 10_000, 60_000]),
      reason: '12 of 20 agents agree',
    };
  }

  /** As a file may say it, too. */
  saved(saved: SavedCircuit): SavedCircuit {
    if (this.chance(0.7)) return saved;
    return {
      remainingMs: this.of([-5, 0, 70_000, 1e12, Number.NaN]),
      openings: this.of([-1, 0, 3, 40, Number.NaN]),
    };
  }
}

/** Both, anew: as they are when a process begins. */
function begin(spec: CircuitSpec, random: Random) {
  const draws = Math.floor(random.next() * 2 ** 31);
  const real = new TestCircuit(spec, { random: seededRandom(draws) });
  const twin = new CircuitTwin(spec, seededRandom(draws));
  return { real, twin };
}

function walk(random: Random, steps: number, states: Set<string>): void {
  const choice = new Choice(random);
  let { real, twin } = begin(choice.spec(), random);
  let calls: { handle: number; call: (typeof twin.calls)[number] }[] = [];
  let holds: { real: number; twin: number }[] = [];
  let healthy = true;

  for (let i = 0; i < steps; i++) {
    const deed = random.next();
    if (deed < 0.4) {
      const deadlineMs = choice.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 20, 100, 1_000]);
      const handle = real.acquire(deadlineMs);
      const call = twin.acquire(real.now, real.now + deadlineMs);
      expect(handle !== NONE, `step ${i}: let through`).to.equal(call !== undefined);
      if (call) calls.push({ handle, call });
    } else if (deed < 0.75 && calls.length > 0) {
      const at = choice.chance(0.7) ? Math.max(0, calls.length - 1 - Math.floor(random.next() * 6)) : 0;
      const each = calls[at] as (typeof calls)[number];
      const outcome: Outcome = choice.chance(0.1)
        ? 'neutral'
        : choice.chance(healthy ? 0.9 : 0.2)
          ? 'success'
          : 'failure';
      for (let times = choice.chance(0.1) ? 2 : 1; times > 0; times--) {
        real.end(each.handle, outcome);
        twin.end(each.call, outcome, real.now);
      }
      // Some are kept, to be ended once more later.
      if (choice.chance(0.9)) calls.splice(at, 1);
    } else if (deed < 0.91) {
      real.now += choice.of([0, 1, 1, 10, 10, 60, 60, 333.3, 1_000, 1_000, 6_000, 35_000, 3_600_000]);
      if (choice.chance(0.05)) healthy = !healthy;
    } else if (deed < 0.93) {
      const next = choice.chance(0.5) ? { ...choice.spec(), window: twin.spec.window } : choice.spec();
      const mode = choice.mode();
      real.circuit.reconfigure(next, real.now, mode);
      twin.reconfigure(next, mode, real.now);
    } else if (deed < 0.96) {
      const word = choice.word();
      real.circuit.direct(word, real.now);
      twin.direct(word, real.now);
    } else if (deed < 0.97) {
      const ttlMs = choice.of([50, 1_000, 10_000, Number.POSITIVE_INFINITY]);
      const hold = real.circuit.hold(ttlMs, real.now, 'test');
      twin.hold(i, ttlMs, real.now);
      holds.push({ real: hold, twin: i });
    } else if (deed < 0.995 && holds.length > 0) {
      const hold = choice.of(holds);
      real.circuit.release(hold.real, real.now);
      twin.release(hold.twin, real.now);
      holds = holds.filter((each) => each !== hold);
    } else if (deed > 0.995) {
      const saved = twin.save(real.now);
      if (saved === undefined) continue;
      ({ real, twin } = begin(twin.spec, random));
      calls = [];
      holds = [];
      const file = choice.saved(saved);
      const elapsedMs = choice.of([0, 50, 3_000, 3_600_000, -500, Number.NaN, Number.POSITIVE_INFINITY]);
      real.circuit.restore(file, elapsedMs, real.now);
      twin.restore(file, elapsedMs, real.now);
    }
    states.add(real.state);
    expect(seen(real), `after step ${i}`).to.deep.equal({
      state: twin.state(real.now),
      epoch: twin.epoch,
      late: twin.late,
      retryAfterMs: twin.retryAfterMs(real.now),
      transitions: twin.told.length,
      last: twin.told.at(-1),
      wouldReject: twin.wouldReject,
      probed: twin.probed,
      saved: toTheMicrosecond(twin.save(real.now)),
    });
    // Whoever hears of the transitions, and of nothing else, knows the state.
    const [before, after] = real.transitions.slice(-2);
    if (after !== undefined) expect(after.from, `step ${i}`).to.equal(before?.to);
  }
  for (const { handle } of calls) real.end(handle, 'neutral');
  expect(real.permits.out).to.equal(0);
}

/** Jitter may be reckoned in more than one order. */
function toTheMicrosecond(saved: SavedCircuit | undefined) {
  return saved && { ...saved, remainingMs: Math.round(saved.remainingMs * 1_000) };
}

function seen(real: TestCircuit) {
  const last = real.transitions.at(-1);
  return {
    state: real.state,
    epoch: real.circuit.epoch,
    late: real.circuit.late,
    retryAfterMs: real.circuit.retryAfterMs(real.now),
    transitions: real.transitions.length,
    last: last && `${last.from} → ${last.to} (${last.epoch})`,
    wouldReject: real.wouldReject.length,
    probed: real.probed,
    saved: toTheMicrosecond(real.circuit.save(real.now)),
  };
}

const allStates = ['closed', 'disabled', 'forced-closed', 'forced-open', 'half-open', 'open', 'ramping'];

describe('circuit and its dumb twin', () => {
  walks('agree about every call, state, epoch and transition, over 20 circuits of 800 deeds', 5, (random) => {
    const states = new Set<string>();
    for (let i = 0; i < 20; i++) walk(random, 800, states);
    expect([...states].sort()).to.deep.equal(allStates);
  });
});
