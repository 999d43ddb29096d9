/**
 * Whether the figures of a run are within their bounds, as pure functions: a bound whose figure did not come is as much a failure as a
 * figure over its bound, and a run of a part, or of fewer rounds than medians need, is no run to judge by.
 */
export interface Figure {
  /** Key of `bounds.json`. */
  readonly name: string;
  readonly value: number;
}

/** The most that may be, by figure. */
export type Bounds = Readonly<Record<string, number>>;

/** Of the medians that are judged. */
export const ROUNDS_MIN = 5;

/** What the names of a benchmark's bounds begin with, where that isn't the benchmark's own name. */
const subjects: Readonly<Record<string, readonly string[]>> = {
  hot: ['guard', 'core', 'interceptor', 'circuit'],
};

/** The bounds for which `npm run bench:<benchmark>` has to bring a figure. */
export function boundsOf(benchmark: string, bounds: Bounds): Bounds {
  const own = subjects[benchmark] ?? [benchmark];
  const isOwn = (name: string) => own.some((subject) => name.startsWith(`${subject}: `));
  return Object.fromEntries(Object.entries(bounds).filter(([name]) => isOwn(name)));
}

/** What falls short, a line each; `bounds` are the benchmark's own. */
export function judge(figures: readonly Figure[], bounds: Bounds): string[] {
  const short: string[] = [];
  for (const { name, value } of figures) {
    const bound = bounds[name];
    if (bound === undefined) short.push(`${name}: no bound of this benchmark in bench/bounds.json`);
    else if (!Number.isFinite(value)) short.push(`${name}: ${value} is no figure; its bound is ${bound}`);
    else if (value > bound) short.push(`${name}: ${value.toFixed(3)} is over its bound ${bound}`);
  }
  const came = new Set(figures.map(({ name }) => name));
  for (const [name, bound] of Object.entries(bounds))
    if (!came.has(name)) short.push(`${name}: no figure came; its bound is ${bound}`);
  return short;
}

/** `--only=<part>`, or with a blank. */
export function isPart(flags: readonly string[]): boolean {
  return flags.some((flag) => flag === '--only' || flag.startsWith('--only='));
}

/** Why a run with these flags can't be judged; undefined if it can, or isn't to be. */
export function objection(flags: readonly string[], rounds = ROUNDS_MIN): string | undefined {
  if (!flags.includes('--check')) return undefined;
  if (isPart(flags))
    return '--check judges all bounds of a benchmark, and --only measures a part of them: leave one of the two out';
  if (!(rounds >= ROUNDS_MIN))
    return `--check judges medians of at least ${ROUNDS_MIN} rounds: leave --rounds out, or write --rounds=${ROUNDS_MIN} or more`;
  return undefined;
}
