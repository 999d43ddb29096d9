/**
 * Documents that mean harm: keys that reach into prototypes, depth and size without end, values that are no JSON, getters that
 * throw. Each is an answer with its place, and nothing else happens.
 */
import { expect } from 'chai';
import { faultsOf, faultsOfSpec } from './helpers.js';

describe('hostile documents', () => {
  for (const key of ['__proto__', 'constructor', 'prototype'])
    it(`with the key ${key} are refused, at any depth`, () => {
      const inner = JSON.parse(
        `{"policy":"p","match":{"to":"x"},"spec":{"circuit":{"${key}":{"polluted":1}}}}`,
      );
      expect(faultsOf(inner)).to.deep.equal([`spec.circuit.${key}: is not allowed as a name`]);
      const outer = JSON.parse(`{"policy":"p","match":{"to":"x"},"${key}":{"polluted":1}}`);
      expect(faultsOf(outer)).to.deep.equal([`${key}: is not allowed as a name`]);
      const own = JSON.parse(
        `{"policy":"p","match":{"to":"x"},"spec":{"fallback":[{"static":{"${key}":1}}]}}`,
      );
      expect(faultsOf(own)).to.deep.equal([`spec.fallback[0].static.${key}: is not allowed as a name`]);
      expect(({} as { polluted?: unknown }).polluted).to.equal(undefined);
    });

  it('that are too deep are refused where they become so', () => {
    let nested: unknown = 1;
    for (let i = 0; i < 100_000; i++) nested = [nested];
    const found = faultsOfSpec({ fallback: [{ static: nested }] });
    expect(found).to.have.length(1);
    expect(found[0]).to.match(/^spec\.fallback\[0\]\.static(\[0\])+: nested too deeply; at most 16 levels$/);
  });

  it('that contain themselves are refused', () => {
    const circle: Record<string, unknown> = { policy: 'p', match: { to: 'x' } };
    circle.spec = circle;
    expect(faultsOf(circle).join()).to.contain('nested too deeply');
  });

  it('that unfold without end are refused', () => {
    let bomb: unknown = 'x';
    for (let i = 0; i < 12; i++) bomb = Array(12).fill(bomb);
    expect(faultsOfSpec({ fallback: [{ static: bomb }] })).to.deep.equal([': is too large; at most 64 KiB']);
  });

  it('over 64 KiB are refused, just under they are not', () => {
    const document = (size: number) => ({
      policy: 'p',
      match: { to: 'x' },
      spec: { fallback: [{ static: 'x'.repeat(size) }] },
    });
    const frame = JSON.stringify(document(0)).length;
    expect(faultsOf(document(65_536 - frame))).to.deep.equal([]);
    expect(faultsOf(document(65_537 - frame))).to.deep.equal([': is too large; at most 64 KiB']);
    expect(faultsOf({ ...document(0), spec: { fallback: [{ static: 'ä'.repeat(40_000) }] } })).to.deep.equal([
      ': is too large; at most 64 KiB',
    ]);
  });

  for (const [title, value] of [
    ['infinity', Number.POSITIVE_INFINITY],
    ['no number', Number.NaN],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a big integer', 1n],
  ] as const)
    it(`with ${title} in them are refused`, () => {
      expect(faultsOfSpec({ fallback: [{ static: { a: value } }] })[0]).to.match(
        /^spec\.fallback\[0\]\.static\.a: must be/,
      );
    });

  it('whose getters throw are refused', () => {
    const document = {
      policy: 'p',
      get match(): never {
        throw new Error('no');
      },
    };
    expect(faultsOf(document)).to.deep.equal([": can't be read: it must be plain JSON"]);
  });
});
