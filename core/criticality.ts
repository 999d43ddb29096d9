/**
 * How much a call matters, after Google's SRE book: four classes, told as a word in metadata and as a rank inside. A class may
 * only be lowered on the way down; overload sheds the lowest first.
 */

/** From the most critical to the least; the index is the rank. */
export const criticalities = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'] as const;
export type Criticality = (typeof criticalities)[number];

/** Rank of a call that says nothing: `critical`. */
export const DEFAULT_RANK = 1;

/** Rank of a word; undefined for any other. */
export function rankOf(word: unknown): number | undefined {
  const rank = (criticalities as readonly unknown[]).indexOf(word);
  return rank < 0 ? undefined : rank;
}

/** The word of a rank. */
export function criticalityOf(rank: number): Criticality {
  return criticalities[rank] ?? 'critical';
}
