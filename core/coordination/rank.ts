/**
 * Who evaluates a circuit: rendezvous hashing. Every replica comes to the same order by itself; a replica that comes or goes moves
 * the circuits that it has, and no others. Only a hint: two that take themselves for the first are told apart by the store's
 * comparison.
 */

/** The replicas, each once: first the one that evaluates this circuit, then who takes over from it. */
export function ranked(circuit: string, replicas: readonly string[]): string[] {
  return [...new Set(replicas)]
    .map((replica) => ({ replica, weight: hash(`${replica}\n${circuit}`) }))
    .sort((a, b) => b.weight - a.weight || (a.replica < b.replica ? -1 : 1))
    .map(({ replica }) => replica);
}

/** FNV-1a over UTF-16 units, then MurmurHash3's finalizer, without which names that differ at the end alone rank alike. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
