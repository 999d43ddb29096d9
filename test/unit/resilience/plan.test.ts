/**
 * The plan: the order of its gates, what it gives back when one of them refuses, and that a permit ends once, whatever those
 * who hear of its end do.
 */
import { expect } from 'chai';
import { Bulkhead } from '../../../core/resilience/bulkhead.js';
import { Circuit } from '../../../core/resilience/circuit.js';
import {
  ADMITTED,
  type Gate,
  QUEUED,
  REFUSED,
  type Verdict,
  type Waiter,
} from '../../../core/resilience/gate.js';
import { Permits } from '../../../core/resilience/permits.js';
import { Plan, TURNED_AWAY, WAITING } from '../../../core/resilience/plan.js';
import { bulkheadSpec, circuitSpec, evenRandom } from '../../support/specs.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Answers as told, and keeps what it heard. */
class TestGate implements Gate {
  readonly timeless = false;
  verdict: Verdict = ADMITTED;
  line: Waiter[] = [];
  constructor(
    readonly name: string,
    readonly heard: string[],
  ) {}

  admit(): Verdict {
    this.heard.push(`${this.name} admit`);
    return this.verdict;
  }

  settle(_row: number, outcome: string): void {
    this.heard.push(`${this.name} ${outcome}`);
  }

  leave(): void {
    this.heard.push(`${this.name} leave`);
  }

  enqueue(waiter: Waiter): void {
    this.line.push(waiter);
  }

  forget(waiter: Waiter): boolean {
    const was = this.line.includes(waiter);
    this.line = this.line.filter((each) => each !== waiter);
    return was;
  }

  refusal() {
    return { code: 'bulkhead_full', text: this.name } as const;
  }
}

function gates(): { heard: string[]; outer: TestGate; inner: TestGate; plan: Plan; permits: Permits } {
  const heard: string[] = [];
  const outer = new TestGate('outer', heard);
  const inner = new TestGate('inner', heard);
  const permits = new Permits(2);
  return { heard, outer, inner, permits, plan: new Plan([outer, inner], permits) };
}

const waiter = { granted: () => undefined, displaced: () => undefined };

describe('plan', () => {
  it('asks from the outside in, and tells from the inside out', () => {
    const { plan, heard } = gates();
    plan.finish(plan.admit(0, NEVER), 'failure', 0);
    expect(heard).to.deep.equal([
      'outer admit',
      'inner admit',
      'inner failure',
      'outer failure',
      'inner leave',
      'outer leave',
    ]);
  });

  it('does not ask the inner gate when the outer refuses', () => {
    const { plan, heard, outer, permits } = gates();
    outer.verdict = REFUSED;
    expect(plan.admit(0, NEVER)).to.equal(TURNED_AWAY);
    expect(heard).to.deep.equal(['outer admit']);
    expect(plan.refusal(0).text).to.equal('outer');
    expect(permits.out).to.equal(0);
  });

  it('gives back, as neutral, what the outer gate gave when the inner refuses', () => {
    const { plan, heard, inner, permits } = gates();
    inner.verdict = REFUSED;
    expect(plan.admit(0, NEVER)).to.equal(TURNED_AWAY);
    expect(heard).to.deep.equal(['outer admit', 'inner admit', 'outer neutral', 'outer leave']);
    expect(plan.refusal(0).text).to.equal('inner');
    expect(permits.out).to.equal(0);
  });

  it('settles once: at the first message, then no more at the end', () => {
    const { plan, heard } = gates();
    const handle = plan.admit(0, NEVER);
    plan.settle(handle, 'success', 0);
    plan.settle(handle, 'failure', 0);
    plan.finish(handle, 'failure', 0);
    plan.finish(handle, 'failure', 0);
    expect(heard.slice(2)).to.deep.equal(['inner success', 'outer success', 'inner leave', 'outer leave']);
  });

  it('goes on behind the gate that let it wait, through as many lines as there are', () => {
    const { plan, heard, outer, inner, permits } = gates();
    outer.verdict = QUEUED;
    expect(plan.admit(0, NEVER)).to.equal(WAITING);
    const handle = plan.wait(waiter);
    inner.verdict = QUEUED;
    expect(plan.resume(handle, 5, NEVER)).to.equal(WAITING);
    expect(plan.wait(waiter)).to.equal(handle);
    expect(inner.line).to.have.lengthOf(1);
    expect(plan.resume(handle, 9, NEVER)).to.equal(handle);
    expect(plan.startedAt(handle)).to.equal(9);
    plan.finish(handle, 'success', 9);
    expect(heard).to.deep.equal([
      'outer admit',
      'inner admit',
      'inner success',
      'outer success',
      'inner leave',
      'outer leave',
    ]);
    expect(permits.out).to.equal(0);
  });

  it('gives back what the outer gate gave to one that leaves the inner line', () => {
    const { plan, heard, inner, permits } = gates();
    inner.verdict = QUEUED;
    plan.admit(0, NEVER);
    const handle = plan.wait(waiter);
    expect(plan.abandon(handle, waiter, 0)).to.equal(true);
    expect(plan.abandon(handle, waiter, 0)).to.equal(false);
    expect(heard.slice(2)).to.deep.equal(['outer neutral', 'outer leave']);
    expect(permits.out).to.equal(0);
  });

  it('leaves alone who has been granted a place when somebody still wants it to leave the line', () => {
    const { plan, inner, permits } = gates();
    inner.verdict = QUEUED;
    plan.admit(0, NEVER);
    const handle = plan.wait(waiter);
    inner.line = [];
    plan.resume(handle, 0, NEVER);
    expect(plan.abandon(handle, waiter, 0)).to.equal(false);
    expect(permits.out).to.equal(1);
  });

  it('says that the process has too much to do when every permit is out', () => {
    const { plan, heard } = gates();
    for (let i = 0; i < 262_144; i++) plan.admit(0, NEVER);
    heard.length = 0;
    expect(plan.admit(0, NEVER)).to.equal(TURNED_AWAY);
    expect(plan.refusal(0).code).to.equal('overloaded');
    expect(heard).to.deep.equal([]);
  });

  it('lets a call through and counts it where no policy asks for a gate', () => {
    const permits = new Permits();
    const plan = new Plan([], permits);
    const handle = plan.admit(0, NEVER);
    expect(permits.out).to.equal(1);
    plan.finish(handle, 'failure', 0);
    expect(permits.out).to.equal(0);
  });
});

describe('a permit that those who hear of its end try to end again', () => {
  it('ends once: the row is not given to two calls', () => {
    const permits = new Permits(4);
    let handle = -1;
    const circuit: Circuit = new Circuit(circuitSpec({ minimumCalls: 1 }), {
      permits,
      random: evenRandom,
      now: 0,
      listener: { transition: () => plan.finish(handle, 'failure', 0) },
    });
    const bulkhead = new Bulkhead(bulkheadSpec(5));
    const plan = new Plan([bulkhead, circuit], permits);
    handle = plan.admit(0, NEVER);
    plan.finish(handle, 'failure', 0);
    expect([permits.out, bulkhead.inUse]).to.deep.equal([0, 0]);
    const others = Array.from({ length: 8 }, () => permits.take(0, NEVER));
    expect(new Set(others.map((each) => permits.row(each))).size).to.equal(8);
  });

  it('ends once where the circuit is used by itself', () => {
    const permits = new Permits(4);
    let handle = -1;
    const circuit: Circuit = new Circuit(circuitSpec({ minimumCalls: 1 }), {
      permits,
      random: evenRandom,
      now: 0,
      listener: { transition: () => circuit.end(handle, 'failure', 0) },
    });
    handle = circuit.tryAcquire(0);
    circuit.end(handle, 'failure', 0);
    expect([permits.out, circuit.late]).to.deep.equal([0, 0]);
    const others = Array.from({ length: 8 }, () => permits.take(0, NEVER));
    expect(new Set(others.map((each) => permits.row(each))).size).to.equal(8);
  });
});
