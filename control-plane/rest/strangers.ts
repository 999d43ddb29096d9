/**
 * Names in a question that nobody has: more often misspelt than not here yet. A policy may well come before its service, so that is a
 * note and no error.
 */
import { nearest, SELF } from '../../core/policy/names.js';
import type { AgentRow, Mirror } from '../ports.js';

/** Among so many names the one that was meant is looked for. */
const KNOWN_MAX = 2_000;

type Source = Pick<Mirror, 'services' | 'interests' | 'policies' | 'policiesTo'>;

/** A sentence for each name that neither instances, agents nor policies have. */
export function strangers(
  { from, to }: { readonly from?: string | undefined; readonly to: string },
  mirror: Source,
  agents: readonly AgentRow[],
): string[] {
  const isService = (name: string) =>
    mirror.services().has(name) ||
    mirror.interests().has(name) ||
    agents.some(({ service }) => service === name);
  const isCallee = (name: string) =>
    name === SELF ||
    isService(name) ||
    mirror.policiesTo(name).length > 0 ||
    agents.some(({ callees }) => callees.includes(name)) ||
    [...mirror.interests().values()].some((callees) => callees.has(name));
  const isCaller = (name: string) =>
    isService(name) ||
    [...mirror.policiesTo(to), ...mirror.policiesTo('*')].some(({ policy }) => policy.match.from === name);
  const unknown = [
    ...(isCallee(to) ? [] : [{ name: to, what: 'calls it, registered as it, or has a policy for it' }]),
    ...(from === undefined || isCaller(from)
      ? []
      : [{ name: from, what: 'registered as it or has a policy from it' }]),
  ];
  if (unknown.length === 0) return [];
  const known = namesOf(mirror, agents);
  return unknown.map(({ name, what }) => {
    const meant = nearest(name, known);
    return `${name}: nobody ${what} yet${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  });
}

function namesOf(mirror: Source, agents: readonly AgentRow[]): string[] {
  const names = new Set<string>();
  for (const name of everyName(mirror, agents)) {
    if (name !== '*' && name !== SELF) names.add(name);
    if (names.size >= KNOWN_MAX) break;
  }
  return [...names];
}

function* everyName(mirror: Source, agents: readonly AgentRow[]): Iterable<string> {
  yield* mirror.services().keys();
  for (const [service, callees] of mirror.interests()) {
    yield service;
    yield* callees;
  }
  for (const { service, callees } of agents) {
    yield service;
    yield* callees;
  }
  for (const { policy } of mirror.policies()) yield policy.match.to;
}
