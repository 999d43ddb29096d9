/**
 * Which revision did what: told apart, added up, and bounded without losing a count.
 */
import { expect } from 'chai';
import { Book, OTHER } from '../../../agent/book.js';
import { seededRandom } from '../../../core/random.js';

const sum = (book: Book, keep: (policy: string) => boolean = () => true) =>
  book.entries.filter(({ policy }) => keep(policy)).reduce((total, { count }) => total + count, 0);

describe('the book of decisions', () => {
  it('tells kinds, codes, policies and revisions apart', () => {
    const book = new Book();
    for (const revision of [7, 7, 8]) book.add('reject', 'circuit_open', { policy: 'p', revision });
    book.add('reject', 'rate_limited', { policy: 'q', revision: 8 });
    book.add('retry', 'UNAVAILABLE', { policy: 'p', revision: 8 });
    book.add('reject', 'deadline_exceeded', undefined);
    expect(
      book.entries.map(({ kind, code, policy, revision, count }) => [kind, code, policy, revision, count]),
    ).to.deep.equal([
      ['reject', 'circuit_open', 'p', 7, 2],
      ['reject', 'circuit_open', 'p', 8, 1],
      ['reject', 'rate_limited', 'q', 8, 1],
      ['retry', 'UNAVAILABLE', 'p', 8, 1],
      ['reject', 'deadline_exceeded', '', 0, 1],
    ]);
  });

  it('adds up the revisions that later ones have replaced when it is full, told ones as told', () => {
    const book = new Book();
    for (let revision = 1; revision <= 1_000; revision++) {
      book.add('reject', 'circuit_open', { policy: 'p', revision });
      for (const entry of book.entries) entry.told = entry.count;
    }
    expect(book.entries.length).to.be.at.most(100);
    expect(sum(book)).to.equal(1_000);
    expect(book.entries.reduce((total, { told }) => total + told, 0)).to.equal(1_000);
    expect(book.entries.at(-1)).to.include({ policy: 'p', revision: 1_000, count: 1 });
  });

  it('counts by kind alone where nothing can make room, and still counts each', () => {
    const book = new Book();
    for (let i = 0; i < 500; i++) book.add('reject', 'circuit_open', { policy: `p${i}`, revision: 1 });
    expect(book.entries.length).to.equal(101);
    expect(book.entries.at(-1)).to.include({ kind: 'reject', code: OTHER, policy: '', count: 400 });
    expect(sum(book)).to.equal(500);
  });

  it('never loses a count nor lets one of a policy go down, whatever comes', () => {
    const random = seededRandom(7);
    const pick = (n: number) => Math.floor(random.next() * n);
    const book = new Book();
    let total = 0;
    const byPolicy = new Map<string, number>();
    for (let i = 0; i < 5_000; i++) {
      const policy = `p${pick(30)}`;
      book.add(pick(2) ? 'reject' : 'retry', `c${pick(4)}`, {
        policy,
        revision: 1 + Math.floor(i / 50) - pick(2),
      });
      total++;
      expect(book.entries.length).to.be.at.most(111);
      if (i % 100 > 0) continue;
      expect(sum(book), 'seed 7').to.equal(total);
      for (let p = 0; p < 30; p++) {
        const now = sum(book, (name) => name === `p${p}`);
        expect(now, `p${p}, seed 7`).to.be.at.least(byPolicy.get(`p${p}`) ?? 0);
        byPolicy.set(`p${p}`, now);
      }
    }
  });
});
