/**
 * A guard whose name is a variable that isn't set ended the process a second later, from the timer that reports. Now it is an
 * error of that call.
 */
import { expect } from 'chai';
import { guard } from '../../agent/guard.js';
import { MeshError } from '../../core/errors.js';
import { bench, rejectionOf } from '../support/targets.js';

describe('a guard without a name', () => {
  for (const name of [undefined, null, 42, {}, Symbol('x')])
    it(`is refused by that call alone: ${String(name)}`, async () => {
      const { targets, newCallees } = bench();
      const error = await rejectionOf(guard(targets, name as string, async () => 1));
      expect(error).to.be.instanceOf(MeshError);
      expect((error as MeshError).message).to.match(
        /^\[invalid_configuration\] the callee is of type \w+: use /,
      );
      expect(newCallees).to.deep.equal([]);
      expect(targets.drainCells()).to.deep.equal([]);
    });

  it('that no policy can have runs all the same, under the policies of *', async () => {
    const { targets } = bench();
    expect(await guard(targets, 'GET /users', async () => 1)).to.equal(1);
  });
});
