/**
 * The order of the stages, fallback( deadline( retry/hedge( rateLimit( bulkhead( circuit( attemptTimeout( call ))))))), pair by pair and
 * for both engines, from the side of a call that begins: what an attempt that fails, or takes too long, comes to for each stage further
 * out, what each further attempt is for those further in, and what the deadline ends. (Who turns a call away: `order-turned-away.test.ts`.)
 */
import { expect } from 'chai';
import { type EngineName, engines } from '../../support/engines.js';
import { endings, further, heeds, inUse, open, type Row } from '../../support/order-rows.js';
import { bulkheadSpec } from '../../support/specs.js';
import {
  ATTEMPT_MS,
  areRivals,
  type Given,
  HEDGE_MS,
  isOutside,
  Line,
  PAUSE_MS,
  type Stage,
  stages,
  TIMEOUT_MS,
} from '../../support/stage-line.js';

const inLine: Given = { bulkhead: bulkheadSpec(1, { maxQueue: 1 }) };

const others: readonly Row[] = [
  {
    outer: 'fallback',
    inner: 'deadline',
    says: 'a call whose time is over while it runs is answered by it',
    run: async (line) => {
      const call = await line.call();
      await line.pass(TIMEOUT_MS - 1);
      expect(call.end).to.equal(undefined);
      await line.pass(1);
      expect([call.end, line.degraded, line.tally.timeouts]).to.deep.equal(['degraded', 1, 1]);
    },
  },
  {
    outer: 'fallback',
    inner: 'retry',
    says: 'it answers after the last attempt, and once',
    run: async (line) => {
      const call = await line.call();
      for (let attempt = 1; attempt <= 3; attempt++) {
        expect([call.end, call.attempts, line.degraded]).to.deep.equal([undefined, attempt, 0]);
        await call.fail();
        await line.pass(2 * PAUSE_MS);
      }
      expect([call.end, call.attempts, line.degraded]).to.deep.equal(['degraded', 3, 1]);
    },
  },
  {
    outer: 'fallback',
    inner: 'hedge',
    says: 'it answers when no copy is left under way, and once',
    run: async (line) => {
      const call = await line.call();
      await line.pass(HEDGE_MS);
      await call.fail(1);
      expect([call.end, call.attempts, line.degraded]).to.deep.equal([undefined, 2, 0]);
      await call.fail(2);
      expect([call.end, line.degraded]).to.deep.equal(['degraded', 1]);
    },
  },
  {
    outer: 'deadline',
    inner: 'retry',
    says: 'it is one for all attempts: it ends the latest, and none comes after',
    run: async (line) => {
      const call = await line.call();
      await line.pass(TIMEOUT_MS - 2 * PAUSE_MS);
      await call.fail();
      await line.pass(PAUSE_MS);
      expect([call.end, call.attempts]).to.deep.equal([undefined, 2]);
      await line.pass(PAUSE_MS);
      expect(call.end).to.equal('deadline_exceeded');
      await line.pass(TIMEOUT_MS);
      expect(call.attempts).to.equal(2);
    },
  },
  {
    outer: 'deadline',
    inner: 'retry',
    says: 'a pause that it would end is not begun: the call fails then, as its attempt did',
    run: async (line) => {
      // Of a lot of 0.99 the pause is 24.75 ms.
      for (const [leftMs, end] of [
        [PAUSE_MS - 1, 'UNAVAILABLE'],
        [PAUSE_MS, undefined],
      ] as const) {
        const call = await line.call();
        await line.pass(TIMEOUT_MS - leftMs);
        await call.fail();
        expect(call.end).to.equal(end);
        await line.pass(PAUSE_MS);
      }
      expect(line.tally.retries).to.equal(1);
    },
  },
  {
    outer: 'deadline',
    inner: 'hedge',
    says: 'it ends every copy at once',
    run: async (line) => {
      const call = await line.call();
      await line.pass(HEDGE_MS);
      expect(call.attempts).to.equal(2);
      await line.pass(TIMEOUT_MS - HEDGE_MS);
      expect([call.end, line.made.targets.permitsOut]).to.deep.equal(['deadline_exceeded', 0]);
    },
  },
  ...(['rateLimit', 'admission', 'circuit'] as const).map(
    (inner): Row => ({
      outer: 'deadline',
      inner,
      says: 'a call whose time is over while it runs has failed for it',
      run: async (line) => {
        const call = await line.call();
        await line.pass(TIMEOUT_MS);
        await heeds[inner]?.see(line, call, 'deadline_exceeded');
      },
    }),
  ),
  {
    outer: 'deadline',
    inner: 'bulkhead',
    says: 'it counts from the call’s beginning, the wait in line included',
    changes: inLine,
    run: async (line) => {
      const held = await line.call();
      await line.pass(1);
      const waiting = await line.call();
      await line.pass(TIMEOUT_MS - 2);
      const { ok, failed } = line.tally;
      await held.succeed();
      expect([waiting.end, waiting.attempts, ok, failed]).to.deep.equal([undefined, 1, 0, 0]);
      await line.pass(1);
      expect(waiting.end).to.equal(undefined);
      await line.pass(1);
      expect([waiting.end, ...inUse(line)]).to.deep.equal(['deadline_exceeded', 0]);
    },
  },
  {
    outer: 'deadline',
    inner: 'bulkhead',
    says: 'it ends a wait in line, which never began, and of which whoever comes next knows nothing',
    changes: inLine,
    run: async (line) => {
      const held = await line.call();
      const waiting = await line.call(ATTEMPT_MS);
      await line.pass(ATTEMPT_MS - 1);
      expect(waiting.end).to.equal(undefined);
      await line.pass(1);
      expect([waiting.end, waiting.attempts]).to.deep.equal(['deadline_exceeded', 0]);
      // The place in line is free again.
      const next = await line.call();
      expect(line.made.targets.bulkheads()[0]).to.include({ inUse: 1, queued: 1 });
      await held.succeed();
      await next.succeed();
      expect([next.end, line.tally.ok, line.tally.failed]).to.deep.equal(['ok', 2, 0]);
    },
  },
  {
    outer: 'deadline',
    inner: 'attemptTimeout',
    says: 'whichever is over first',
    run: async (line) => {
      const short = await line.call(ATTEMPT_MS - 1);
      await line.pass(ATTEMPT_MS - 1);
      expect(short.end).to.be.oneOf(['deadline_exceeded', 'DEADLINE_EXCEEDED']);
      const long = await line.call(ATTEMPT_MS + 1);
      await line.pass(ATTEMPT_MS);
      expect(long.end).to.equal('deadline_exceeded');
    },
  },
  {
    outer: 'retry',
    inner: 'attemptTimeout',
    says: 'each attempt has its own time, from its own beginning',
    run: async (line) => {
      const call = await line.call();
      for (let attempt = 1; attempt <= 3; attempt++) {
        await line.pass(ATTEMPT_MS - 1);
        expect([call.end, call.attempts, line.tally.timeouts]).to.deep.equal([
          undefined,
          attempt,
          attempt - 1,
        ]);
        await line.pass(1);
        await line.pass(attempt === 3 ? 0 : (attempt * PAUSE_MS * 99) / 100);
      }
      expect([call.end, line.tally.timeouts]).to.deep.equal(['deadline_exceeded', 3]);
    },
  },
  {
    outer: 'hedge',
    inner: 'attemptTimeout',
    says: 'each copy has its own time, from its own beginning',
    run: async (line) => {
      const call = await line.call();
      await line.pass(ATTEMPT_MS);
      expect([call.end, call.attempts, line.tally.timeouts]).to.deep.equal([undefined, 2, 1]);
      await line.pass(HEDGE_MS);
      expect([call.end, line.tally.timeouts]).to.deep.equal(['deadline_exceeded', 2]);
    },
  },
  {
    outer: 'bulkhead',
    inner: 'circuit',
    says: 'whoever waits in line asks the circuit only with its slot, which it gives back where that is open',
    changes: inLine,
    run: async (line) => {
      const held = await line.call();
      const waiting = await line.call();
      expect([waiting.end, ...open(line)]).to.deep.equal([undefined, 'closed']);
      await held.fail();
      expect([waiting.end, waiting.attempts, ...inUse(line)]).to.deep.equal(['circuit_open', 0, 0]);
    },
  },
  {
    outer: 'bulkhead',
    inner: 'attemptTimeout',
    says: 'the wait in line is no part of an attempt’s time',
    changes: inLine,
    run: async (line) => {
      const held = await line.call();
      await line.pass(ATTEMPT_MS - 1);
      const waiting = await line.call();
      await line.pass(1);
      expect([held.end, waiting.attempts]).to.deep.equal(['deadline_exceeded', 1]);
      await line.pass(ATTEMPT_MS - 1);
      expect(waiting.end).to.equal(undefined);
      await line.pass(1);
      expect(waiting.end).to.equal('deadline_exceeded');
    },
  },
  {
    outer: 'attemptTimeout',
    inner: 'call',
    says: 'it is told its time, and an attempt that answers within it is in time',
    run: async (line) => {
      for (const [deadlineMs, givenMs] of [
        [undefined, ATTEMPT_MS],
        [2 * ATTEMPT_MS, ATTEMPT_MS],
        [ATTEMPT_MS / 2, ATTEMPT_MS / 2],
      ] as const) {
        const call = await line.call(deadlineMs);
        expect(call.givenMs).to.equal(givenMs);
        await line.pass(givenMs - 1);
        await call.succeed();
        await line.pass(ATTEMPT_MS);
        expect(call.end).to.equal('ok');
      }
      expect(line.tally.timeouts).to.equal(0);
    },
  },
  {
    outer: 'attemptTimeout',
    inner: 'call',
    says: 'an answer that comes too late is nobody’s',
    only: 'guard',
    run: async (line) => {
      const call = await line.call();
      await line.pass(ATTEMPT_MS);
      await call.succeed();
      expect([call.end, line.tally.ok, line.tally.failed]).to.deep.equal(['deadline_exceeded', 0, 1]);
    },
  },
];

const rows = [...endings, ...further, ...others];

function declare(engine: EngineName, { outer, inner, says, changes, run }: Row): void {
  it(`${outer} > ${inner}: ${says}`, async () => {
    const line = new Line(
      engine,
      stages.filter((each) => each === outer || each === inner),
      changes,
    );
    await run(line);
    await line.expectNothingLeft();
  });
}

for (const engine of engines)
  describe(`a call through ${engine}, stage by stage`, () => {
    for (const row of rows) if (row.only === undefined || row.only === engine) declare(engine, row);
  });

describe('the order of the stages', () => {
  it('is tested of every two that a call can pass, where the inner one decides about calls that have begun', () => {
    const tested = new Set(rows.map(({ outer, inner }) => `${outer} > ${inner}`));
    // What admits a call decides before it begins: that is the other file’s.
    const admits = (stage: Stage) => ['rateLimit', 'admission', 'bulkhead', 'circuit'].includes(stage);
    for (const outer of stages)
      for (const inner of stages)
        if (
          isOutside(outer, inner) &&
          !areRivals(outer, inner) &&
          !(admits(inner) && (admits(outer) || outer === 'fallback'))
        )
          expect([...tested]).to.include(`${outer} > ${inner}`);
  });
});
