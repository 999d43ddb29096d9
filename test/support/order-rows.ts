/**
 * Rows about two stages of a call's way, for tests of their order: what each stage makes of an attempt that ended badly further in,
 * and what a further attempt is to each gate. Every row holds for both engines.
 */
import { expect } from 'chai';
import type { Driven, EngineName } from './engines.js';
import {
  ATTEMPT_MS,
  BURST,
  type Given,
  HEDGE_MS,
  type Line,
  PAUSE_MS,
  type Stage,
  TIMEOUT_MS,
} from './stage-line.js';

export interface Row {
  readonly outer: Stage;
  readonly inner: Stage;
  readonly says: string;
  /** Of this engine only: of the other it is the transport's business. */
  readonly only?: EngineName;
  /** Of the policy, instead of what the stages have in these tests. */
  readonly changes?: Given;
  run(line: Line): Promise<void>;
}

export const open = (line: Line) => line.made.targets.circuits().map(({ to }) => to);
export const inUse = (line: Line) => line.made.targets.bulkheads().map((each) => each.inUse);

/** How an attempt ends badly, by the stage that ends it. */
const ends: {
  readonly [S in 'attemptTimeout' | 'call']: { code: string; end(line: Line, call: Driven): Promise<void> };
} = {
  attemptTimeout: { code: 'deadline_exceeded', end: (line) => line.pass(ATTEMPT_MS) },
  call: { code: 'UNAVAILABLE', end: (_line, call) => call.fail() },
};

/** What each stage makes of an attempt that ended badly further in. */
export const heeds: {
  readonly [S in Stage]?: { says: string; see(line: Line, call: Driven, code: string): Promise<void> };
} = {
  fallback: {
    says: 'answers instead, once',
    see: async (line, call) => {
      expect([call.end, line.degraded]).to.deep.equal(['degraded', 1]);
    },
  },
  deadline: {
    says: 'has no more to end',
    see: async (line, call, code) => {
      expect(call.end).to.equal(code);
      await line.pass(TIMEOUT_MS);
      expect(line.tally.failed).to.equal(1);
    },
  },
  retry: {
    says: 'tries again, after its pause',
    see: async (line, call) => {
      expect([call.end, call.attempts]).to.deep.equal([undefined, 1]);
      await line.pass(PAUSE_MS);
      await call.succeed();
      expect([call.end, call.attempts, line.tally.retries]).to.deep.equal(['ok', 2, 1]);
    },
  },
  hedge: {
    says: 'sends the copy that is left, at once',
    see: async (line, call) => {
      expect([call.end, call.attempts]).to.deep.equal([undefined, 2]);
      await call.succeed();
      expect([call.end, line.tally.hedges]).to.deep.equal(['ok', 1]);
    },
  },
  rateLimit: {
    says: 'has spent a token',
    see: async (line, call, code) => {
      expect(call.end).to.equal(code);
      while (line.begun < BURST) await (await line.call()).succeed();
      expect((await line.call()).end).to.equal('rate_limited');
    },
  },
  admission: {
    says: 'counts a failure, and holds others back',
    see: async (line, call, code) => {
      expect(call.end).to.equal(code);
      line.lot = 0;
      expect((await line.call()).end).to.equal('overloaded');
    },
  },
  bulkhead: {
    says: 'has its slot back',
    see: async (line, call, code) => {
      expect([call.end, ...inUse(line)]).to.deep.equal([code, 0]);
      const next = await line.call();
      await next.succeed();
      expect(next.end).to.equal('ok');
    },
  },
  circuit: {
    says: 'counts a failure, and opens',
    see: async (line, call, code) => {
      expect([call.end, ...open(line)]).to.deep.equal([code, 'open']);
      expect((await line.call()).end).to.equal('circuit_open');
    },
  },
};

export const endings = (['attemptTimeout', 'call'] as const).flatMap((inner) =>
  Object.entries(heeds).map(([outer, { says, see }]): Row => {
    const { code, end } = ends[inner];
    return {
      outer: outer as Stage,
      inner,
      says: `${inner === 'call' ? 'a failure' : 'an attempt that takes too long'}: it ${says}`,
      // The copy comes for the failure and not for the time.
      ...(outer === 'hedge'
        ? { changes: { hedge: { delay: { kind: 'fixed', ms: 2 * ATTEMPT_MS }, extra: 1 } } }
        : {}),
      run: async (line) => {
        const call = await line.call();
        await end(line, call);
        await see(line, call, code);
      },
    };
  }),
);

/** A further attempt that a stage turns away, or lets through: by what that stage held when it was due. */
const gates: {
  readonly [S in Stage]?: { prepare?(line: Line): Promise<void>; meanwhile?(line: Line): Promise<unknown> };
} = {
  rateLimit: {
    prepare: async (line) => {
      while (line.begun < BURST - 1) await (await line.call()).succeed();
    },
  },
  admission: {
    // Somebody has failed, and the lot that was good for the first attempt no more is.
    prepare: async (line) => void (await line.failing()),
    meanwhile: async (line) => {
      line.lot = 0;
    },
  },
  bulkhead: { meanwhile: (line) => line.call() },
  circuit: { meanwhile: async (line) => (await line.call()).fail() },
};

export const further = Object.entries(gates).flatMap(([inner, { prepare, meanwhile }]): Row[] => [
  {
    outer: 'retry',
    inner: inner as Stage,
    says: 'a retry asks it anew; turned away, the call ends as it had failed',
    run: async (line) => {
      await prepare?.(line);
      const { retries } = line.tally;
      const call = await line.call();
      await call.fail();
      expect(line.made.targets.permitsOut).to.equal(0);
      await meanwhile?.(line);
      const rejected = line.rejections;
      await line.pass(PAUSE_MS);
      expect([call.end, call.attempts]).to.deep.equal(['UNAVAILABLE', 1]);
      expect(line.rejections - rejected).to.equal(1);
      expect(line.tally.retries - retries).to.be.at.least(1);
      await line.pass(10 * PAUSE_MS);
      expect(call.attempts).to.equal(1);
    },
  },
  {
    outer: 'hedge',
    inner: inner as Stage,
    says: 'a copy asks it anew; turned away, the attempt under way may still answer',
    run: async (line) => {
      await prepare?.(line);
      const call = await line.call();
      await meanwhile?.(line);
      const rejected = line.rejections;
      await line.pass(HEDGE_MS);
      expect([call.end, call.attempts]).to.deep.equal([undefined, 1]);
      expect(line.rejections - rejected).to.be.at.least(1);
      await call.succeed();
      expect(call.end).to.equal('ok');
    },
  },
]);
