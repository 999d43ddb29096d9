/**
 * A view as text: there and back, its size, and whatever else may lie in its place.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeView, encodeView } from '../../../core/coordination/blob.js';
import { verdict } from '../../../core/coordination/decision.js';
import type { View } from '../../../core/coordination/model.js';
import { pool } from '../../../core/coordination/pool.js';
import { property } from '../../support/property.js';
import { heard, reporters, situationOf, viewOf } from '../../support/reporters.js';

const name = fc.string({ maxLength: 12 });
const views = fc
  .array(
    fc.record({
      agent: name,
      zone: name,
      endpoint: name,
      calls: fc.nat(50),
      failed: fc.nat(50),
      slow: fc.nat(50),
      blocked: fc.nat(3),
    }),
    { maxLength: 30 },
  )
  .map((all) => viewOf(all));

const sample = viewOf([
  ...reporters(7, { zone: 'eu-1', endpoint: '10.0.0.1:80', failed: 3, blocked: 1 }),
  heard('x'),
]);

/** What is read is in bounds, and can be used. */
function sound(body: string): void {
  const read = decodeView(body);
  if (!read) return;
  for (const { calls, failed, slow, agents, over, heavy, zones, endpoints } of read.spans) {
    for (const part of [...heavy, ...zones, ...endpoints, { calls, failed, slow }]) {
      expect(part.calls).to.be.within(0, calls);
      expect(part.failed).to.be.within(0, part.calls);
      expect(part.slow).to.be.within(0, part.calls);
    }
    expect(over).to.be.within(0, agents);
    expect(agents).to.be.within(0, calls);
  }
  verdict(situationOf([], { view: pool([sample, read]) }));
}

describe('view as text', () => {
  property('comes back as it was', views, (view) => {
    expect(decodeView(encodeView(view))).to.deep.equal(view);
  });

  property(
    'is no view whatever else it is',
    fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map((x) => JSON.stringify(x)),
    ),
    sound,
  );

  property(
    'is in bounds, or none, whatever has become of a part of it',
    fc.tuple(
      fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
      fc.oneof(fc.jsonValue(), fc.constantFrom(-1, 1e300, 0.5, 1e12, [])),
    ),
    ([path, put]) => {
      const body = JSON.parse(encodeView(sample)) as unknown;
      let at = body as unknown[];
      for (const step of path.slice(0, -1)) {
        const next = at[step % at.length];
        if (!Array.isArray(next) || next.length === 0) break;
        at = next as unknown[];
      }
      at[(path.at(-1) ?? 0) % at.length] = put;
      sound(JSON.stringify(body));
    },
    2_000,
  );

  it('is none if it was cut off, is of another version, or is too long', () => {
    const body = encodeView(sample);
    for (let end = 0; end < body.length; end++) expect(decodeView(body.slice(0, end))).to.equal(undefined);
    expect(decodeView(body.replace('[1,', '[2,'))).to.equal(undefined);
    expect(decodeView(body + ' '.repeat(20_000))).to.equal(undefined);
    expect(decodeView('['.repeat(11_000))).to.equal(undefined);
  });

  it('does not grow with the agents', () => {
    const size = (agents: number) =>
      encodeView(viewOf(reporters(agents, { zone: 'eu-1', endpoint: '10.0.0.1:80', failed: 5, blocked: 1 })))
        .length;
    expect(size(9_000)).to.be.below(size(100) * 1.2);
  });

  it('fits where the store takes it, however long the names', () => {
    for (const letter of ['x', 'ü', '語', '😀', '"', '\u0001']) {
      const long = (i: number) => `${i} ${letter.repeat(300)}`;
      const all = Array.from({ length: 200 }, (_, i) =>
        heard(long(i), { zone: long(i % 20), endpoint: long(i % 50), failed: 1, blocked: 1 }),
      );
      const body = encodeView(viewOf(all));
      expect(Buffer.byteLength(body), letter).to.be.below(12_001);
      expect((decodeView(body) as View).spans).to.have.length(4);
    }
  });
});
