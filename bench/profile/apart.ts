/**
 * The costs that a text names, set apart: each with what it called, without what another named one below it has, so that no moment
 * counts twice and they can be compared and added. And what is left, by the function that is to answer for it, so that a text can't
 * leave out a larger one.
 */
import type { Cost } from './costs.js';
import type { Frame, Owner } from './frames.js';

export interface Apart {
  /** By name as written in `named`; none where the profile has no such function. */
  readonly shares: ReadonlyMap<string, number>;
  /**
   * Of time under no named function, largest first: ours with all that they called; a package's without what ours did in them; Node's
   * without what a package or ours did in them, since calling back is not what those cost. The benchmark's own answer for nothing.
   */
  readonly unnamed: readonly Cost[];
}

/** `encode dist/proto/codec.js`: a function by its file, without the line. */
export function identityOf({ name, place }: { readonly name: string; readonly place: string }): string {
  return `${name} ${place.replace(/:\d+$/, '')}`;
}

/** Shares are percent of the tree. */
export function apart(root: Frame, named: readonly string[]): Apart {
  const names = new Set(named);
  const shares = new Map<string, number>();
  const unnamed = new Map<string, Cost & { sharePercent: number }>();
  const stack: Frame[] = [];
  const percentOf = (us: number) => (us / root.totalUs) * 100;
  const answer = (percent: number): void => {
    for (const frame of answering(stack)) {
      const { name, place, owner } = frame;
      const key = `${name} ${place}`;
      const known = unnamed.get(key) ?? { name, place, owner, sharePercent: 0 };
      known.sharePercent += percent;
      unnamed.set(key, known);
    }
  };
  const visit = (frame: Frame, above: string | undefined): void => {
    const identity = identityOf(frame);
    const under = names.has(identity) ? identity : above;
    stack.push(frame);
    const percent = percentOf(frame.selfUs);
    if (under !== undefined) shares.set(under, (shares.get(under) ?? 0) + percent);
    else if (percent > 0) answer(percent);
    for (const child of frame.children) visit(child, under);
    stack.pop();
  };
  for (const child of root.children) visit(child, undefined);
  return { shares, unnamed: [...unnamed.values()].sort((a, b) => b.sharePercent - a.sharePercent) };
}

/** Those on a stack that answer for what its last one spent, each function once. */
function answering(stack: readonly Frame[]): Frame[] {
  const found = new Map<string, Frame>();
  let least = 0;
  for (const frame of stack.toReversed()) {
    const rank = rankOf(frame.owner);
    if (rank === BENCHMARK) break;
    if (rank >= least) found.set(`${frame.name} ${frame.place}`, frame);
    least = Math.max(least, rank);
  }
  return [...found.values()];
}

const NODE = 0;
const PACKAGE = 1;
const OURS = 2;
const BENCHMARK = 3;

function rankOf(owner: Owner): number {
  if (owner === 'ours') return OURS;
  if (owner === 'benchmark') return BENCHMARK;
  return owner === 'node' || owner === 'node http2' || owner === 'gc' ? NODE : PACKAGE;
}
