/**
 * A view as a compact text in the store, and back with suspicion. Its size doesn't grow with the agents: lists are bounded, names
 * are written once and pointed to. Whoever reads it may find another version's text, or anything: what isn't a view of ours is none,
 * and figures that can't be are cut to what can.
 *
 *   [1, names, [[ms, calls, failed, slow, agents, over, heavy, zones, endpoints] …], demand, blocked, suspects]
 *
 * with lists of heavy [agent, zone, calls, failed, slow …], groups [name, calls, failed, slow, agents, over …] and demand
 * [agent, zone, blocked …] without inner brackets; names as indexes.
 *
 * At most 12,000 bytes, of the 16 KiB that a store takes: a view with names so long that it would have more leaves out the last of
 * its endpoints, demand and zones.
 */
import {
  type Counts,
  DEMAND_MAX,
  ENDPOINTS_MAX,
  type Group,
  HEAVY_MAX,
  SPANS,
  type Span,
  type View,
  ZONES_MAX,
} from './model.js';
import { NAME_MAX, SUSPECTS_MAX } from './window.js';

const VERSION = 1;
const BODY_MAX_BYTES = 12_000;
/** Distinct names of a whole view. */
const NAMES_MAX = SPANS.length * (2 * HEAVY_MAX + ZONES_MAX + ENDPOINTS_MAX) + 2 * DEMAND_MAX + SUSPECTS_MAX;
/** How much of the long lists is kept, until it fits. */
const PARTS = [1, 1 / 2, 1 / 4, 1 / 8, 0];
/** An hour's window is the longest; the rest is room. */
const MS_MAX = 86_400_000;
const COUNT_MAX = 1e12;

export function encodeView(view: View): string {
  for (const part of PARTS) {
    const body = encoded(view, part);
    if (utf8Bytes(body) <= BODY_MAX_BYTES) return body;
  }
  // With nothing but the heavy ones still too long: without them one agent's weight would be unknown, so nothing is said.
  return JSON.stringify([
    VERSION,
    [],
    view.spans.map(({ ms }) => [ms, 0, 0, 0, 0, 0, [], [], []]),
    [],
    0,
    [],
  ]);
}

/** Undefined: it isn't one. Never throws. */
export function decodeView(body: string): View | undefined {
  if (body.length > BODY_MAX_BYTES) return undefined;
  try {
    return view(JSON.parse(body));
  } catch {
    return undefined;
  }
}

function encoded({ spans, demand, blocked, suspects }: View, part: number): string {
  const names = new Map<string, number>();
  const index = (name: string) => {
    const cut = name.slice(0, NAME_MAX);
    const known = names.get(cut) ?? names.size;
    names.set(cut, known);
    return known;
  };
  const kept = <T>(list: readonly T[], max: number) => list.slice(0, Math.floor(max * part));
  const counts = ({ calls, failed, slow }: Counts) => [calls, failed, slow];
  const group = (each: Group) => [...counts(each), each.agents, each.over];
  const lists = spans.map((span) => [
    span.ms,
    ...group(span),
    span.heavy.slice(0, HEAVY_MAX).flatMap((each) => [index(each.agent), index(each.zone), ...counts(each)]),
    kept(span.zones, ZONES_MAX).flatMap((each) => [index(each.name), ...group(each)]),
    kept(span.endpoints, ENDPOINTS_MAX).flatMap((each) => [index(each.name), ...group(each)]),
  ]);
  const wanted = kept(demand, DEMAND_MAX).flatMap((each) => [
    index(each.agent),
    index(each.zone),
    each.blocked,
  ]);
  const accused = kept(suspects, SUSPECTS_MAX).map(index);
  return JSON.stringify([VERSION, [...names.keys()], lists, wanted, blocked, accused]);
}

/** Thrown by what reads, caught by `decodeView`. */
class Unfit extends Error {}

function view(read: unknown): View {
  const [version, table, lists, wanted, blocked, accused] = list(read, 6, 6);
  if (version !== VERSION) throw new Unfit();
  const names = list(table, 0, NAMES_MAX).map(text);
  const name = (index: unknown) => names[whole(index)] ?? unfit();
  const spans = list(lists, SPANS.length, SPANS.length).map((each) => span(each, name));
  for (const [i, { ms }] of spans.entries()) if (i > 0 && ms <= (spans[i - 1]?.ms ?? 0)) throw new Unfit();
  return {
    spans,
    demand: rows(wanted, 3, DEMAND_MAX).map(([agent, zone, turnedAway]) => ({
      agent: name(agent),
      zone: name(zone),
      blocked: whole(turnedAway),
    })),
    blocked: whole(blocked),
    suspects: list(accused, 0, SUSPECTS_MAX).map(name),
  };
}

function span(read: unknown, name: (index: unknown) => string): Span {
  const [ms, calls, failed, slow, agents, over, heavy, zones, endpoints] = list(read, 9, 9);
  if (typeof ms !== 'number' || !(ms > 0 && ms <= MS_MAX)) throw new Unfit();
  const all = group([calls, failed, slow, agents, over]);
  const groups = (from: unknown, max: number) =>
    rows(from, 6, max).map(([which, ...figures]) => ({ name: name(which), ...group(figures, all) }));
  return {
    ms,
    ...all,
    heavy: rows(heavy, 5, HEAVY_MAX).map(([agent, zone, ...figures]) => ({
      agent: name(agent),
      zone: name(zone),
      ...counts(figures, all.calls),
    })),
    zones: groups(zones, ZONES_MAX),
    endpoints: groups(endpoints, ENDPOINTS_MAX),
  };
}

/** An agent has at least one call, and one that is over is one of them; a part is no more than the whole. */
function group([calls, failed, slow, ...rest]: readonly unknown[], most?: Group): Group {
  const sums = counts([calls, failed, slow], most?.calls ?? COUNT_MAX);
  const agents = Math.min(whole(rest[0]), sums.calls, most?.agents ?? COUNT_MAX);
  return { ...sums, agents, over: Math.min(whole(rest[1]), agents) };
}

function counts([read, failed, slow]: readonly unknown[], most: number): Counts {
  const calls = Math.min(whole(read), most);
  return { calls, failed: Math.min(whole(failed), calls), slow: Math.min(whole(slow), calls) };
}

function rows(read: unknown, width: number, max: number): unknown[][] {
  const flat = list(read, 0, width * max);
  if (flat.length % width !== 0) throw new Unfit();
  return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
}

function list(read: unknown, min: number, max: number): unknown[] {
  if (!Array.isArray(read) || read.length < min || read.length > max) throw new Unfit();
  return read;
}

function text(read: unknown): string {
  if (typeof read !== 'string' || read.length > NAME_MAX) throw new Unfit();
  return read;
}

function whole(read: unknown): number {
  if (!Number.isSafeInteger(read) || (read as number) < 0) throw new Unfit();
  return Math.min(read as number, COUNT_MAX);
}

function unfit(): never {
  throw new Unfit();
}

function utf8Bytes(body: string): number {
  let bytes = body.length;
  // Half of a pair counts as 3 of the 4 that the pair has: never too few.
  for (let i = 0; i < body.length; i++) {
    const unit = body.charCodeAt(i);
    if (unit > 0x7f) bytes += unit > 0x7ff ? 2 : 1;
  }
  return bytes;
}
