/**
 * What a callee or a guarded resource can be called: what a policy's `match.to` can name. Checked where a name is met for the
 * first time, so that a variable that isn't set is a clear error of the call and nothing further in.
 */
import { MeshError } from '../core/errors.js';
import { serviceNamePattern } from '../core/policy/names.js';

export { SELF } from '../core/policy/names.js';

export function isCallee(name: unknown): name is string {
  return typeof name === 'string' && serviceNamePattern.test(name);
}

/** Throws `invalid_configuration` if no policy could name it. */
export function checkCallee(name: unknown): asserts name is string {
  if (isCallee(name)) return;
  const given = typeof name === 'string' ? `"${name.slice(0, 200)}"` : `of type ${typeof name}`;
  const right = 'use up to 128 letters, digits and . _ : - and begin with a letter or digit';
  throw new MeshError('invalid_configuration', `the callee is ${given}: ${right}`);
}
