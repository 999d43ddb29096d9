/**
 * The decision about a circuit of the mesh: when it opens, for whom, and when an endpoint goes instead.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Heard } from '../../../core/coordination/model.js';
import { property } from '../../support/property.js';
import { addresses, heard, judged, reporters, spread } from '../../support/reporters.js';
import { circuitSpec } from '../../support/specs.js';

const figure = fc.oneof(
  fc.nat(100),
  fc.nat(1e9),
  fc.constantFrom(Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300),
);

describe('a circuit of the mesh opens', () => {
  it('by twelve of twenty', () => {
    const found = judged([...reporters(12, { failed: 10 }), ...reporters(8, {}, 12)]);
    expect(found).to.deep.equal({
      kind: 'open',
      zone: undefined,
      reason:
        '120 of 200 calls failed in the last 250 ms (opens at 50 %); 12 of 20 reporters over it (4 needed)',
    });
  });

  it('by slow calls', () => {
    const spec = circuitSpec({ slowCallMs: 300, slowRate: 0.8 });
    expect(judged(reporters(5, { slow: 8 }), { spec })).to.deep.include({
      reason:
        '40 of 50 calls took 300 ms or more in the last 2 s (opens at 80 %); 5 of 5 reporters over it (3 needed)',
    });
    expect(judged(reporters(5, { slow: 7 }), { spec }).kind).to.equal('fine');
    expect(judged(reporters(5, { slow: 10 })).kind).to.equal('fine');
  });

  it('by a short span only if chance does not explain it', () => {
    // One and a half deviations above one of two are 110.6 of 200.
    const lately = (failed: number) => judged(reporters(10, { calls: 20, failed }));
    expect(lately(11)).to.have.property('reason').that.includes('in the last 2 s');
    expect(lately(12)).to.have.property('reason').that.includes('in the last 250 ms');
    // Which has just closed again, opens in doubt.
    const healing = judged(reporters(10, { calls: 20, failed: 11 }), { healing: true });
    expect(healing).to.have.property('reason').that.includes('in the last 250 ms');
  });

  it('at its very threshold and not below it', () => {
    const spec = circuitSpec({ failureRate: 0.07 });
    const all = (failed: number) => reporters(10, { calls: 100, failed });
    expect(judged(all(7), { spec }).kind).to.equal('open');
    expect(judged(all(6), { spec }).kind).to.equal('fine');
  });

  it('with minimumCalls and not before', () => {
    expect(judged(reporters(20, { calls: 1, failed: 1 })).kind).to.equal('open');
    expect(judged(reporters(19, { calls: 1, failed: 1 })).kind).to.equal('fine');
  });

  it('by no more than fifty, however many there are', () => {
    const of = (bad: number) => [
      ...reporters(bad, { calls: 30, failed: 30 }),
      ...reporters(950, { calls: 1 }, bad),
    ];
    expect(judged(of(50)).kind).to.equal('open');
    expect(judged(of(49)).kind).to.equal('fine');
  });

  it('by seven of a hundred where the quorum is 7 %', () => {
    const { cluster } = circuitSpec();
    const spec = circuitSpec({ failureRate: 0.05, cluster: { ...cluster, quorum: 0.07 } });
    const of = (bad: number) => [...reporters(bad, { failed: 10 }), ...reporters(100 - bad, {}, bad)];
    expect(judged(of(7), { spec }).kind).to.equal('open');
    expect(judged(of(6), { spec }).kind).to.equal('fine');
  });

  it('says what one reporter was cut to', () => {
    const found = judged([...reporters(19, { failed: 9 }), heard('x', { calls: 1_000, failed: 1_000 })]);
    expect(found)
      .to.have.property('reason')
      .that.includes('of 237.5 calls failed, cut from 1190 as one reporter weighs');
  });
});

describe('a circuit of the mesh stays closed', () => {
  property(
    'whatever one liar of twenty reporters says',
    fc.array(
      fc.record({
        calls: figure,
        failed: figure,
        slow: figure,
        endpoint: fc.constantFrom('', ...addresses),
        zone: fc.constantFrom('', 'eu-1', 'eu-2'),
      }),
      { minLength: 1, maxLength: 20 },
    ),
    (lies) => {
      const spec = circuitSpec({ slowCallMs: 100, slowRate: 0.5 });
      for (const zone of ['', 'eu-1']) {
        const honest = spread(19, 0, 1).map((each) => ({ ...each, zone }));
        const all = [...honest, ...lies.map((lie) => heard('pay/liar', lie))];
        expect(judged(all, { spec, endpoints: addresses })).to.deep.equal({ kind: 'fine' });
      }
    },
  );

  it('whatever two of two say when three are needed', () => {
    expect(judged(reporters(2, { calls: 1_000, failed: 1_000 })).kind).to.equal('fine');
    expect(judged(reporters(3, { calls: 1_000, failed: 1_000 })).kind).to.equal('open');
  });

  it('while it is frozen', () => {
    expect(judged(spread(20, 10), { frozen: 'kill switch', endpoints: addresses }).kind).to.equal('fine');
  });

  it('without calls, and without a view', () => {
    expect(judged(reporters(20, { calls: 0, blocked: 50 })).kind).to.equal('fine');
    expect(judged([], { view: { spans: [], demand: [], blocked: 0, suspects: [] } }).kind).to.equal('fine');
  });
});

describe('a broken zone of callers', () => {
  const zoned = (changes: Partial<Heard>, others: Partial<Heard>) => [
    ...reporters(5, { zone: 'eu-1', ...changes }),
    ...reporters(15, { zone: 'eu-2', ...others }, 5),
  ];
  it('has its own circuit opened, and no other', () => {
    const found = judged(zoned({ failed: 10 }, { failed: 1 }));
    expect(found).to.deep.equal({
      kind: 'open',
      zone: 'eu-1',
      reason:
        'zone eu-1: 50 of 50 calls failed in the last 250 ms (opens at 50 %); 5 of 5 reporters over it (3 needed); elsewhere 15 of 150 calls failed, 15 reporters',
    });
  });
  it('has it opened also where it is most of all calls', () => {
    const all = [...reporters(15, { zone: 'eu-1', failed: 10 }), ...reporters(5, { zone: 'eu-2' }, 15)];
    expect(judged(all)).to.deep.include({ kind: 'open', zone: 'eu-1' });
  });
  it('is one beside callers that have none', () => {
    expect(judged(zoned({ failed: 10 }, { zone: '' }))).to.deep.include({ kind: 'open', zone: 'eu-1' });
  });
  it('is all of them where the others fail too, or nobody else calls', () => {
    expect(judged(zoned({ failed: 10 }, { failed: 6 }))).to.deep.include({ kind: 'open', zone: undefined });
    expect(judged(reporters(20, { zone: 'eu-1', failed: 10 }))).to.deep.include({
      kind: 'open',
      zone: undefined,
    });
  });
  it('is none by fewer than minReporters', () => {
    const all = [...reporters(2, { zone: 'eu-1', failed: 10 }), ...reporters(18, { zone: 'eu-2' }, 2)];
    expect(judged(all).kind).to.equal('fine');
  });
});

/** The rules in the order of the text, from single reports of one moment, so that all spans are alike. A cut is found by trying. */
function twin(
  all: readonly Heard[],
  registered: readonly string[],
  quorum: number,
  minReporters: number,
): string {
  const agentsOf = (some: readonly Heard[]) => [...new Set(some.map(({ agent }) => agent))];
  const total = (some: readonly Heard[], field: 'calls' | 'failed') =>
    some.reduce((sum, each) => sum + each[field], 0);
  const own = (some: readonly Heard[], agent: string) => some.filter((each) => each.agent === agent);
  const isOver = (some: readonly Heard[]) => total(some, 'failed') * 2 >= total(some, 'calls');
  const healthy = (calls: number, failed: number) => calls > 0 && failed * 4 < calls - 1e-4;
  const over = (some: readonly Heard[]) => agentsOf(some).filter((agent) => isOver(own(some, agent))).length;
  const needed = (some: readonly Heard[]) => {
    let least = 0;
    while (least < 50 && least < quorum * agentsOf(some).length - 1e-9) least++;
    return Math.max(minReporters, least);
  };
  const weights = agentsOf(all).map((agent) => ({ agent, calls: total(own(all, agent), 'calls') }));
  const heavy = weights
    .sort((a, b) => b.calls - a.calls || (a.agent < b.agent ? -1 : 1))
    .slice(0, 5)
    .map(({ agent }) => agent);
  const weighed = (some: readonly Heard[]) => {
    const each = agentsOf(some).map((agent) => ({
      calls: total(own(some, agent), 'calls'),
      failed: total(own(some, agent), 'failed'),
      known: heavy.includes(agent),
    }));
    const share = Math.max(0.2, 1 / each.length);
    // Who is not among the heaviest of all is not cut, in a zone either.
    const kept = (calls: number, known: boolean, cut: number) => (known ? Math.min(calls, cut) : calls);
    const after = (cut: number) => each.reduce((sum, { calls, known }) => sum + kept(calls, known, cut), 0);
    let [low, high] = [0, 1_000];
    for (let i = 0; i < 100; i++) {
      const middle = (low + high) / 2;
      if (middle <= share * after(middle) + 1e-9) low = middle;
      else high = middle;
    }
    const failed = each.reduce(
      (sum, own) => sum + (own.failed * kept(own.calls, own.known, low)) / own.calls,
      0,
    );
    return { calls: after(low), failed };
  };
  const opens = (some: readonly Heard[]) => {
    if (some.length === 0) return false;
    const { calls, failed } = weighed(some);
    return calls > 20 - 1e-4 && failed > calls / 2 - 1e-4 && over(some) >= needed(some);
  };

  const known = [
    ...new Set([...registered, ...all.map(({ endpoint }) => endpoint).filter((name) => name !== '')]),
  ];
  const whole = opens(all);
  // First by a short span, which wants more unless the circuit is about to open anyhow, then by the whole window.
  for (const margin of whole ? [0] : [1.5, 0]) {
    const sick = known.filter((name) => {
      const its = all.filter(({ endpoint }) => endpoint === name);
      const [calls, failed] = [total(its, 'calls'), total(its, 'failed')];
      const enough = calls + 1e-6 >= (whole ? 20 / known.length : 20);
      const beyond = failed === calls || failed + 1e-6 >= calls / 2 + (margin * Math.sqrt(calls)) / 2;
      return (
        enough && isOver(its) && beyond && over(its) * 2 >= agentsOf(its).length && over(its) >= needed(its)
      );
    });
    const others = all.filter(({ endpoint }) => !sick.includes(endpoint));
    const named = sick.filter((name) => registered.includes(name));
    const few = sick.length * 2 <= known.length && named.length * 2 <= registered.length;
    const restHeals =
      total(others, 'calls') >= minReporters && healthy(total(others, 'calls'), total(others, 'failed'));
    if (known.length >= 2 && named.length > 0 && few && restHeals) return `eject ${named.sort().join()}`;
  }

  const zones = [...new Set(all.map(({ zone }) => zone))].filter((name) => name !== '');
  const broken = zones.filter((name) => {
    const rest = all.filter(({ zone }) => zone !== name);
    if (agentsOf(rest).length < minReporters && total(rest, 'calls') < 20) return false;
    if (rest.length === 0) return false;
    const { calls, failed } = weighed(rest);
    return opens(all.filter(({ zone }) => zone === name)) && healthy(calls, failed);
  });
  if (broken.length > 0) return `open ${broken.sort().join(' or ')}`;
  return whole ? 'open' : 'fine';
}

/** Some agents, all of one kind but for chance: with few, or with much that is wrong, in their zone or at their endpoints. */
const fleets = fc
  .record({
    agents: fc.array(
      fc.record({
        zone: fc.nat(2),
        home: fc.nat(2),
        each: fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.nat(9)), { minLength: 3, maxLength: 3 }),
      }),
      { maxLength: 14 },
    ),
    badZone: fc.nat(3),
    badEndpoint: fc.nat(4),
    sick: fc.nat(4),
    registered: fc.constantFrom(0, 2, 3, 4),
  })
  .map(({ agents, badZone, badEndpoint, sick, registered }) => ({
    registered: addresses.slice(0, registered),
    all: agents.flatMap(({ zone, home, each }, agent) =>
      each.map(([calls, luck], endpoint) => {
        const bad = sick === 0 || zone === badZone || endpoint === badEndpoint;
        const failed = luck === 0 ? 1 : luck === 1 ? calls : bad ? calls - 1 : 0;
        return heard(`a-${agent}`, {
          zone: ['', 'eu-1', 'eu-2'][zone] as string,
          endpoint: home === 2 ? '' : (addresses[endpoint] as string),
          calls,
          failed,
        });
      }),
    ),
  }));

describe('the decision', () => {
  property(
    'agrees with a twin that goes by the text, from single reports',
    fc.tuple(fleets, fc.constantFrom(0.01, 0.2, 0.5, 1), fc.integer({ min: 1, max: 4 })),
    ([{ all, registered }, quorum, minReporters]) => {
      const spec = circuitSpec();
      const changed = circuitSpec({ cluster: { ...spec.cluster, quorum, minReporters } });
      const found = judged(all, { spec: changed, endpoints: registered });
      const expected = twin(all, registered, quorum, minReporters);
      if (found.kind === 'eject') expect(`eject ${[...found.endpoints].sort().join()}`).to.equal(expected);
      else if (found.kind === 'open' && found.zone !== undefined) {
        expect(expected).to.match(/^open ./);
        expect(expected.slice(5).split(' or ')).to.include(found.zone);
      } else expect(found.kind).to.equal(expected);
    },
    2_000,
  );

  property(
    'opens nothing by fewer than the quorum, whatever they say',
    fc.tuple(
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(0.1, 0.2, 0.5),
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.tuple(figure, figure), { minLength: 40, maxLength: 40 }),
    ),
    ([agents, quorum, minReporters, lies]) => {
      const spec = circuitSpec();
      const needed = Math.max(minReporters, Math.ceil(quorum * agents - 1e-9));
      const liars = Math.min(needed - 1, agents);
      const all = [
        ...reporters(liars).map((each, i) => ({
          ...each,
          calls: lies[i]?.[0] ?? 0,
          failed: lies[i]?.[1] ?? 0,
        })),
        ...reporters(agents - liars, {}, liars),
      ].map((each) => ({ ...each, calls: each.calls >= 1 ? each.calls : 1 }));
      const changed = circuitSpec({ cluster: { ...spec.cluster, quorum, minReporters } });
      expect(judged(all, { spec: changed }).kind).to.equal('fine');
    },
  );
});
