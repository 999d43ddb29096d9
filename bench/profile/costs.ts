/**
 * A tree of frames as three lists: by function what it spent itself, by function with everything it called, and by owner. Shares are
 * percent of the tree, which is without idle time.
 */
import type { Frame, Owner } from './frames.js';

export interface Cost {
  readonly name: string;
  readonly place: string;
  readonly owner: Owner;
  readonly sharePercent: number;
}

export interface Costs {
  readonly self: readonly Cost[];
  /** A function that calls itself counts once for each stack. */
  readonly inclusive: readonly Cost[];
  /** By owner, self; `name` is the owner's. */
  readonly owners: readonly Cost[];
}

/** Each list whole, largest first. A tree without time has empty lists. */
export function costs(root: Frame): Costs {
  const self = new Map<string, Spent>();
  const inclusive = new Map<string, Spent>();
  const owners = new Map<string, Spent>();
  const open = new Set<string>();
  const visit = (frame: Frame): void => {
    const key = `${frame.name} ${frame.place}`;
    const outermost = !open.has(key);
    open.add(key);
    add(self, key, frame, frame.selfUs);
    if (outermost) add(inclusive, key, frame, frame.totalUs);
    add(owners, frame.owner, { name: frame.owner, place: '', owner: frame.owner }, frame.selfUs);
    for (const child of frame.children) visit(child);
    if (outermost) open.delete(key);
  };
  for (const child of root.children) visit(child);
  const list = (spent: ReadonlyMap<string, Spent>) => sorted(spent, root.totalUs);
  return { self: list(self), inclusive: list(inclusive), owners: list(owners) };
}

type Named = Pick<Frame, 'name' | 'place' | 'owner'>;
type Spent = { readonly named: Named; us: number };

function add(spent: Map<string, Spent>, key: string, { name, place, owner }: Named, us: number): void {
  const known = spent.get(key);
  if (known) known.us += us;
  else spent.set(key, { named: { name, place, owner }, us });
}

function sorted(spent: ReadonlyMap<string, Spent>, totalUs: number): Cost[] {
  return [...spent.values()]
    .filter(({ us }) => us > 0)
    .sort((a, b) => b.us - a.us)
    .map(({ named, us }) => ({ ...named, sharePercent: (us / totalUs) * 100 }));
}
