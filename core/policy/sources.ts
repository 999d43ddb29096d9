/**
 * Who said a section that holds, by name, and in which words: what explain tells beside the values themselves.
 */
import type { Effective, PolicyRevision, SectionName, Source } from './model.js';
import type { Plain, PlainObject } from './plain.js';

/** `inventory-default@7` */
export function nameOf({ policy, revision }: Source): string {
  return `${policy}@${revision}`;
}

/** Of those sections that anybody gives, each policy once. */
export function givers(held: Effective, sections: readonly SectionName[]): string[] {
  return [...new Set(sections.flatMap((section) => held[section]?.source ?? []).map(nameOf))];
}

export function winnerOf(
  section: SectionName,
  held: Effective,
  matching: readonly PolicyRevision[],
): PolicyRevision | undefined {
  const name = held[section]?.source.policy;
  return matching.find(({ policy }) => policy.name === name);
}

/** The section that holds, in the words of its document. */
export function writtenOf(
  section: SectionName,
  held: Effective,
  matching: readonly PolicyRevision[],
): Plain | undefined {
  const winner = winnerOf(section, held, matching);
  if (!winner) return undefined;
  const { spec } = JSON.parse(winner.policy.document) as { spec?: PlainObject };
  return spec?.[section];
}
