/**
 * `guard`: what it runs, what it rejects with, and what counts for and against the target.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { GuardContext } from '../../../agent/guarded-function.js';
import { MeshError } from '../../../core/errors.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const fails = () => Promise.reject(new Error('broken'));

describe('guard', () => {
  it('answers what the function answers, and rejects with what it throws', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    expect(await guard(targets, 'db', async () => 'rows')).to.equal('rows');
    expect(await guard(targets, 'db', () => 'at once')).to.equal('at once');
    const error = new Error('broken');
    expect(await rejectionOf(guard(targets, 'db', () => Promise.reject(error)))).to.equal(error);
  });

  it('rejects, and never throws, where the function throws at once', async () => {
    for (const timeout of [undefined, 100]) {
      const { targets } = bench(effectiveOf(timeout === undefined ? { circuit } : { circuit, timeout }));
      const error = new Error('at once');
      const promise = guard(targets, 'db', () => {
        throw error;
      });
      expect(await rejectionOf(promise)).to.equal(error);
      expect(targets.circuit('db').state).to.equal('open');
      expect(targets.permitsOut).to.equal(0);
    }
  });

  it('rejects while the circuit is open with the text that names what to do', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(targets, 'inventory', fails));
    clock.advance(3_800);
    const error = (await rejectionOf(guard(targets, 'inventory', async () => 1))) as MeshError;
    expect(error).to.be.instanceOf(MeshError);
    expect(error.message).to.equal('[circuit_open] inventory: retry in 1200 ms (policy inventory-default@7)');
    expect(error).to.include({
      code: 'circuit_open',
      target: 'inventory',
      policy: 'inventory-default',
      revision: 7,
      retryAfterMs: 1_200,
    });
  });

  it('collects no stack for a rejection, and leaves the limit of stacks as it was', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(targets, 'inventory', fails));
    const limit = Error.stackTraceLimit;
    const error = (await rejectionOf(guard(targets, 'inventory', async () => 1))) as MeshError;
    expect(error.stack?.includes('\n')).to.equal(false);
    expect(Error.stackTraceLimit).to.equal(limit);
  });

  it('says where the program is wrong', () => {
    const wrongHere = () => new MeshError('invalid_configuration', 'no such setting');
    expect(wrongHere().stack).to.include('wrongHere');
  });

  it('does not ask the circuit for a call that the bulkhead turns away', async () => {
    const { targets, clock } = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
    await rejectionOf(guard(targets, 'db', fails));
    clock.advance(5_000);
    const probe = work();
    const running = guard(targets, 'db', probe.fn);
    expect(targets.circuit('db').state).to.equal('half-open');
    for (let i = 0; i < 10; i++) {
      const error = await rejectionOf(guard(targets, 'db', async () => 1));
      expect(error).to.have.property(
        'message',
        '[bulkhead_full] db: 1 of 1 calls in flight and 0 of 0 waiting; slow down or raise maxConcurrent (policy inventory-default@7)',
      );
    }
    probe.succeed();
    await running;
    expect(targets.circuit('db').state).to.equal('half-open');
    for (let i = 0; i < 2; i++) await guard(targets, 'db', async () => 1);
    expect(targets.circuit('db').state).to.equal('closed');
  });

  it('gives the bulkhead’s slot back for a call that the circuit turns away', async () => {
    const { targets } = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
    await rejectionOf(guard(targets, 'db', fails));
    for (let i = 0; i < 10; i++) {
      expect(await rejectionOf(guard(targets, 'db', async () => 1))).to.have.property('code', 'circuit_open');
    }
    expect(targets.permitsOut).to.equal(0);
  });

  for (const code of [
    'circuit_open',
    'bulkhead_full',
    'bulkhead_timeout',
    'rate_limited',
    'overloaded',
    'no_instances',
    'mesh_closed',
  ] as const) {
    it(`counts a ${code} of a guard within as neutral`, async () => {
      const { targets } = bench(effectiveOf({ circuit }));
      await rejectionOf(guard(targets, 'outer', () => Promise.reject(new MeshError(code, 'inner'))));
      expect(targets.circuit('outer').state).to.equal('closed');
    });
  }

  it('counts as a failure that a guard within ran out of time: its target answered nothing', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    await rejectionOf(
      guard(targets, 'outer', () => Promise.reject(new MeshError('deadline_exceeded', 'inner'))),
    );
    expect(targets.circuit('outer').state).to.equal('open');
  });

  it('counts whatever else is thrown as a failure', async () => {
    for (const thrown of [undefined, null, 0, 'text', { code: 'circuit_open' }]) {
      const { targets } = bench(effectiveOf({ circuit }));
      expect(await rejectionOf(guard(targets, 'db', () => Promise.reject(thrown)))).to.equal(thrown);
      expect(targets.circuit('db').state).to.equal('open');
    }
  });

  it('hands in a signal, the attempt and, where there is a limit, its instant', async () => {
    const { targets, clock } = bench(effectiveOf({ circuit, timeout: 800, attemptTimeout: 300 }));
    let context: GuardContext | undefined;
    await guard(targets, 'db', (given) => {
      context = { signal: given.signal, attempt: given.attempt, deadline: given.deadline };
    });
    expect(context).to.include({ attempt: 1, deadline: clock.wallNow() + 300 });
    const bare = bench(effectiveOf({ circuit }));
    await guard(bare.targets, 'db', (given) => {
      context = { signal: given.signal, attempt: given.attempt, deadline: given.deadline };
    });
    expect(context).to.include({ attempt: 1, deadline: undefined });
    expect(context?.signal.aborted).to.equal(false);
  });

  it('protects two names apart, and the same name together', async () => {
    const { targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(1) }));
    const held = work();
    const running = guard(targets, 'a', held.fn);
    expect(await guard(targets, 'b', async () => 'through')).to.equal('through');
    expect(await rejectionOf(guard(targets, 'a', async () => 1))).to.have.property('code', 'bulkhead_full');
    held.succeed();
    await running;
  });

  it('is right about a name that objects have as well', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    for (const name of ['__proto__', 'constructor', 'toString', '', '|', 'a|b']) {
      await rejectionOf(guard(targets, name, fails));
      expect(targets.circuit(name).state).to.equal('open');
    }
    expect(Object.keys(targets.save())).to.have.lengthOf(6);
  });
});

describe('what a function hands back instead of a promise', () => {
  for (const timeout of [undefined, 100]) {
    const how = timeout === undefined ? 'without a limit' : 'within a limit';
    const policies = effectiveOf(timeout === undefined ? { circuit } : { circuit, timeout });

    it(`is waited for, ${how}, if it can be`, async () => {
      const { targets } = bench(policies);
      // biome-ignore lint/suspicious/noThenProperty: what is tested
      const thenable = { then: (resolve: (value: string) => void) => resolve('thenable') };
      expect(await guard(targets, 'db', () => thenable as unknown as Promise<string>)).to.equal('thenable');
    });

    it(`ends the call, ${how}, though its then throws, or answers twice`, async () => {
      const { targets } = bench(policies);
      const hostile = {
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        then: (resolve: (value: string) => void) => {
          resolve('first');
          resolve('second');
          throw new Error('after the fact');
        },
      };
      expect(await guard(targets, 'a', () => hostile as unknown as Promise<string>)).to.equal('first');
      const broken = {
        // biome-ignore lint/suspicious/noThenProperty: what is tested
        then: () => {
          throw new Error('no promise at all');
        },
      };
      const error = await rejectionOf(guard(targets, 'b', () => broken as unknown as Promise<string>));
      expect(error).to.have.property('message', 'no promise at all');
      await settled();
      expect(targets.permitsOut).to.equal(0);
      expect([targets.circuit('a').state, targets.circuit('b').state]).to.deep.equal(['closed', 'open']);
    });
  }
});

describe('a listener', () => {
  it('that throws changes no outcome, neither of the call nor of the circuit', async () => {
    const made = bench(effectiveOf({ circuit }));
    made.listener = () => {
      throw new Error('a listener that throws');
    };
    expect(await rejectionOf(guard(made.targets, 'db', fails))).to.have.property('message', 'broken');
    made.clock.advance(5_000);
    for (let i = 0; i < 3; i++) expect(await guard(made.targets, 'db', async () => i)).to.equal(i);
    expect(made.changes.map(({ to }) => to)).to.deep.equal(['open', 'half-open', 'closed']);
  });

  it('that calls again meets the state it was told of', async () => {
    const made = bench(effectiveOf({ circuit }));
    const again: Promise<unknown>[] = [];
    made.listener = ({ to }) => {
      if (to === 'open') again.push(rejectionOf(guard(made.targets, 'db', async () => 1)));
    };
    await rejectionOf(guard(made.targets, 'db', fails));
    expect(await again[0]).to.have.property('code', 'circuit_open');
    expect(made.changes).to.have.lengthOf(1);
  });
});
