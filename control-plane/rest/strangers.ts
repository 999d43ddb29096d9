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
  known: Known,
): string[] {
  const unknown = [
    ...(known.isCallee(to) ? [] : [{ name: to, what: 'calls it, registered as it, or has a policy for it' }]),
    ...(from === undefined || known.isCaller(from, to)
      ? []
      : [{ name: from, what: 'registered as it or has a policy from it' }]),
  ];
  return unknown.map(({ name, what }) => {
    const meant = nearest(name, known.names);
    return `${name}: nobody ${what} yet${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  });
}

/** Whoever is known: for one answer, in which many may be asked for. Ten thousand agents are gone through once, and if need be. */
export class Known {
  readonly #mirror: Source;
  readonly #agents: readonly AgentRow[];
  #ofAgents: { readonly services: ReadonlySet<string>; readonly callees: ReadonlySet<string> } | undefined;
  #names: readonly string[] | undefined;

  constructor(mirror: Source, agents: readonly AgentRow[]) {
    this.#mirror = mirror;
    this.#agents = agents;
  }

  isCallee(name: string): boolean {
    return (
      name === SELF ||
      this.#isService(name) ||
      this.#mirror.policiesTo(name).length > 0 ||
      this.#connected.callees.has(name) ||
      [...this.#mirror.interests().values()].some((callees) => callees.has(name))
    );
  }

  isCaller(name: string, to: string): boolean {
    const about = [...this.#mirror.policiesTo(to), ...this.#mirror.policiesTo('*')];
    return this.#isService(name) || about.some(({ policy }) => policy.match.from === name);
  }

  /** Up to KNOWN_MAX. */
  get names(): readonly string[] {
    this.#names ??= namesOf(this.#mirror, this.#connected);
    return this.#names;
  }

  #isService(name: string): boolean {
    const { services } = this.#connected;
    return this.#mirror.services().has(name) || this.#mirror.interests().has(name) || services.has(name);
  }

  get #connected() {
    this.#ofAgents ??= {
      services: new Set(this.#agents.map(({ service }) => service)),
      callees: new Set(this.#agents.flatMap(({ callees }) => callees)),
    };
    return this.#ofAgents;
  }
}

type Connected = { readonly services: Iterable<string>; readonly callees: Iterable<string> };

function namesOf(mirror: Source, connected: Connected): string[] {
  const names = new Set<string>();
  for (const name of everyName(mirror, connected)) {
    if (name !== '*' && name !== SELF) names.add(name);
    if (names.size >= KNOWN_MAX) break;
  }
  return [...names];
}

function* everyName(mirror: Source, { services, callees }: Connected): Iterable<string> {
  yield* mirror.services().keys();
  for (const [service, interests] of mirror.interests()) {
    yield service;
    yield* interests;
  }
  yield* services;
  yield* callees;
  for (const { policy } of mirror.policies()) yield policy.match.to;
}
