/**
 * Arguments that plain JavaScript lets one forget: `register()` spoke of destructuring, `guard('pool')` counted as a failed
 * call of the pool, and a misspelt event was never heard of again. Each is a clear error of the call now.
 */
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { rejectionOf } from '../support/targets.js';

describe('a forgotten argument', () => {
  let mesh: Mesh;
  beforeEach(async () => {
    const quiet = () => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    mesh = await connect({ service: 'checkout', controlPlane: '127.0.0.1:1', snapshot: false, logger });
  });
  afterEach(() => mesh.close());

  it('of register names the port', async () => {
    const error = await rejectionOf(mesh.register(undefined as never));
    expect(String(error)).to.contain('[invalid_configuration] register: give at least the port');
  });

  it('of guard is no failure of the resource', async () => {
    const error = await rejectionOf(mesh.guard('pool', undefined as never));
    expect(String(error)).to.contain(
      '[invalid_configuration] guard: what to run for pool is of type undefined',
    );
  });

  it('of on names the events there are', () => {
    expect(() => mesh.on('circut' as never, () => undefined)).to.throw(
      /\[invalid_configuration\] on: there is no event circut: use circuit, policy, connection/,
    );
    expect(() => mesh.on('circuit', undefined as never)).to.throw(
      /the listener of circuit is of type undefined/,
    );
  });
});
