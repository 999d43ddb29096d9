/** Which web pages may write where no tokens are asked for: those of this address, and on loopback no name that could be anybody's. */
import { expect } from 'chai';
import { refuseForeignOrigin } from '../../../control-plane/rest/origins.js';

describe('origin of a request', () => {
  const cases: [origin: string | undefined, host: string | undefined, onLoopback: boolean, isLet: boolean][] =
    [
      [undefined, '127.0.0.1:7480', true, true],
      [undefined, 'host.docker.internal:7480', true, true],
      ['http://127.0.0.1:7480', '127.0.0.1:7480', true, true],
      ['http://localhost:7480', 'localhost:7480', true, true],
      ['http://[::1]:7480', '[::1]:7480', true, true],
      ['https://mesh.example', 'mesh.example', false, true],
      // A foreign page, whose browser reaches this address.
      ['http://evil.example', '127.0.0.1:7480', true, false],
      ['http://127.0.0.1:3000', '127.0.0.1:7480', true, false],
      ['http://evil.example', 'mesh.example', false, false],
      // A name that was pointed here after the page was loaded.
      ['http://evil.example:7480', 'evil.example:7480', true, false],
      ['http://localhost.evil.example:7480', 'localhost.evil.example:7480', true, false],
      ['null', '127.0.0.1:7480', true, false],
      ['', '127.0.0.1:7480', true, false],
      ['http://127.0.0.1:7480', undefined, true, false],
    ];
  for (const [origin, host, onLoopback, isLet] of cases)
    it(`${origin ?? 'no origin'} at ${host ?? 'no host'}${onLoopback ? '' : ' beyond loopback'} is ${isLet ? 'let in' : 'refused'}`, () => {
      const ask = () => refuseForeignOrigin({ origin, host }, onLoopback);
      if (isLet) expect(ask).not.to.throw();
      else expect(ask).to.throw('another origin').with.property('code', 'permission_denied');
    });
});
