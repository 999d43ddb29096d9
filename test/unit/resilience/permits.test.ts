/**
 * Permits: a handle is good for one end, whoever uses its row afterwards.
 */
import { expect } from 'chai';
import { NONE, Permits } from '../../../core/resilience/permits.js';

describe('permits', () => {
  it('find no row for a handle that was ended, though its row is in use again', () => {
    const permits = new Permits(1);
    const first = permits.take(0, 0);
    release(permits, first);
    const second = permits.take(0, 0);
    expect(permits.row(first)).to.equal(NONE);
    expect(permits.row(second)).to.not.equal(NONE);
  });

  it('find no row for what never was a handle', () => {
    const permits = new Permits();
    for (const handle of [-1, -2, 64, 2 ** 30, 2 ** 31 - 1]) {
      expect(permits.row(handle)).to.equal(NONE);
    }
  });

  it('keep what is out while they grow', () => {
    const permits = new Permits(2);
    const handles = Array.from({ length: 1_000 }, (_, i) => permits.take(i, i * 2));
    expect(new Set(handles).size).to.equal(1_000);
    expect(permits.out).to.equal(1_000);
    handles.forEach((handle, i) => {
      expect(permits.starts[permits.row(handle)]).to.equal(i);
      expect(permits.deadlines[permits.row(handle)]).to.equal(i * 2);
    });
    for (const handle of handles) release(permits, handle);
    expect(permits.out).to.equal(0);
  });

  it('refuse beyond 262,144, and give again once one has come back', () => {
    const permits = new Permits();
    const handles = Array.from({ length: 262_144 }, () => permits.take(0, 0));
    expect(permits.take(0, 0)).to.equal(NONE);
    release(permits, handles[12_345] as number);
    expect(permits.take(0, 0)).to.be.at.least(0);
  });

  it('are small integers for as long as the process lives', () => {
    const permits = new Permits(1);
    for (let i = 0; i < 20_000; i++) {
      const handle = permits.take(0, 0);
      if (handle < 0 || handle > 2 ** 31 - 1 || !Number.isInteger(handle)) expect.fail(`handle ${handle}`);
      release(permits, handle);
    }
    expect(permits.out).to.equal(0);
  });

  it('tell a handle from the next 8,000 of its row', () => {
    const permits = new Permits(1);
    const old = permits.take(0, 0);
    release(permits, old);
    for (let i = 0; i < 8_000; i++) {
      const handle = permits.take(0, 0);
      if (permits.row(old) !== NONE) expect.fail(`mistaken for the one ${i + 1} later`);
      release(permits, handle);
    }
  });
});

function release(permits: Permits, handle: number): void {
  const row = permits.row(handle);
  permits.end(row);
  permits.giveBack(row);
}
