/** What operators decide of circuits, as a document: what is refused and where, and what a change makes of what was there. */
import { expect } from 'chai';
import {
  changedSetting,
  circuitIdPattern,
  OVERRIDES_MAX,
  type OverrideFields,
  parseCircuitsSetting,
  parseFreeze,
  parseOverride,
} from '../../../../core/coordination/overrides.js';

const open: OverrideFields = { state: 'open', reason: 'it burns', ttlMs: 600_000 };
const never = (_change: number) => false;
const at = { author: 'ada', wallNow: 1000, isOver: never };

const put = (before: string | undefined, circuit: string, fields: OverrideFields | undefined, how = at) =>
  changedSetting(before, { circuit, put: fields }, how);

function settingOf(document: string | undefined) {
  const read = parseCircuitsSetting(document ?? '');
  if (!read.ok) throw new Error(JSON.stringify(read.issues));
  return read.setting;
}

describe('an override as it is sent', () => {
  it('has a state, a reason, and an hour', () => {
    const read = parseOverride({ state: 'closed', reason: ' false alarm ' });
    expect(read).to.deep.equal({
      ok: true,
      fields: { state: 'closed', reason: 'false alarm', ttlMs: 3_600_000 },
    });
  });

  for (const [body, faults] of [
    [undefined, ['']],
    [[], ['']],
    [{}, ['state', 'reason']],
    [{ state: 'half-open', reason: '' }, ['state', 'reason']],
    [{ state: 'open', reason: 'a\nb', ttl: 5 }, ['reason', 'ttl']],
    [{ state: 'open', reason: 'x'.repeat(501) }, ['reason']],
    [{ state: 'open', reason: 'x', ttl: '999ms' }, ['ttl']],
    [{ state: 'open', reason: 'x', ttl: '169h' }, ['ttl']],
    [{ state: 'open', reason: 'x', author: 'eve' }, ['author']],
    [JSON.parse('{"state":"open","reason":"x","__proto__":{}}'), ['__proto__']],
  ] as const)
    it(`is refused with all faults: ${JSON.stringify(body) ?? 'nothing'}`, () => {
      const read = parseOverride(body);
      expect(read.ok ? [] : read.issues.map(({ path }) => path)).to.deep.equal(faults);
    });

  it('holds until somebody thaws, for the kill switch without a time', () => {
    expect(parseFreeze({ reason: 'x' })).to.deep.equal({
      ok: true,
      fields: { reason: 'x', ttlMs: undefined },
    });
    expect(parseFreeze({ ttl: '1m' }).ok).to.equal(false);
  });
});

describe('the document of all overrides', () => {
  it('is canonical text, which its parser reads back', () => {
    const document = put(undefined, 'a|p', open);
    expect(document).to.equal(
      '{"changes":1,"overrides":{"a|p":{"author":"ada","change":1,"reason":"it burns","setAt":1000,"state":"open","ttl":"10m"}}}',
    );
    expect(settingOf(document).overrides.get('a|p')).to.deep.equal({
      ...open,
      ...{ author: 'ada', setAt: 1000, change: 1 },
    });
  });

  it('counts its changes, so that each decision has a number of its own', () => {
    const first = put(undefined, 'a|p', open);
    const second = put(first, 'b|p', open);
    const third = put(second, 'a|p', { ...open, state: 'closed' });
    const { overrides, changes } = settingOf(third);
    expect([...overrides].map(([id, { change, state }]) => [id, change, state])).to.deep.equal([
      ['a|p', 3, 'closed'],
      ['b|p', 2, 'open'],
    ]);
    expect(changes).to.equal(3);
    expect(settingOf(put(put(third, 'a|p', undefined), 'b|p', undefined)).changes).to.equal(5);
  });

  it('loses what is over with the next write, and nothing else', () => {
    const two = put(put(undefined, 'a|p', open), 'b|p', open);
    const isOver = (change: number) => change === 1;
    expect([...settingOf(put(two, 'c|p', open, { ...at, isOver })).overrides.keys()]).to.deep.equal([
      'b|p',
      'c|p',
    ]);
    expect([...settingOf(put(two, 'b|p', undefined, { ...at, isOver })).overrides.keys()]).to.deep.equal([]);
  });

  it('stays as it is where there is nothing to take away', () => {
    expect(put(undefined, 'a|p', undefined)).to.equal(undefined);
    const one = put(undefined, 'a|p', open);
    expect(put(one, 'b|p', undefined)).to.equal(one);
    expect(changedSetting(one, { circuit: undefined, put: undefined }, at)).to.equal(one);
  });

  it('has the kill switch beside the overrides', () => {
    const one = put(undefined, 'a|p', open);
    const frozen = changedSetting(
      one,
      { circuit: undefined, put: { reason: 'panic', ttlMs: undefined } },
      at,
    );
    expect(settingOf(frozen).frozen).to.deep.equal({
      ...{ reason: 'panic', author: 'ada', ttlMs: undefined, setAt: 1000, change: 2 },
    });
    expect([...settingOf(frozen).overrides.keys()]).to.deep.equal(['a|p']);
    expect(settingOf(put(frozen, 'b|p', open)).frozen?.change).to.equal(2);
    expect(settingOf(changedSetting(frozen, { circuit: undefined, put: undefined }, at)).frozen).to.equal(
      undefined,
    );
  });

  it('is written anew where a foreign hand has spoilt it', () => {
    expect([...settingOf(put('{"overrides":7}', 'a|p', open)).overrides.keys()]).to.deep.equal(['a|p']);
    expect(settingOf(put('no JSON', 'a|p', undefined)).overrides.size).to.equal(0);
  });

  it('is bounded', () => {
    const many = (n: number) =>
      JSON.stringify({
        changes: 1,
        overrides: Object.fromEntries(
          Array.from({ length: n }, (_, i) => [
            `a|p${i}`,
            { state: 'open', reason: 'x', author: 'a', setAt: 1, change: 1 },
          ]),
        ),
      });
    expect(settingOf(many(OVERRIDES_MAX)).overrides.size).to.equal(OVERRIDES_MAX);
    expect(parseCircuitsSetting(many(OVERRIDES_MAX + 1)).ok).to.equal(false);
    expect(parseCircuitsSetting(`"${'x'.repeat(262_144)}"`).ok).to.equal(false);
  });

  for (const [what, document] of [
    ['a list', '[]'],
    [
      'an id that none has',
      '{"changes":1,"overrides":{"a":{"state":"open","reason":"x","author":"a","setAt":1,"change":1}}}',
    ],
    [
      'another state',
      '{"changes":1,"overrides":{"a|p":{"state":"off","reason":"x","author":"a","setAt":1,"change":1}}}',
    ],
    ['no count', '{"overrides":{}}'],
  ] as const)
    it(`does not parse with ${what}`, () => {
      expect(parseCircuitsSetting(document).ok).to.equal(false);
    });
});

describe('the id of a circuit that can be overridden', () => {
  for (const id of ['payments|guard', 'a.b:1|p-1.x_y|shop.v1.Inventory/Reserve'])
    it(`${id} is one`, () => expect(circuitIdPattern.test(id)).to.equal(true));
  for (const id of ['payments', '*|p', 'a|P', 'a|p|m', 'a|p@eu', 'a|p|s/m@eu', 'a|p|s/m/n', ' a|p', 'a|p\n'])
    it(`${JSON.stringify(id)} is none`, () => expect(circuitIdPattern.test(id)).to.equal(false));
});
