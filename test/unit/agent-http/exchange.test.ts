/** One attempt of a dispatched request, as far as no real connection is needed. */
import { expect } from 'chai';
import type { Dispatcher } from 'undici';
import { Exchange } from '../../../agent/http/exchange.js';
import { isUnsent } from '../../../agent/http/faults.js';
import { rejectionOf } from '../../support/targets.js';

describe('an exchange', () => {
  it('that was given up before it began asks nobody, and is over', async () => {
    const dispatched: unknown[] = [];
    const pool = { dispatch: (options: unknown) => dispatched.push(options) } as unknown as Dispatcher;
    const exchange = new Exchange();
    const reason = new Error('given up');
    exchange.abort(reason);
    expect(await rejectionOf(exchange.begin(pool, { method: 'GET', path: '/' }))).to.equal(reason);
    expect(isUnsent(reason)).to.equal(true);
    await exchange.over;
    expect(dispatched).to.deep.equal([]);
  });
});
