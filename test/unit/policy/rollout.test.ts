/** What a staged rollout starts from, whom it is for, what the others keep, and how long a halt holds. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatHalts,
  HALTS_MAX,
  type Halt,
  haltInForce,
  haltOf,
  parseHalts,
} from '../../../core/policy/halts.js';
import { type PolicyRevision, parsePolicy, revisionFor } from '../../../core/policy/index.js';
import { reaches, staged, targetsOf } from '../../../core/policy/rollout.js';
import { property } from '../../support/property.js';

/** A revision of the policy `p`: what it says, and for how many. */
function said(timeout: string, percent: number, to = 'inventory') {
  const result = parsePolicy({
    policy: 'p',
    match: { to },
    spec: { timeout },
    ...(percent === 100 ? {} : { rollout: { percent } }),
  });
  if (!result.ok) throw new Error('the test wrote no policy');
  return result.policy;
}

/** The last of these revisions, numbered from 1 on; undefined is a deletion. */
function lastOf(...revisions: (ReturnType<typeof said> | undefined)[]): PolicyRevision {
  let present: PolicyRevision | undefined;
  for (const [i, policy] of revisions.entries())
    present = policy && staged(present, { policy, revision: i + 1 });
  if (!present) throw new Error('the test ended with a deletion');
  return present;
}

const stageOf = ({ staged }: PolicyRevision) => staged && [staged.previous?.revision, staged.since];

describe('a staged rollout', () => {
  it('starts from the last revision that was for everybody, however often its percentage changes', () => {
    expect(stageOf(lastOf(said('1s', 100)))).to.equal(undefined);
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25)))).to.deep.equal([1, 2]);
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('2s', 50)))).to.deep.equal([1, 2]);
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('2s', 10)))).to.deep.equal([1, 2]);
  });

  it('is another one when the policy says something else, and starts from the same revision', () => {
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('3s', 25)))).to.deep.equal([1, 3]);
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('3s', 5), said('2s', 5)))).to.deep.equal([
      1, 4,
    ]);
  });

  it('is over at 100 percent: what comes then starts from there', () => {
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('2s', 100)))).to.equal(undefined);
    expect(stageOf(lastOf(said('1s', 100), said('2s', 25), said('2s', 100), said('3s', 1)))).to.deep.equal([
      3, 4,
    ]);
  });

  it('starts from nothing where the policy is new, or comes after its deletion', () => {
    expect(stageOf(lastOf(said('1s', 25)))).to.deep.equal([undefined, 1]);
    expect(stageOf(lastOf(said('1s', 100), undefined, said('1s', 25), said('1s', 30)))).to.deep.equal([
      undefined,
      3,
    ]);
  });

  it('is for its instances, and the others keep the revision it started from, or nothing', () => {
    const [first, entry, fresh] = [
      lastOf(said('1s', 100)),
      lastOf(said('1s', 100), said('2s', 50)),
      lastOf(said('2s', 50)),
    ];
    const names = Array.from({ length: 40 }, (_, i) => `a${i}`);
    const inside = names.filter((name) => reaches(entry.policy, name));
    expect(inside.length).to.be.within(8, 32);
    for (const name of names) {
      const has = inside.includes(name);
      expect(revisionFor(entry, name)?.revision).to.equal(has ? 2 : 1);
      expect(revisionFor(fresh, name)?.revision).to.equal(has ? 1 : undefined);
      expect(revisionFor(first, name)).to.equal(first);
    }
  });

  it('concerns those whom either of the two revisions is for', () => {
    const moved = lastOf(said('1s', 100, 'inventory'), said('1s', 25, 'payments'));
    expect(targetsOf(moved)).to.deep.equal([{ to: 'payments' }, { to: 'inventory' }]);
  });

  property(
    'never takes the revision away from an instance as its percentage grows',
    fc.tuple(fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 2, maxLength: 6 }), fc.string()),
    ([percents, instance]) => {
      const growing = [...percents].sort((a, b) => a - b).map((percent) => said('2s', percent));
      let had = false;
      for (let count = 1; count <= growing.length; count++) {
        const entry = lastOf(said('1s', 100), ...growing.slice(0, count));
        const has = revisionFor(entry, instance) === entry;
        if (had) expect(has).to.equal(true);
        had = has;
      }
    },
  );
});

describe('a halted rollout', () => {
  const halt = (revision: number, more: Partial<Halt> = {}): Halt => ({
    policy: 'p',
    revision,
    percent: 25,
    reason: 'checkout/a1 refuses it',
    at: 1,
    ...more,
  });
  const halts = (one: Halt) => new Map([[one.policy, one]]);

  it('stays halted whatever its percentage is, until it is another or over', () => {
    const series = [said('1s', 100), said('2s', 25), said('2s', 30)] as const;
    expect(haltInForce(halts(halt(2)), lastOf(...series.slice(0, 2)))?.reason).to.contain('a1');
    expect(haltInForce(halts(halt(2)), lastOf(...series))?.revision).to.equal(2);
    expect(haltInForce(halts(halt(2)), lastOf(...series, said('3s', 25)))).to.equal(undefined);
    expect(haltInForce(halts(halt(2)), lastOf(...series, said('2s', 100)))).to.equal(undefined);
    expect(haltInForce(halts(halt(2)), undefined)).to.equal(undefined);
  });

  it('is not what came of the same words earlier', () => {
    const again = lastOf(said('1s', 100), said('2s', 25), said('1s', 100), said('2s', 25));
    expect(haltOf(halts(halt(2)), again)).to.equal(undefined);
  });

  it('goes on once somebody has said so, and is remembered as resumed', () => {
    const resumed = halt(2, { resumed: { author: 'ann', at: 5 } });
    const entry = lastOf(said('1s', 100), said('2s', 25));
    expect(haltInForce(halts(resumed), entry)).to.equal(undefined);
    expect(haltOf(halts(resumed), entry)).to.equal(resumed);
  });

  it('is read as it was written, without those that hold for nothing any more', () => {
    const entry = lastOf(said('1s', 100), said('2s', 25));
    const old = halt(9, { policy: 'gone' });
    const document = formatHalts(halts(old), halt(2), (name) => (name === 'p' ? entry : undefined));
    expect(parseHalts(document)).to.deep.equal({ ok: true, halts: halts(halt(2)) });
  });

  it('keeps the newest, and reasons of a bounded length', () => {
    const entry = lastOf(said('1s', 25));
    const many = new Map<string, Halt>();
    for (let i = 0; i < HALTS_MAX + 5; i++) many.set(`q${i}`, halt(1, { policy: `q${i}`, at: i }));
    const document = formatHalts(many, halt(1, { at: 999, reason: 'x'.repeat(9999) }), () => entry);
    const result = parseHalts(document);
    if (!result.ok) throw new Error('it does not read back');
    expect(result.halts.size).to.equal(HALTS_MAX);
    expect(result.halts.has('q0')).to.equal(false);
    expect(result.halts.get('p')?.reason).to.have.length(500);
  });

  for (const text of ['', '[', 'null', '{}', '{"halts":{}}', '{"halts":[{"policy":"p"}]}'])
    it(`is not read from ${JSON.stringify(text)}, which throws nothing`, () => {
      expect(parseHalts(text).ok).to.equal(false);
    });
});
