/** Under which names answers are kept: all that an answer depends on is in them, and no part passes for two. */
import { expect } from 'chai';
import { cacheNameOf, nameOf } from '../../../agent/cache-name.js';
import { requestKeyOf } from '../../../agent/http/request-key.js';

describe('the name of an answer that is kept', () => {
  it('is another where what is in one part is in the next', () => {
    const names = [
      cacheNameOf('a|b', { key: 'c' }),
      cacheNameOf('a', { key: 'b|c' }),
      cacheNameOf('a', { key: 'b', request: () => ['c'] }),
      cacheNameOf('a', { key: 'b', request: () => ['c', ''] }),
      cacheNameOf('a', { key: 'b|c', request: () => [] }),
    ];
    expect(new Set(names)).to.have.property('size', names.length);
  });

  it('is short, whatever it is made of', () => {
    expect(nameOf(['x'.repeat(10_000)])).to.have.length.below(100);
    expect(nameOf(['x'.repeat(10_000)])).to.not.equal(nameOf(['x'.repeat(10_001)]));
  });

  it('is none without a key, or of a request that changes something', () => {
    expect(cacheNameOf('a', { request: () => ['c'] })).to.equal(undefined);
    const request = () => requestKeyOf('/', { method: 'PUT' });
    expect(cacheNameOf('a', { key: 'b', request })).to.equal(undefined);
  });

  it('leaves out what differs from call to call whoever asks', () => {
    const asked = (headers: Record<string, string>) => requestKeyOf('/', { headers });
    expect(asked({ traceparent: 'a', 'X-Request-Id': '1', cookie: 'c' })).to.deep.equal(
      asked({ traceparent: 'b', 'x-request-id': '2', cookie: 'c' }),
    );
    expect(asked({ cookie: 'c' })).to.not.deep.equal(asked({ cookie: 'd' }));
  });
});
