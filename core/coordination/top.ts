/**
 * The first few of many, in an order that is the same at every replica: by figures, and where they are the same by name.
 */
import type { Demand, Heavy, NamedGroup } from './model.js';

type Order<T> = (a: T, b: T) => number;

export const byCalls: Order<NamedGroup> = (a, b) => b.calls - a.calls || byText(a.name, b.name);
export const byFailed: Order<NamedGroup> = (a, b) => b.failed - a.failed || byCalls(a, b);
export const byWeight: Order<Heavy> = (a, b) => b.calls - a.calls || byText(a.agent, b.agent);
export const byBlocked: Order<Demand> = (a, b) => b.blocked - a.blocked || byText(a.agent, b.agent);

/** Keeps `list` in order and at most `max` long. For lists of a few. */
export function insert<T>(list: T[], item: T, order: Order<T>, max: number): void {
  if (list.length === max && order(item, list[max - 1] as T) >= 0) return;
  let at = list.length;
  while (at > 0 && order(item, list[at - 1] as T) < 0) at--;
  list.splice(at, 0, item);
  if (list.length > max) list.pop();
}

export function first<T>(all: Iterable<T>, order: Order<T>, max: number): T[] {
  return [...all].sort(order).slice(0, max);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
