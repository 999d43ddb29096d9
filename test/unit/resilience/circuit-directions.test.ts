/**
 * What the mesh says of a circuit: which calls it lets through over each state of the circuit's own, that it only tightens, that a
 * probe permit lets exactly one attempt through, and that all of it lapses.
 */
import { expect } from 'chai';
import { type Random, seededRandom } from '../../../core/random.js';
import { NONE } from '../../../core/resilience/permits.js';
import { TestCircuit } from '../../support/circuits.js';
import { walks } from '../../support/property.js';
import { circuitSpec } from '../../support/specs.js';

type Local = 'closed' | 'open' | 'half-open';

/** A circuit whose own state is this one. */
function circuitThatIs(local: Local, random?: Random): TestCircuit {
  const circuit = new TestCircuit(circuitSpec(), random ? { random } : {});
  if (local === 'open') circuit.trip();
  if (local === 'half-open') {
    circuit.untilHalfOpen();
    circuit.end(circuit.acquire(), 'neutral');
  }
  return circuit;
}

/** Its numbers in turn, over and over. */
function saying(...numbers: number[]): Random {
  let at = 0;
  return { next: () => numbers[at++ % numbers.length] ?? 0, hex: (bytes) => '00'.repeat(bytes) };
}

describe('a direction of the mesh', () => {
  const mesh = 'the mesh';
  const table: readonly (readonly [
    state: Parameters<TestCircuit['direct']>[0],
    local: Local,
    shown: string,
    calls: 'let through' | 'turned away by the mesh' | 'turned away by the circuit',
  ])[] = [
    ['open', 'closed', 'open', 'turned away by the mesh'],
    ['open', 'open', 'open', 'turned away by the mesh'],
    ['open', 'half-open', 'open', 'turned away by the mesh'],
    ['half-open', 'closed', 'half-open', 'turned away by the mesh'],
    ['half-open', 'open', 'half-open', 'turned away by the mesh'],
    ['half-open', 'half-open', 'half-open', 'turned away by the mesh'],
    ['ramping', 'closed', 'ramping', 'let through'],
    ['ramping', 'open', 'open', 'turned away by the circuit'],
    ['ramping', 'half-open', 'half-open', 'let through'],
    ['forced-open', 'closed', 'forced-open', 'turned away by the mesh'],
    ['forced-open', 'open', 'forced-open', 'turned away by the mesh'],
    ['forced-open', 'half-open', 'forced-open', 'turned away by the mesh'],
    ['forced-closed', 'closed', 'forced-closed', 'let through'],
    ['forced-closed', 'open', 'open', 'turned away by the circuit'],
    ['forced-closed', 'half-open', 'half-open', 'let through'],
    ['closed', 'closed', 'closed', 'let through'],
    ['closed', 'open', 'open', 'turned away by the circuit'],
    ['closed', 'half-open', 'half-open', 'let through'],
  ];
  for (const [state, local, shown, calls] of table)
    it(`${state} over a circuit that is ${local} shows ${shown}: calls are ${calls}`, () => {
      const circuit = circuitThatIs(local).direct(state);
      expect(circuit.state).to.equal(shown);
      const said = circuit.rejection();
      if (calls === 'let through') expect(said).to.equal('');
      else expect(said.includes('mesh')).to.equal(calls.endsWith(mesh));
      expect(circuit.state).to.equal(shown);
    });

  it('says in its refusals, and to who listens, what the mesh decided and why', () => {
    const circuit = new TestCircuit().direct('open');
    expect(circuit.acquire()).to.equal(NONE);
    expect(circuit.circuit.refusal(circuit.now)).to.deep.equal({
      code: 'circuit_open',
      text: 'the mesh opened it: 12 of 20 agents agree; retry in 1000 ms',
      retryAfterMs: 1_000,
      section: 'circuit',
    });
    expect(circuit.circuit.saying(circuit.now)).to.equal('the mesh opened it: 12 of 20 agents agree');
    circuit.direct('forced-open', { reason: 'ana moves it' });
    expect(circuit.rejection()).to.equal('forced open for the whole mesh: ana moves it; retry in 1000 ms');
    circuit.direct('ramping', { admitPercent: 5, reason: '3 of 3 probes succeeded' });
    circuit.direct('closed', { reason: 'it is well' });
    expect(circuit.transitions.map(({ from, to, reason }) => [from, to, reason])).to.deep.equal([
      ['closed', 'open', 'the mesh opened it: 12 of 20 agents agree'],
      ['open', 'forced-open', 'forced open for the whole mesh: ana moves it'],
      ['forced-open', 'ramping', 'the mesh lets 5 % through: 3 of 3 probes succeeded'],
      ['ramping', 'closed', 'the mesh closed it: it is well'],
    ]);
    expect(circuit.circuit.saying(circuit.now)).to.equal(undefined);
  });

  it('lapses at the end of its time, and the circuit rules as it had decided by itself', () => {
    const circuit = new TestCircuit().direct('open', { ttlMs: 3_000 });
    circuit.now += 2_999;
    expect([circuit.state, circuit.calls(1, 'success')]).to.deep.equal(['open', 0]);
    circuit.now += 1;
    expect(circuit.state).to.equal('closed');
    expect(circuit.calls(1, 'success')).to.equal(1);
    expect(circuit.transitions.at(-1)?.reason).to.equal('the mesh says nothing of it any more');
  });

  it('lapses to a circuit that is open by itself', () => {
    const circuit = circuitThatIs('open').direct('forced-open', { ttlMs: 1_000 });
    circuit.now += 1_000;
    expect(circuit.state).to.equal('open');
    expect(circuit.rejection()).to.equal('retry in 4000 ms');
  });

  it('that is renewed holds on and changes nothing', () => {
    const circuit = new TestCircuit().direct('open', { ttlMs: 3_000 });
    circuit.now += 2_000;
    circuit.direct('open', { ttlMs: 3_000 });
    circuit.now += 2_000;
    expect(circuit.state).to.equal('open');
    expect(circuit.path).to.deep.equal(['open']);
  });

  it('makes results of calls from before late, as every transition does', () => {
    const circuit = new TestCircuit();
    const early = circuit.acquire();
    circuit.direct('open');
    circuit.end(early, 'failure');
    expect(circuit.circuit.late).to.equal(1);
    expect(circuit.permits.out).to.equal(0);
  });

  it('keeps apart from an operator’s hold: neither ends the other', () => {
    const circuit = new TestCircuit().direct('open', { ttlMs: 60_000 });
    const hold = circuit.circuit.hold(60_000, circuit.now, 'operator');
    circuit.direct('closed');
    expect(circuit.state).to.equal('forced-open');
    circuit.direct('open', { ttlMs: 60_000 });
    circuit.circuit.release(hold, circuit.now);
    expect(circuit.state).to.equal('open');
  });

  it('does nothing where the policy is off, and holds again once it is enforced', () => {
    const circuit = new TestCircuit().direct('open');
    circuit.circuit.reconfigure(circuit.spec, circuit.now, 'disabled');
    expect([circuit.state, circuit.calls(1, 'failure')]).to.deep.equal(['disabled', 1]);
    circuit.circuit.reconfigure(circuit.spec, circuit.now, 'enforce');
    expect(circuit.state).to.equal('open');
  });

  it('of no state but closed leaves a circuit that has none as it is', () => {
    const circuit = new TestCircuit();
    const { epoch, swift } = circuit.circuit;
    circuit.direct('closed');
    circuit.circuit.direct(undefined, circuit.now);
    expect([circuit.circuit.epoch, circuit.circuit.swift, circuit.path]).to.deep.equal([epoch, swift, []]);
  });

  it('gone, calls go the short way again; forced closed, they never left it', () => {
    const circuit = new TestCircuit().direct('forced-closed');
    expect(circuit.circuit.swift).to.equal(circuit.circuit.epoch);
    circuit.direct('open');
    expect(circuit.circuit.swift).to.equal(-1);
    circuit.direct('closed');
    expect(circuit.circuit.swift).to.equal(circuit.circuit.epoch);
  });
});

describe('forced closed', () => {
  it('leaves the circuit to itself: it opens and recovers', () => {
    const circuit = new TestCircuit().direct('forced-closed', { ttlMs: 1e9 });
    circuit.calls(20, 'failure');
    expect(circuit.state).to.equal('open');
    circuit.now += 5_000;
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('forced-closed');
    expect(circuit.path).to.deep.equal(['forced-closed', 'open', 'half-open', 'forced-closed']);
  });
});

describe('a ramp', () => {
  it('lets its part of the calls through, by chance', () => {
    const circuit = new TestCircuit(circuitSpec(), { random: seededRandom(7) });
    for (const percent of [5, 25, 50, 100]) {
      circuit.direct('ramping', { admitPercent: percent });
      expect(circuit.calls(4_000, 'success') / 40).to.be.closeTo(percent, 3);
    }
    expect(circuit.path).to.deep.equal(['ramping']);
  });

  it('turns the others away with what the mesh says', () => {
    const circuit = new TestCircuit(circuitSpec(), { random: saying(0.04, 0.05) });
    circuit.direct('ramping', { admitPercent: 5, reason: '' });
    expect(circuit.rejection()).to.equal('');
    expect(circuit.rejection()).to.equal('the mesh lets 5 % through; retry in 1000 ms');
  });

  it('leaves what it lets through to the circuit, which may open', () => {
    const circuit = new TestCircuit().direct('ramping', { ttlMs: 1e6 });
    circuit.calls(20, 'failure');
    expect(circuit.path).to.deep.equal(['ramping', 'open']);
    expect(circuit.rejection()).to.equal('retry in 5000 ms');
  });
});

describe('a probe permit', () => {
  it('lets one attempt through and tells what it came to', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257, 258] });
    const [first, second] = [circuit.acquire(), circuit.acquire()];
    expect(circuit.rejection()).to.equal('the mesh is probing: 12 of 20 agents agree; retry in 1000 ms');
    circuit.end(second, 'failure');
    circuit.end(first, 'success');
    circuit.end(first, 'failure');
    expect(circuit.probed).to.deep.equal([
      { permit: 258, ok: false },
      { permit: 257, ok: true },
    ]);
    expect(circuit.permits.out).to.equal(0);
  });

  it('is used once, though the mesh names it again, or twice', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257, 257] });
    expect(circuit.calls(5, 'success')).to.equal(1);
    circuit.direct('half-open', { permits: [257] });
    expect(circuit.calls(5, 'success')).to.equal(0);
    circuit.direct('open').direct('half-open', { permits: [257, 258] });
    expect(circuit.calls(5, 'success')).to.equal(1);
    circuit.direct('half-open', { epoch: 2, permits: [513] });
    expect(circuit.calls(5, 'success')).to.equal(1);
    expect(circuit.probed.map(({ permit }) => permit)).to.deep.equal([257, 258, 513]);
  });

  it('among a thousand calls at once lets as many through as there are permits', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257, 258, 259] });
    const handles = Array.from({ length: 1_000 }, () => circuit.acquire());
    expect(handles.filter((handle) => handle !== NONE)).to.have.length(3);
  });

  it('that is not used by the end of the half-open period is void', () => {
    for (const state of ['open', 'closed', 'ramping'] as const) {
      const circuit = new TestCircuit().direct('half-open', { permits: [257] });
      circuit.direct(state);
      circuit.calls(3, 'success');
      expect(circuit.probed, state).to.deep.equal([]);
    }
    const lapsed = new TestCircuit().direct('half-open', { permits: [257], ttlMs: 100 });
    lapsed.now += 100;
    expect([lapsed.calls(3, 'success'), lapsed.probed]).to.deep.equal([3, []]);
  });

  it('of an attempt that says nothing is lost, and never given again', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257] });
    circuit.end(circuit.acquire(), 'neutral');
    expect(circuit.probed).to.deep.equal([]);
    expect(circuit.calls(1, 'success')).to.equal(0);
  });

  it('says of a slow attempt that it did not go well', () => {
    const circuit = new TestCircuit(circuitSpec({ slowCallMs: 100 })).direct('half-open', {
      permits: [1, 2],
    });
    circuit.calls(1, 'success', 99);
    circuit.calls(1, 'success', 100);
    expect(circuit.probed.map(({ ok }) => ok)).to.deep.equal([true, false]);
  });

  it('is told of though the mesh has moved on meanwhile, but decides nothing here', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257] });
    const handle = circuit.acquire();
    circuit.direct('ramping').direct('closed');
    circuit.end(handle, 'failure');
    expect(circuit.probed).to.deep.equal([{ permit: 257, ok: false }]);
    expect(circuit.circuit.late).to.equal(1);
  });

  it('counts in a closed circuit as any call does', () => {
    const circuit = new TestCircuit(circuitSpec({ minimumCalls: 1 })).direct('half-open', { permits: [257] });
    circuit.calls(1, 'failure');
    circuit.direct('closed');
    expect(circuit.state).to.equal('open');
  });

  it('passes an open circuit, for which it is the first of its own probes', () => {
    const circuit = circuitThatIs('open').direct('half-open', { permits: [257] });
    expect(circuit.calls(2, 'success')).to.equal(1);
    circuit.direct('closed');
    expect(circuit.state).to.equal('half-open');
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('closed');
  });

  it('that fails opens an open circuit anew, for longer', () => {
    const circuit = new TestCircuit(circuitSpec({ halfOpen: { calls: 1, maxWaitMs: 30_000 } })).trip();
    circuit.direct('half-open', { permits: [257] });
    circuit.calls(1, 'failure');
    circuit.direct('closed');
    expect(circuit.state).to.equal('open');
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(10_000);
  });

  it('passes a half-open circuit whose own probes are all out', () => {
    const circuit = new TestCircuit().untilHalfOpen().direct('half-open', { permits: [1, 2, 3, 4] });
    const handles = [1, 2, 3, 4, 5].map(() => circuit.acquire());
    expect(handles.map((handle) => handle !== NONE)).to.deep.equal([true, true, true, true, false]);
    for (const handle of handles.slice(0, 4)) circuit.end(handle, 'success');
    expect(circuit.probed).to.have.length(4);
    expect(circuit.permits.out).to.equal(0);
  });

  it('does not pass an operator’s hold', () => {
    const circuit = new TestCircuit().direct('half-open', { permits: [257] });
    const hold = circuit.circuit.hold(1_000, circuit.now, 'operator');
    expect(circuit.calls(1, 'success')).to.equal(0);
    circuit.circuit.release(hold, circuit.now);
    expect(circuit.calls(1, 'success')).to.equal(1);
  });

  walks('is told of at most once, whatever happens, and no permit is kept', 20, (random) => {
    const circuit = new TestCircuit(circuitSpec({ minimumCalls: 3 }), { random });
    const pick = <T>(...of: T[]): T => of[Math.floor(random.next() * of.length)] as T;
    const out: number[] = [];
    let epoch = 1;
    for (let step = 0; step < 600; step++) {
      const what = random.next();
      if (what < 0.1) {
        const state = pick('open' as const, 'half-open', 'ramping', 'closed', 'forced-open', 'forced-closed');
        if (random.next() < 0.5) epoch++;
        const permits = [0, 1, 2].map((i) => epoch * 256 + i);
        circuit.direct(state, { epoch, permits, admitPercent: 50, ttlMs: pick(10, 1_000, 10_000) });
      } else if (what < 0.5) {
        const handle = circuit.acquire();
        if (handle !== NONE) out.push(handle);
      } else if (what < 0.9) {
        const handle = out.splice(Math.floor(random.next() * out.length), 1)[0];
        if (handle !== undefined) circuit.end(handle, pick('success', 'failure', 'neutral'));
      } else if (what < 0.92) {
        circuit.circuit.hold(pick(10, 1_000, 10_000), circuit.now, 'operator');
      } else {
        circuit.now += pick(1, 100, 6_000);
      }
    }
    for (const handle of out) circuit.end(handle, 'success');
    const permits = circuit.probed.map(({ permit }) => permit);
    expect(new Set(permits).size).to.equal(permits.length);
    expect(circuit.permits.out).to.equal(0);
    for (const [i, { from }] of circuit.transitions.entries())
      if (i > 0) expect(from, `transition ${i}`).to.equal(circuit.transitions[i - 1]?.to);
  });
});
