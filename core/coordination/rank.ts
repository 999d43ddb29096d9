/**
 * Who evaluates a circuit: the first in rank.
 */

/** The replicas, first the one that evaluates this circuit, then who takes over. The same at every replica. */
export function ranked(_circuit: string, replicas: readonly string[]): string[] {
  return [...replicas].sort();
}
