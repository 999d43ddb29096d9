/**
 * How the control plane divides a cluster-wide rate among agents for one interval: whole tokens, together never more than the
 * limit, the same for the same input. Every agent is sure of an even part of the limit if it asks for it, so that one whose
 * callers retry in a storm can't take it from the rest; what the modest leave over goes to the others in proportion to what
 * they still lack, and what nobody asked for is spread evenly, so that a new caller finds something.
 */

/**
 * Tokens for each agent of `demands` (calls it was asked for in the last interval). While there are fewer tokens than agents,
 * or parts that don't come out even, some get one more than others; `turn` says with whom that begins, in the order of
 * their names: count it up each interval and everybody has its turn.
 */
export function splitGrants(
  limitPerInterval: number,
  demands: ReadonlyMap<string, number>,
  turn = 0,
): Map<string, number> {
  const names = [...demands.keys()].sort();
  const count = names.length;
  const limit = Number.isFinite(limitPerInterval) ? Math.max(0, Math.floor(limitPerInterval)) : 0;
  if (count === 0) return new Map();
  const first = ((Math.floor(turn) % count) + count) % count;
  const agents = [...names.slice(first), ...names.slice(0, first)];

  const enough = limit >= count;
  const wanted = agents.map((agent) => wish(demands.get(agent), enough ? 1 : 0, enough ? limit : 1));
  const even = Math.floor(limit / count);
  const given = wanted.map((want) => Math.min(want, even));
  const lacking = wanted.map((want, i) => want - (given[i] as number));
  const left = limit - sum(given);
  const spare = left - sum(lacking);
  const more =
    spare < 0 ? inProportion(left, lacking) : lacking.map((lack, i) => lack + evenly(spare, count, i));
  return new Map(agents.map((agent, i) => [agent, (given[i] as number) + (more[i] as number)]));
}

/** Who asks for more than there is asks for all there is; nobody asks for less than the one that new demand begins with. */
function wish(demand: number | undefined, atLeast: number, atMost: number): number {
  const asked = demand === undefined || Number.isNaN(demand) ? 0 : Math.ceil(demand);
  return Math.min(atMost, Math.max(atLeast, asked));
}

/** The largest-remainder method, exactly; equal remainders in the order given. */
function inProportion(total: number, weights: readonly number[]): number[] {
  const all = BigInt(sum(weights));
  const products = weights.map((weight) => BigInt(total) * BigInt(weight));
  const parts = products.map((product) => Number(product / all));
  const remainders = products.map((product) => product % all);
  const order = weights.map((_, i) => i).sort((a, b) => descending(remainders[a], remainders[b]) || a - b);
  for (const i of order.slice(0, total - sum(parts))) parts[i] = (parts[i] as number) + 1;
  return parts;
}

function descending(a = 0n, b = 0n): number {
  return a === b ? 0 : a > b ? -1 : 1;
}

/** The part of the `i`-th of `count`. */
function evenly(total: number, count: number, i: number): number {
  return Math.floor(total / count) + (i < total % count ? 1 : 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
