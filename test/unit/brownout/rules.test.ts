/** Rules that raise the level by themselves: what they look at, how slowly they turn, and that nothing makes them flap. */
import { expect } from 'chai';
import fc from 'fast-check';
import { evaluate, noStates, type RuleStates, type Signals, standing } from '../../../core/brownout/rules.js';
import { parseSetting, type Rule } from '../../../core/brownout/setting.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';
import { property } from '../../support/property.js';

function rulesOf(...rules: object[]): readonly Rule[] {
  const result = parseSetting(JSON.stringify({ rules }));
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.setting.rules;
}

const unknown = () => new LatencyHistogram();
const open = (...circuits: [callee: string, agent: string][]): Signals => ({
  openCircuits: circuits.map(([callee, agent]) => ({ id: `${callee}|p`, callee, agent })),
  probingCircuits: [],
  calls: () => ({ calls: 0, failed: 0, slow: 0 }),
  latency: unknown,
});
const calls = (counts: { calls: number; failed: number; slow: number }): Signals => ({
  openCircuits: [],
  probingCircuits: [],
  calls: (service) => (service === 'payments' ? counts : { calls: 0, failed: 0, slow: 0 }),
  latency: unknown,
});
/** Calls to payments, each of which took so long. */
const took = (...latencies: readonly number[]): Signals => {
  const histogram = new LatencyHistogram();
  for (const ms of latencies) histogram.record(ms);
  return {
    ...calls({ calls: latencies.length, failed: 0, slow: 0 }),
    latency: (service) => (service === 'payments' ? histogram : unknown()),
  };
};
const times = (count: number, ms: number) => Array<number>(count).fill(ms);
const quiet = open();
/** The same two, which would let a probe through. */
const probing: Signals = { ...quiet, probingCircuits: open(['a', 'x'], ['b', 'x']).openCircuits };

/** Evaluates at each of these moments; answers the levels. */
function levels(rules: readonly Rule[], moments: readonly [atMs: number, signals: Signals][]): number[] {
  let states: RuleStates = noStates;
  return moments.map(([now, signals]) => {
    const verdict = evaluate(rules, signals, now, states);
    states = verdict.states;
    return verdict.level;
  });
}

describe('brownout rules', () => {
  const twoOpen = { level: 3, when: { openCircuits: 2 }, for: '10s', clearAfter: '60s' };
  const both = open(['a', 'x'], ['b', 'x']);

  it('turn on once their condition has held for long enough, and not before', () => {
    expect(
      levels(rulesOf(twoOpen), [
        [0, both],
        [5_000, both],
        [9_999, both],
        [10_000, both],
      ]),
    ).to.deep.equal([0, 0, 0, 3]);
  });

  it('begin anew where the condition was interrupted', () => {
    expect(
      levels(rulesOf(twoOpen), [
        [0, both],
        [9_000, quiet],
        [10_000, both],
        [19_000, both],
        [20_000, both],
      ]),
    ).to.deep.equal([0, 0, 0, 0, 3]);
  });

  it('turn off once it has not held for long enough, and not over a pause of it', () => {
    expect(
      levels(rulesOf(twoOpen), [
        [0, both],
        [10_000, both],
        [11_000, quiet],
        [70_000, quiet],
        [70_500, both],
        [71_000, quiet],
        [130_999, quiet],
        [131_000, quiet],
      ]),
    ).to.deep.equal([0, 3, 3, 3, 3, 3, 3, 0]);
  });

  it('hold nothing up for a circuit that probes: nobody may call it while they dim who would', () => {
    expect(
      levels(rulesOf(twoOpen), [
        [0, both],
        [10_000, both],
        [11_000, probing],
        [70_999, probing],
        [71_000, probing],
        [500_000, probing],
      ]),
    ).to.deep.equal([0, 3, 3, 3, 0, 0]);
  });

  it('do not begin to wait with a circuit that probes, nor anew where one opens again', () => {
    expect(
      levels(rulesOf(twoOpen), [
        [0, probing],
        [20_000, both],
        [25_000, probing],
        [30_000, probing],
        [31_000, both],
      ]),
    ).to.deep.equal([0, 0, 0, 0, 3]);
  });

  it('turn at the first look where they are not to wait', () => {
    const hasty = { ...twoOpen, for: '0s', clearAfter: '0s' };
    expect(
      levels(rulesOf(hasty), [
        [0, both],
        [1_000, quiet],
        [2_000, both],
      ]),
    ).to.deep.equal([3, 0, 3]);
  });

  it('count a circuit once, however many agents have it open', () => {
    const now = { ...twoOpen, for: '0s' };
    expect(levels(rulesOf(now), [[0, open(['a', 'x'], ['a', 'y'], ['a', 'z'])]])).to.deep.equal([0]);
  });

  for (const [what, when, seen, level] of [
    ['the circuit of a callee', { circuit: 'a' }, open(['a', 'x']), 1],
    ['not that of another', { circuit: 'a' }, open(['b', 'x']), 0],
    ['at so many agents', { circuit: 'a', agents: 2 }, open(['a', 'x'], ['a', 'y']), 1],
    ['not at fewer', { circuit: 'a', agents: 2 }, open(['a', 'x'], ['a', 'x']), 0],
    [
      'slow calls, from their rate on',
      { callee: 'payments', slowRate: '50%' },
      calls({ calls: 20, failed: 0, slow: 10 }),
      1,
    ],
    ['not below', { callee: 'payments', slowRate: '50%' }, calls({ calls: 20, failed: 20, slow: 9 }), 0],
    ['failed calls', { callee: 'payments', failureRate: '10%' }, calls({ calls: 20, failed: 2, slow: 0 }), 1],
    [
      'not of too few calls',
      { callee: 'payments', failureRate: '10%' },
      calls({ calls: 19, failed: 19, slow: 19 }),
      0,
    ],
    [
      'not of fewer than the rule says',
      { callee: 'payments', failureRate: '10%', minimumCalls: 5 },
      calls({ calls: 5, failed: 1, slow: 0 }),
      1,
    ],
    [
      'all that is named together',
      { callee: 'payments', slowRate: '50%', failureRate: '50%' },
      calls({ calls: 20, failed: 20, slow: 9 }),
      0,
    ],
    ['not a service that nobody calls', { callee: 'nobody', slowRate: '1%' }, quiet, 0],
    ['a percentile', { callee: 'payments', latency: { p99: '800ms' } }, took(...times(100, 900)), 1],
    [
      'not one below its limit',
      { callee: 'payments', latency: { p99: '800ms' } },
      took(...times(100, 700)),
      0,
    ],
    [
      'the percentile that is named',
      { callee: 'payments', latency: { p50: '800ms' } },
      took(...times(60, 1), ...times(40, 900)),
      0,
    ],
    [
      'the finest',
      { callee: 'payments', latency: { 'p99.9': '800ms' } },
      took(...times(999, 1), ...times(2, 900)),
      1,
    ],
    [
      'all percentiles together',
      { callee: 'payments', latency: { p50: '10ms', p99: '800ms' } },
      took(...times(60, 1), ...times(40, 900)),
      0,
    ],
    [
      'not the latency of too few samples',
      { callee: 'payments', latency: { p50: '1ms' }, minimumCalls: 1 },
      took(...times(19, 900)),
      0,
    ],
    [
      'not the latency of too few calls',
      { callee: 'payments', latency: { p50: '1ms' }, minimumCalls: 100 },
      took(...times(99, 900)),
      0,
    ],
    [
      'latency and rates together',
      { callee: 'payments', latency: { p50: '1ms' }, failureRate: '1%' },
      took(...times(99, 900)),
      0,
    ],
  ] as const)
    it(`look at ${what}`, () =>
      expect(levels(rulesOf({ level: 1, when, for: '0s' }), [[0, seen]])).to.deep.equal([level]));

  it('say what they saw when they turned on, the highest of them', () => {
    const rules = rulesOf(
      { level: 1, when: { openCircuits: 1 }, for: '0s' },
      { level: 2, when: { circuit: 'a' }, for: '0s' },
      { level: 2, when: { openCircuits: 2 }, for: '0s' },
    );
    const first = evaluate(rules, both, 0, noStates);
    expect(first).to.include({ level: 2, reason: 'a is open at 1 agent (the rule says 1)' });
    const more = open(['a', 'x'], ['a', 'y'], ['b', 'x'], ['c', 'x']);
    expect(evaluate(rules, more, 1000, first.states).reason).to.equal(first.reason);
  });

  it('say which percentile they saw, of how many calls', () => {
    const rules = rulesOf({ level: 1, when: { callee: 'payments', latency: { p99: '800ms' } }, for: '0s' });
    const { reason } = evaluate(rules, took(...times(240, 912)), 0, noStates);
    expect(reason).to.match(
      /^p99 of payments is [89]\d\d ms over 240 sampled calls \(the rule says 800 ms\)$/,
    );
  });

  it('keep their state over a change of the others, and forget that of a rule that is gone', () => {
    const on = evaluate(rulesOf({ ...twoOpen, for: '0s' }), both, 0, noStates);
    const other = { level: 1, when: { openCircuits: 9 } };
    expect(standing(rulesOf(other, { ...twoOpen, for: '0s' }), on.states).level).to.equal(3);
    const gone = standing(rulesOf(other), on.states);
    expect(gone.level).to.equal(0);
    expect([...gone.states]).to.have.length(1);
  });

  // A dumb twin: it keeps all that was ever seen, and looks through all of it at each moment.
  class Twin {
    readonly seen: { at: number; holds: boolean }[] = [];
    on = false;

    step(at: number, holds: boolean, { forMs, clearAfterMs }: Rule): boolean {
      this.seen.push({ at, holds });
      let since = Number.POSITIVE_INFINITY;
      for (const one of [...this.seen].reverse()) {
        if (one.holds === this.on) break;
        since = one.at;
      }
      if (at - since >= (this.on ? clearAfterMs : forMs)) {
        this.on = !this.on;
        this.seen.length = 0;
      }
      return this.on;
    }
  }

  const kinds = {
    circuits: { when: { openCircuits: 1 }, seen: open(['a', 'x']), unseen: quiet },
    latency: {
      when: { callee: 'payments', latency: { p95: '100ms' } },
      seen: took(...times(100, 1), ...times(10, 200)),
      unseen: took(...times(100, 1), ...times(3, 200)),
    },
  };

  property(
    'are what the twin says, and turn no faster than they may',
    fc.record({
      forS: fc.integer({ min: 0, max: 20 }),
      clearS: fc.integer({ min: 0, max: 20 }),
      steps: fc.array(fc.record({ waitMs: fc.integer({ min: 1, max: 4000 }), holds: fc.boolean() }), {
        maxLength: 200,
      }),
      kind: fc.constantFrom('circuits' as const, 'latency' as const),
    }),
    ({ forS, clearS, steps, kind }) => {
      const { when, seen, unseen } = kinds[kind];
      const rules = rulesOf({
        level: 2,
        when,
        for: `${forS}s`,
        clearAfter: `${clearS}s`,
      });
      const [rule] = rules;
      if (!rule) throw new Error('no rule');
      const twin = new Twin();
      let states: RuleStates = noStates;
      let now = 0;
      let level = 0;
      let turnedAt = 0;
      for (const { waitMs, holds } of steps) {
        now += waitMs;
        const verdict = evaluate(rules, holds ? seen : unseen, now, states);
        states = verdict.states;
        expect(verdict.level).to.equal(twin.step(now, holds, rule) ? 2 : 0);
        if (verdict.level === level) continue;
        expect(now - turnedAt).to.be.at.least(level === 0 ? rule.forMs : rule.clearAfterMs);
        level = verdict.level;
        turnedAt = now;
      }
    },
  );
});
