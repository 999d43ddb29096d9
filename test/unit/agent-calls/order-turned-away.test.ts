/**
 * The order of the stages, fallback( deadline( retry/hedge( rateLimit( bulkhead( circuit( attemptTimeout( call ))))))), pair by pair and
 * for both engines, from the side of whoever turns a call away: no stage further in is touched, and each further out hears of it, keeps
 * nothing, and does with it what it must; where two would, it is the outer one that does.
 */
import { expect } from 'chai';
import { type Driven, engines } from '../../support/engines.js';
import {
  BURST,
  FORGOTTEN_MS,
  type Given,
  HEDGE_MS,
  isOutside,
  Line,
  OPEN_MS,
  rejectionCodes,
  type Stage,
  stages,
} from '../../support/stage-line.js';

/** Whoever turns calls away before they begin, from the outside in. */
const rejecting = ['deadline', 'rateLimit', 'admission', 'bulkhead', 'circuit'] as const;
type Rejecting = (typeof rejecting)[number];

/** Of the call that the rejected ones are made to answer. */
const deadlineOf = (by: readonly Stage[]) => (by.includes('deadline') ? 0 : undefined);

/** Admission still knows of a failure when the circuit that it opened is about to probe. */
const longMemory: Given = { admission: { successRate: 0.95, maxRejection: 0.8, windowMs: 2 * OPEN_MS } };

/** From here on these turn calls away. One further in is made `ready`: whoever touches it shows. Answers what holds the slot. */
async function obstruct(line: Line, by: readonly Rejecting[], ready?: Stage): Promise<Driven | undefined> {
  const has = (stage: Rejecting) => by.includes(stage);
  const fails = has('admission') || has('circuit') || ready === 'admission' || ready === 'circuit';
  const holds = has('bulkhead');
  const tokens = Number(fails) + Number(holds);
  if (has('rateLimit')) while (line.begun < BURST - tokens) await (await line.call()).succeed();
  if (fails) await line.failing();
  if (ready === 'circuit' || (holds && has('circuit'))) {
    // It is about to probe, with one call; where a slot is held, that is the probe.
    await line.pass(OPEN_MS);
  } else if (has('circuit') && !has('admission')) {
    // Of what is turned away admission counts nothing: it lets everybody through whatever the lot.
    await line.pass(FORGOTTEN_MS);
    line.lot = 0;
  }
  const held = holds ? await line.call() : undefined;
  // A copy of it is due, and turned away, before it is looked at what others leave behind.
  if (holds) await line.pass(HEDGE_MS);
  if (has('admission')) line.lot = 0;
  return held;
}

async function clear(line: Line, by: Rejecting): Promise<void> {
  line.lot = 0.99;
  if (by === 'circuit') await line.pass(OPEN_MS);
  if (by === 'rateLimit') await line.pass(BURST * 3_600_000);
}

function lineOf(engine: (typeof engines)[number], by: Stage, other: Stage): Line {
  const present = stages.filter((each) => each === by || each === other);
  return new Line(engine, present, by === 'admission' ? longMemory : {});
}

async function expectOk(line: Line): Promise<void> {
  const call = await line.call();
  await call.succeed();
  expect(call.end).to.equal('ok');
}

/** Every token that no attempt has taken is there, and no other. */
async function expectTokens(line: Line): Promise<void> {
  while (line.begun < BURST) {
    const call = await line.call();
    expect(call.attempts).to.equal(1);
    await call.succeed();
  }
  expect((await line.call()).end).to.equal('rate_limited');
}

for (const engine of engines) {
  describe(`a call through ${engine} that is turned away`, () => {
    for (const by of rejecting)
      for (const other of stages.filter((stage) => stage !== by)) {
        const outside = isOutside(other, by);
        const says = outside ? 'further out, hears of it and keeps nothing' : 'further in, is not touched';
        it(`by ${by}: ${other}, ${says}`, async () => {
          const line = lineOf(engine, by, other);
          const held = await obstruct(line, [by], outside ? undefined : other);
          const before = line.memory();
          const { lots, rejections, degraded } = line;
          for (let i = 0; i < 3; i++) {
            const call = await line.call(deadlineOf([by]));
            // In the same tick: nobody waits for a deadline, a pause or a copy.
            expect(call.end).to.equal(other === 'fallback' ? 'degraded' : rejectionCodes[by]);
          }
          await line.pass(2 * HEDGE_MS);
          expect(line.memory()).to.deep.equal(before);
          if (by !== 'admission') expect(line.lots).to.equal(lots);
          expect(line.rejections - rejections).to.equal(3);
          expect(line.degraded - degraded).to.equal(other === 'fallback' ? 3 : 0);

          await held?.succeed();
          await clear(line, by);
          if (other === 'rateLimit') await expectTokens(line);
          else await expectOk(line);
          await line.expectNothingLeft();
        });
      }
  });

  describe(`a call through ${engine} that two would turn away`, () => {
    for (const outer of rejecting)
      for (const inner of rejecting.filter((stage) => isOutside(outer, stage)))
        it(`is turned away by ${outer}, before ${inner} is asked`, async () => {
          const line = lineOf(engine, outer, inner);
          await obstruct(line, [outer, inner]);
          const before = line.memory();
          for (let i = 0; i < 3; i++)
            expect((await line.call(deadlineOf([outer]))).end).to.equal(rejectionCodes[outer]);
          expect(line.memory()).to.deep.equal(before);
          // The inner one would have, had it been asked.
          line.drop(outer);
          expect((await line.call()).end).to.equal(rejectionCodes[inner]);
          await line.expectNothingLeft();
        });
  });
}
