/**
 * What keys beyond the cap are under, so that they are never unprotected in silence.
 */
import type { CircuitSpec } from '../core/policy/model.js';
import { parsePolicy } from '../core/policy/parse.js';

/** Name of the target that they share. */
export const OVERFLOW = '(overflow)';

/** Where no policy for `*` says otherwise, keys beyond the cap are under a circuit with all the defaults. */
export function overflowCircuit(): CircuitSpec {
  const parsed = parsePolicy({ policy: 'overflow', match: { to: '*' }, spec: { circuit: {} } });
  const circuit = parsed.ok ? parsed.policy.spec.circuit : undefined;
  if (!circuit) throw new Error('a circuit without settings has to parse');
  return circuit;
}
