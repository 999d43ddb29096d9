/**
 * Faults of what the application hands in: all of an input at once, each with its place and what would be right. An option that
 * nobody knows is a fault, since it is one that is misspelt.
 */
import { type Issue, MeshError } from '../core/errors.js';
import { nearest } from '../core/policy/names.js';

export class Faults {
  readonly #issues: Issue[] = [];

  add(path: string, message: string): void {
    this.#issues.push({ path, message });
  }

  /** Of each option that is none. */
  unknown(given: object, names: readonly string[], prefix = ''): void {
    for (const name of Object.keys(given)) {
      if (names.includes(name)) continue;
      const meant = nearest(name, names);
      const hint = meant === undefined ? `known are ${names.join(', ')}` : `did you mean ${meant}?`;
      this.add(`${prefix}${name.slice(0, 100)}`, `is no option; ${hint}`);
    }
  }

  /** Throws `invalid_configuration` with all there are, if there are any. */
  finish(who = ''): void {
    if (this.#issues.length === 0) return;
    const text = this.#issues.map(({ path, message }) => `${path} ${message}`).join('; ');
    throw new MeshError('invalid_configuration', who + text, { issues: this.#issues });
  }
}

/** What was given, as a message may show it. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 200)}"` : `of type ${typeof value}`;
}
