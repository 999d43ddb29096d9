/**
 * The window of a circuit at one replica: what leaves when, whom it counts, its bounds; against a twin that keeps every record.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { type Heard, SPANS, type View } from '../../../core/coordination/model.js';
import { CircuitWindow } from '../../../core/coordination/window.js';
import { property } from '../../support/property.js';
import { heard, reporters } from '../../support/reporters.js';
import { circuitSpec } from '../../support/specs.js';

const spec = circuitSpec({ slowCallMs: 100, slowRate: 0.5 });
const WINDOW_MS = 800;

/** Keeps all, counts by filtering. */
class Twin {
  #records: { slice: number; heard: Heard }[] = [];

  record(each: Heard, now: number): void {
    this.#records.push({ slice: Math.floor(now / 100), heard: each });
  }

  left(agent: string): void {
    this.#records = this.#records.filter((record) => record.heard.agent !== agent);
  }

  view(now: number) {
    const slice = Math.floor(now / 100);
    const last = (part: number) =>
      this.#records.filter((record) => record.slice > slice - part * 8).map((record) => record.heard);
    const called = last(1).filter(({ blocked }) => blocked > 0);
    return {
      blocked: sum(called, 'blocked'),
      demand: unique(called.map(({ agent }) => agent)).map((agent) => {
        const its = called.filter((each) => each.agent === agent);
        return [agent, sum(its, 'blocked')];
      }),
      spans: SPANS.map((part) => {
        const all = last(part).filter(({ calls }) => calls > 0);
        const zones = new Map(all.map(({ agent }) => [agent, this.#zone(agent)]));
        const inZone = (zone: string) => all.filter(({ agent }) => zones.get(agent) === zone);
        return {
          ms: part * WINDOW_MS,
          ...group(all),
          heavy: unique(all.map(({ agent }) => agent))
            .map((agent) => ({ agent, ...counts(all.filter((each) => each.agent === agent)) }))
            .sort((a, b) => b.calls - a.calls || (a.agent < b.agent ? -1 : 1))
            .slice(0, 5),
          zones: named(unique([...zones.values()]), inZone),
          endpoints: named(unique(all.map(({ endpoint }) => endpoint)), (name) =>
            all.filter(({ endpoint }) => endpoint === name),
          ),
        };
      }),
    };
  }

  #zone(agent: string): string {
    return this.#records.findLast((record) => record.heard.agent === agent)?.heard.zone ?? '';
  }
}

function sum(all: readonly Heard[], field: 'calls' | 'failed' | 'slow' | 'blocked'): number {
  return all.reduce((total, each) => total + each[field], 0);
}

function counts(all: readonly Heard[]) {
  return { calls: sum(all, 'calls'), failed: sum(all, 'failed'), slow: sum(all, 'slow') };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function group(all: readonly Heard[]) {
  const agents = unique(all.map(({ agent }) => agent));
  const over = agents.filter((agent) => {
    const { calls, failed, slow } = counts(all.filter((each) => each.agent === agent));
    return failed >= calls / 2 || slow >= calls / 2;
  });
  return { ...counts(all), agents: agents.length, over: over.length };
}

function named(names: readonly string[], members: (name: string) => readonly Heard[]) {
  return names.filter((name) => name !== '').map((name) => ({ name, ...group(members(name)) }));
}

/** In the twin's words and order. */
function plain({ spans, demand, blocked }: View) {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  return {
    blocked,
    demand: demand.map((each) => [each.agent, each.blocked] as const).sort((a, b) => (a[0] < b[0] ? -1 : 1)),
    spans: spans.map((span) => ({
      ...span,
      heavy: span.heavy.map(({ zone: _, ...rest }) => rest),
      zones: [...span.zones].sort(byName),
      endpoints: [...span.endpoints].sort(byName),
    })),
  };
}

const said: fc.Arbitrary<Heard> = fc
  .record({
    agent: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
    zone: fc.constantFrom('', 'eu-1', 'eu-2'),
    endpoint: fc.constantFrom('', '10.0.0.1:80', '10.0.0.2:80'),
    calls: fc.nat(9),
    failed: fc.nat(9),
    slow: fc.nat(9),
    blocked: fc.constantFrom(0, 0, 3),
  })
  .map((each) => ({
    ...each,
    failed: Math.min(each.failed, each.calls),
    slow: Math.min(each.slow, each.calls),
  }))
  .filter(({ calls, blocked }) => calls + blocked > 0);

describe('window of a circuit of the mesh', () => {
  property(
    'agrees with a twin that keeps every record',
    fc.array(
      fc.tuple(
        fc.constantFrom(0, 0, 1, 40, 99, 100, 250, 900),
        fc.oneof({ weight: 12, arbitrary: said }, { weight: 1, arbitrary: fc.constantFrom('a', 'b') }),
      ),
      { maxLength: 60 },
    ),
    (steps) => {
      const window = new CircuitWindow(WINDOW_MS);
      const twin = new Twin();
      let now = 0;
      for (const [ms, step] of steps) {
        now += ms;
        if (typeof step === 'string') {
          window.left(step);
          twin.left(step);
        } else {
          window.record(step, now);
          twin.record(step, now);
        }
        const seen = window.view(spec, now);
        expect(plain(seen)).to.deep.equal(twin.view(now));
        // A window that is spotless isn't looked at by whoever decides.
        const whole = seen.spans.at(-1);
        if (window.isSpotless(now)) expect(whole).to.include({ failed: 0, slow: 0 });
      }
    },
  );

  it('counts a single call that went, failed, was slow or was blocked', () => {
    const window = new CircuitWindow(WINDOW_MS);
    window.record(heard('a', { calls: 1, failed: 1, slow: 1, blocked: 1 }), 10);
    const { spans, blocked } = window.view(spec, 10);
    expect(spans[0]).to.deep.include({ calls: 1, failed: 1, slow: 1 });
    expect(blocked).to.equal(1);
  });

  it('is spotless but for as long as a failure or a slow call is within it', () => {
    const window = new CircuitWindow(WINDOW_MS);
    window.record(heard('a', { calls: 9 }), 10);
    expect(window.isSpotless(10)).to.equal(true);
    window.record(heard('a', { calls: 1, failed: 1 }), 110);
    window.record(heard('b', { calls: 9 }), 120);
    expect(window.isSpotless(120)).to.equal(false);
    expect(window.isSpotless(899)).to.equal(false);
    expect(window.isSpotless(900)).to.equal(true);
    window.record(heard('b', { calls: 1, slow: 1 }), 1_000);
    expect(window.isSpotless(1_000)).to.equal(false);
  });

  it('is idle until it has heard something, and once that has left the window', () => {
    const window = new CircuitWindow(WINDOW_MS);
    expect(window.idle(0)).to.equal(true);
    window.record(heard('a', { calls: 0 }), 10);
    expect(window.idle(10)).to.equal(true);
    window.record(heard('a', { calls: 0, blocked: 1 }), 10);
    expect(window.idle(799)).to.equal(false);
    expect(window.idle(800)).to.equal(true);
    expect(window.view(spec, 3_600_000).spans.at(-1)).to.deep.include({ calls: 0, agents: 0 });
  });

  it('is idle when those have left whom it heard', () => {
    const window = new CircuitWindow(WINDOW_MS);
    window.record(heard('a'), 10);
    window.left('a');
    expect(window.idle(10)).to.equal(true);
  });

  it('takes a clock that goes back for one that stands still', () => {
    const window = new CircuitWindow(WINDOW_MS);
    window.record(heard('a'), 5_000);
    window.record(heard('b'), 10);
    expect(window.view(spec, 0).spans[0]).to.deep.include({ calls: 20, agents: 2 });
  });

  it('suspects an agent that is over alone for as long as the window, and no longer', () => {
    const window = new CircuitWindow(WINDOW_MS);
    const suspects = (now: number, failed: number) => {
      for (const each of reporters(5)) window.record(each, now);
      window.record(heard('pay/p-0', { calls: Math.max(10, failed), failed }), now);
      return window.view(spec, now).suspects;
    };
    for (let now = 0; now < 800; now += 100) expect(suspects(now, 10), `${now} ms`).to.deep.equal([]);
    expect(suspects(800, 10)).to.deep.equal(['pay/p-0']);
    for (let now = 900; now < 1_800; now += 100) suspects(now, 0);
    expect(suspects(1_800, 0)).to.deep.equal([]);
    expect(suspects(1_900, 1_000).concat(suspects(2_000, 1_000)), 'anew').to.deep.equal([]);
  });

  it('suspects nobody while the others are over too', () => {
    const window = new CircuitWindow(WINDOW_MS);
    for (let now = 0; now < 4_000; now += 100) {
      for (const each of reporters(6, { failed: 10 })) window.record(each, now);
      expect(window.view(spec, now).suspects).to.deep.equal([]);
    }
  });

  it('counts what can be counted, whatever is said', () => {
    const window = new CircuitWindow(WINDOW_MS);
    for (const calls of [Number.NaN, -5, 0.5, Number.NEGATIVE_INFINITY])
      window.record(heard('a', { calls, blocked: calls }), 0);
    expect(window.idle(0)).to.equal(true);
    window.record(heard('b', { calls: Number.POSITIVE_INFINITY, failed: 1e300, slow: -1 }), 0);
    expect(window.view(spec, 0).spans[3]).to.deep.include({ calls: 1e9, failed: 1e9, slow: 0 });
  });

  it('counts no more than 10,000 agents until some have left the window', () => {
    const window = new CircuitWindow(WINDOW_MS);
    for (const each of reporters(10_050)) window.record(each, 0);
    expect(window.view(spec, 0).spans[3]).to.deep.include({ agents: 10_000, calls: 100_000 });
    for (const each of reporters(50, {}, 20_000)) window.record(each, 800);
    expect(window.view(spec, 800).spans[3]?.agents).to.equal(50);
  });

  it('counts further endpoints of one agent as unknown', () => {
    const window = new CircuitWindow(WINDOW_MS);
    for (let i = 0; i < 200; i++) window.record(heard('a', { endpoint: `10.0.0.${i}:80` }), 0);
    const whole = window.view(spec, 0).spans[3];
    expect(whole?.calls).to.equal(2_000);
    expect(whole?.endpoints).to.have.length(32);
  });

  it('has room for 50,000 cells, and for agents that come after all the same', () => {
    const window = new CircuitWindow(WINDOW_MS);
    for (let i = 0; i < 40; i++)
      for (const each of reporters(1_300, { endpoint: `10.0.0.${i}:80` })) window.record(each, 0);
    expect(window.view(spec, 0).spans[3]?.calls).to.equal(500_000);
    window.record(heard('late', {}), 0);
    expect(window.view(spec, 0).spans[3]?.agents).to.equal(1_300);
    window.record(heard('late', {}), 800);
    expect(window.view(spec, 800).spans[3]).to.deep.include({ agents: 1, calls: 10 });
  });
});
