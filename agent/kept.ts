/**
 * Parts of one kind, by identity, each with the settings it has: asked for again under other settings it takes them and keeps its
 * state. Settings are compared by identity, not by revision: after the data were replaced the same number may mean another
 * document. Bounded by whoever retains: what nobody uses any more is dropped there.
 */
export class Kept<P> {
  readonly #parts = new Map<string, { readonly part: P; settings: unknown }>();

  get(id: string, settings: unknown, make: () => P, reconfigure?: (part: P) => void): P {
    const known = this.#parts.get(id);
    if (!known) {
      const part = make();
      this.#parts.set(id, { part, settings });
      return part;
    }
    if (known.settings !== settings) reconfigure?.(known.part);
    known.settings = settings;
    return known.part;
  }

  find(id: string): P | undefined {
    return this.#parts.get(id)?.part;
  }

  entries(): IterableIterator<[string, { readonly part: P }]> {
    return this.#parts.entries();
  }

  retain(used: ReadonlySet<string>): void {
    for (const id of this.#parts.keys()) if (!used.has(id)) this.#parts.delete(id);
  }
}
