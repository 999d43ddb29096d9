/**
 * A record as text: it comes back as it went, and nothing else comes back, whatever the store holds.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { ClusterRecord } from '../../../../core/coordination/model.js';
import { decodeRecord, encodeRecord } from '../../../../core/coordination/record-text.js';
import { clusterRecord, halfOpenRecord, inventory } from '../../../support/cluster-records.js';
import { property } from '../../../support/property.js';

/** What is written, changed by hand. */
function tampered(changes: Record<string, unknown>, record: ClusterRecord = halfOpenRecord(3)): string {
  return JSON.stringify({ ...JSON.parse(encodeRecord(record)), ...changes });
}

describe('the text of a record', () => {
  it('comes back as it went', () => {
    const records = [
      clusterRecord(),
      halfOpenRecord(255),
      clusterRecord({ state: 'ramping', step: 3, override: 4 }),
      clusterRecord({ ejections: [{ endpoint: '10.0.0.1:80', leftMs: -20, times: 2 }] }),
    ];
    for (const record of records) expect(decodeRecord(inventory, encodeRecord(record))).to.deep.equal(record);
  });

  it('keeps what permits came to', () => {
    const record = halfOpenRecord(4);
    const ends = ['ok', 'failed', 'lost', undefined] as const;
    const permits = record.permits.map((each, i) => {
      const outcome = ends[i];
      return outcome ? { ...each, outcome } : each;
    });
    expect(decodeRecord(inventory, encodeRecord({ ...record, permits }))?.permits).to.deep.equal(permits);
  });

  it('fits into the 16 KiB that a store takes, with every permit and the longest of names', () => {
    const agents = Array.from({ length: 16 }, (_, i) => `${'s'.repeat(128)}/${'i'.repeat(198)}${i}`);
    const record = {
      ...halfOpenRecord(255, agents),
      reason: 'ä'.repeat(2_000),
      ejections: Array.from({ length: 64 }, (_, i) => ({
        endpoint: `[2001:0db8:0000:0000:0000:0000:0000:00${i}]:50051`,
        leftMs: 60_000,
        times: 9,
      })),
    };
    expect(Buffer.byteLength(encodeRecord(record))).to.be.lessThan(16_384);
    expect(decodeRecord(inventory, encodeRecord(record))).not.to.equal(undefined);
  });

  it('has no control characters in its reason', () => {
    const text = encodeRecord(clusterRecord({ reason: 'a\u001b[31mb\nc' }));
    expect(decodeRecord(inventory, text)?.reason).to.equal('a [31mb c');
  });

  const hostile: [title: string, body: string][] = [
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['another circuit', encodeRecord(clusterRecord({ id: 'payments|default' }))],
    ['an unknown state', tampered({ state: 'ajar' })],
    ['a negative epoch', tampered({ epoch: -1 })],
    ['an epoch whose permits would not be whole', tampered({ epoch: 2 ** 50 })],
    ['a fractional seq', tampered({ seq: 1.5 })],
    ['seq 0', tampered({ seq: 0 })],
    ['an age from the future', tampered({ ageMs: -5 })],
    ['an endless time', tampered({ openMs: 1e300 })],
    ['a number as text', tampered({ openings: '1' })],
    ['a step beyond every ramp', tampered({ step: 99 })],
    ['permits that are no list', tampered({ permits: {} })],
    ['a permit of nobody', tampered({ permits: [[1024, 7, 0]] })],
    [
      'a permit twice',
      tampered({
        permits: [
          [1024, 0, 0],
          [1024, 1, 0],
        ],
      }),
    ],
    ['a permit of an epoch to come', tampered({ permits: [[5 * 256, 0, 0]] })],
    ['an unknown outcome', tampered({ permits: [[1024, 0, 4]] })],
    ['256 permits', tampered({ permits: Array.from({ length: 256 }, (_, i) => [i, 0, 0]) })],
    ['an agent with a newline', tampered({ agents: ['a\nb', 'c'] })],
    ['no agents', tampered({ agents: undefined })],
    ['an endpoint that is none', tampered({ ejections: [[7, 1, 1]] })],
    ['an endless ejection', tampered({ ejections: [['h:1', 1e300, 1]] })],
    ['an escape sequence as reason', tampered({ reason: '\u001b[2J' })],
    ['a policy that is none', tampered({ policy: 'inventory-default@7' })],
    ['an override that is none', tampered({ override: 'yes' })],
    ['a life of permits that is none', tampered({ permitMs: null })],
    ['more than the store takes', tampered({ more: 'x'.repeat(20_000) })],
    ['a deep nest', `${'['.repeat(8_000)}${']'.repeat(8_000)}`],
  ];
  for (const [title, body] of hostile)
    it(`is refused: ${title}`, () => expect(decodeRecord(inventory, body)).to.equal(undefined));

  it('has no room for what it does not know', () => {
    const record = decodeRecord(inventory, tampered({ more: 1, __proto__: { epoch: 9 } }));
    expect(record).to.have.all.keys(Object.keys(halfOpenRecord(3)));
  });

  property('never throws', fc.oneof(fc.string(), fc.json()), (body) => {
    decodeRecord(inventory, body);
  });

  property(
    'is a record in bounds or none, wherever one field is anything',
    fc.tuple(fc.constantFrom(...Object.keys(JSON.parse(encodeRecord(halfOpenRecord(3))))), fc.jsonValue()),
    ([key, value]) => {
      const record = decodeRecord(inventory, tampered({ [key]: value }));
      if (record) expect(decodeRecord(inventory, encodeRecord(record))).to.deep.equal(record);
    },
  );
});
