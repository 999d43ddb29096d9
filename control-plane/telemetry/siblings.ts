/**
 * Figures of several workers behind one address as one answer to a scrape. A scrape reaches whichever worker has its turn; that one
 * asks the others, so that Prometheus sees all of them each time, each series with the replica that it is of.
 */

/** The other workers, as one of them knows them. */
export interface Siblings {
  /** What this worker says when another is asked. */
  answer(own: () => Promise<string>): void;
  /** What the others say, each as the text of a scrape; one that doesn't answer soon is left out. */
  scrapes(): Promise<readonly string[]>;
}

/**
 * One text of several: the format wants all samples of a name together, behind its help and type. Takes the texts that prom-client
 * writes; a name's help and type are those of the first text that has it.
 */
export function mergeScrapes(texts: readonly string[]): string {
  const families = new Map<string, { readonly head: readonly string[]; readonly samples: string[] }>();
  for (const text of texts)
    for (const block of text.split(/^(?=# HELP )/m)) {
      const lines = block.split('\n').filter((line) => line !== '');
      const [, name] = /^# HELP (\S+)/.exec(block) ?? [];
      if (name === undefined) continue;
      const head = lines.filter((line) => line.startsWith('#'));
      const samples = lines.filter((line) => !line.startsWith('#'));
      const known = families.get(name);
      if (known) known.samples.push(...samples);
      else families.set(name, { head, samples });
    }
  return [...families.values()]
    .map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`)
    .join('\n');
}
