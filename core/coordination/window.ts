/**
 * What the agents of one replica say of one circuit over the last seconds. Time is cut in slices of an eighth of the window; the
 * present one has only begun, so a span of k slices is between k - 1 and k of them long, and nothing in it is older than it says.
 * Counts belong to the slice in which they ARRIVE: agents whose calls fail report at once and all others by the second, and spread
 * backwards over the time they speak of, the failures would stand alone in the present.
 *
 * A cell is one agent with one endpoint: a count for each slice, and three more once any call was bad, which most cells never see (some
 * 200 bytes without, with 10,000 agents the better part of this replica's memory for a circuit). A view adds them up anew; nothing else
 * runs over all cells, and what has left the window is dropped on the way.
 *
 * Bounds: 10,000 agents (what further ones say is not counted: ten thousand are sample enough), 50,000 cells, 64 of one agent
 * (further endpoints are counted as unknown), names of 256 characters, 1e9 calls in a slice of a cell.
 */
import type { CircuitSpec } from '../policy/model.js';
import {
  DEMAND_MAX,
  type Demand,
  ENDPOINTS_MAX,
  HEAVY_MAX,
  type Heard,
  type Heavy,
  SPANS,
  type Span,
  type View,
  ZONES_MAX,
} from './model.js';
import { faultOf } from './thresholds.js';
import { byBlocked, byCalls, byFailed, byWeight, first, insert } from './top.js';

/** Of a view's suspects. */
export const SUSPECTS_MAX = 8;
export const NAME_MAX = 256;
const AGENTS_MAX = 10_000;
const CELLS_MAX = 50_000;
const AGENT_CELLS_MAX = 64;
const COUNT_MAX = 1e9;
const SLICES = 8;
/** Calls, failed, slow, blocked. */
const FIELDS = 4;
/** Of those, what nearly no call is. */
const BAD_FIELDS = 3;
/** How many slices a span has. */
const lengths = SPANS.map((part) => Math.round(part * SLICES));
const WHOLE = lengths.length - 1;

interface Cell {
  readonly endpoint: string;
  /** Of each slice; slice number modulo SLICES. */
  readonly calls: number[];
  /** The same, BAD_FIELDS of each slice; undefined: none within the window. */
  bad: number[] | undefined;
  /** The newest slice that has a place in `calls`. */
  newest: number;
}

const noCells: readonly Cell[] = [];

interface Agent {
  readonly name: string;
  zone: string;
  cells: readonly Cell[];
  /** Since when it has been over while the others are not. */
  suspectSince: number | undefined;
}

interface Tally {
  calls: number;
  failed: number;
  slow: number;
  agents: number;
  over: number;
}

export class CircuitWindow {
  readonly #agents = new Map<string, Agent>();
  readonly #sliceMs: number;
  #cells = 0;
  #slice = 0;
  /** Of the latest report that said anything. */
  #heardSlice = Number.NEGATIVE_INFINITY;
  #sweptSlice = -1;
  /** The newest slice in which a call failed or was slow. */
  #badSlice = Number.NEGATIVE_INFINITY;
  /** Of one agent while a view is made: calls, failed, slow, blocked of each span. */
  readonly #sums = new Float64Array(lengths.length * FIELDS);

  constructor(readonly windowMs: number) {
    this.#sliceMs = windowMs / SLICES;
  }

  record(heard: Heard, now: number): void {
    const calls = count(heard.calls);
    const blocked = count(heard.blocked);
    this.#advance(now);
    if (calls === 0 && blocked === 0) return;
    const agent = this.#agent(heard.agent.slice(0, NAME_MAX));
    const cell = agent && this.#cell(agent, heard.endpoint.slice(0, NAME_MAX));
    if (!cell) return;
    agent.zone = heard.zone.slice(0, NAME_MAX);
    this.#heardSlice = this.#slice;
    expire(cell, this.#slice);
    const place = this.#slice % SLICES;
    const failed = Math.min(count(heard.failed), calls);
    const slow = Math.min(count(heard.slow), calls);
    if (failed > 0 || slow > 0) this.#badSlice = this.#slice;
    if (calls > 0) add(cell.calls, place, calls);
    if (failed === 0 && slow === 0 && blocked === 0) return;
    cell.bad ??= zeros(SLICES * BAD_FIELDS);
    const at = place * BAD_FIELDS;
    if (failed > 0) add(cell.bad, at, failed);
    if (slow > 0) add(cell.bad, at + 1, slow);
    if (blocked > 0) add(cell.bad, at + 2, blocked);
  }

  /** No call failed or was slow within the window: all there is to know of most circuits at most times. */
  isSpotless(now: number): boolean {
    this.#advance(now);
    return this.#slice - this.#badSlice >= SLICES;
  }

  /**
   * Spans of SPANS parts of the window, of what has arrived by `now`. Who is suspect is found by looking time and again: more
   * seldom than once in a window, it takes longer.
   */
  view(spec: CircuitSpec, now: number): View {
    this.#advance(now);
    const totals = lengths.map(() => tally());
    const heavy: Heavy[][] = lengths.map(() => []);
    const zones = new Map<string, Tally[]>();
    const endpoints = new Map<string, Tally[]>();
    const demand: Demand[] = [];
    const over: [Agent, Heavy][] = [];
    const sums = this.#sums;
    const counts = { calls: 0, failed: 0, slow: 0 };
    let blocked = 0;
    for (const agent of this.#agents.values()) {
      if (!this.#add(agent, spec, endpoints)) continue;
      const turnedAway = sums[WHOLE * FIELDS + 3] as number;
      blocked += turnedAway;
      const { name, zone } = agent;
      if (turnedAway > 0) insert(demand, { agent: name, zone, blocked: turnedAway }, byBlocked, DEMAND_MAX);
      const groups = zone === '' ? undefined : groupsOf(zones, zone);
      let isOver = false;
      for (let i = 0; i < lengths.length; i++) {
        const at = i * FIELDS;
        counts.calls = sums[at] as number;
        if (counts.calls === 0) continue;
        counts.failed = sums[at + 1] as number;
        counts.slow = sums[at + 2] as number;
        isOver = isBad(counts) && faultOf(spec, counts) !== undefined;
        tallied(totals[i], counts, isOver);
        tallied(groups?.[i], counts, isOver);
        const list = heavy[i] as Heavy[];
        // Of thousands only a few are among the heaviest.
        if (list.length === HEAVY_MAX && counts.calls < (list[HEAVY_MAX - 1] as Heavy).calls) continue;
        insert(list, { agent: name, zone, ...counts }, byWeight, HEAVY_MAX);
      }
      if (isOver) over.push([agent, { agent: name, zone, ...counts }]);
      else agent.suspectSince = undefined;
    }
    const spans = lengths.map(
      (length, i): Span => ({
        ms: length * this.#sliceMs,
        ...(totals[i] as Tally),
        heavy: heavy[i] as Heavy[],
        zones: first(named(zones, i), byCalls, ZONES_MAX),
        endpoints: first(named(endpoints, i), byFailed, ENDPOINTS_MAX),
      }),
    );
    return { spans, demand, blocked, suspects: this.#suspects(over, totals[WHOLE] as Tally, spec, now) };
  }

  /** Nothing that it has heard is within the window any more. */
  idle(now: number): boolean {
    this.#advance(now);
    return this.#agents.size === 0 || this.#slice - this.#heardSlice >= SLICES;
  }

  /** Its stream has ended: what it said goes with it, since it may say it again at another replica, and count twice. */
  left(agent: string): void {
    const found = this.#agents.get(agent.slice(0, NAME_MAX));
    if (found) this.#drop(found);
  }

  /** Adds up an agent's cells, each counted to its endpoint too; false: nothing is left of it. */
  #add(agent: Agent, spec: CircuitSpec, endpoints: Map<string, Tally[]>): boolean {
    const all = this.#sums.fill(0);
    const sum = { calls: 0, failed: 0, slow: 0 };
    let gone = 0;
    for (const cell of agent.cells) {
      expire(cell, this.#slice);
      const { endpoint, calls, bad } = cell;
      sum.calls = sum.failed = sum.slow = 0;
      let blocked = 0;
      let groups: Tally[] | undefined;
      let slices = 0;
      for (let i = 0; i < lengths.length; i++) {
        for (; slices < (lengths[i] as number); slices++) {
          const place = (this.#slice - slices + SLICES) % SLICES;
          sum.calls += calls[place] as number;
          if (bad === undefined) continue;
          const at = place * BAD_FIELDS;
          sum.failed += bad[at] as number;
          sum.slow += bad[at + 1] as number;
          blocked += bad[at + 2] as number;
        }
        const of = i * FIELDS;
        all[of] = (all[of] as number) + sum.calls;
        all[of + 1] = (all[of + 1] as number) + sum.failed;
        all[of + 2] = (all[of + 2] as number) + sum.slow;
        all[of + 3] = (all[of + 3] as number) + blocked;
        if (sum.calls === 0 || endpoint === '') continue;
        groups ??= groupsOf(endpoints, endpoint);
        tallied(groups[i], sum, isBad(sum) && faultOf(spec, sum) !== undefined);
      }
      if (sum.calls === 0 && blocked === 0) gone++;
    }
    if (gone === 0) return true;
    if (gone === agent.cells.length) {
      this.#drop(agent);
      return false;
    }
    agent.cells = agent.cells.filter(({ calls, bad = [] }) => [...calls, ...bad].some((each) => each > 0));
    this.#cells -= gone;
    return true;
  }

  #suspects(over: readonly [Agent, Heavy][], all: Tally, spec: CircuitSpec, now: number): string[] {
    const suspects: Heavy[] = [];
    for (const [agent, own] of over) {
      const others = {
        calls: all.calls - own.calls,
        failed: all.failed - own.failed,
        slow: all.slow - own.slow,
      };
      const alone = others.calls >= spec.minimumCalls && faultOf(spec, others) === undefined;
      agent.suspectSince = alone ? (agent.suspectSince ?? now) : undefined;
      if (agent.suspectSince !== undefined && now - agent.suspectSince >= this.windowMs)
        insert(suspects, own, byWeight, SUSPECTS_MAX);
    }
    return suspects.map(({ agent }) => agent);
  }

  #agent(name: string): Agent | undefined {
    const known = this.#agents.get(name);
    if (known) return known;
    if (this.#agents.size >= AGENTS_MAX) this.#sweep();
    if (this.#agents.size >= AGENTS_MAX) return undefined;
    const agent: Agent = { name, zone: '', cells: noCells, suspectSince: undefined };
    this.#agents.set(name, agent);
    return agent;
  }

  #cell(agent: Agent, endpoint: string): Cell | undefined {
    // Each report comes by here: no closure for it.
    for (const cell of agent.cells) if (cell.endpoint === endpoint) return cell;
    // One place is kept for what is counted as unknown.
    if (endpoint !== '' && agent.cells.length >= AGENT_CELLS_MAX - 1) return this.#cell(agent, '');
    if (this.#cells >= CELLS_MAX) this.#sweep();
    if (this.#cells >= CELLS_MAX) {
      if (agent.cells.length === 0) this.#agents.delete(agent.name);
      return undefined;
    }
    const cell: Cell = { endpoint, calls: zeros(SLICES), bad: undefined, newest: this.#slice };
    // A list that grows by `push` has room for 17.
    agent.cells = agent.cells.length === 0 ? [cell] : [...agent.cells, cell];
    this.#agents.set(agent.name, agent);
    this.#cells++;
    return cell;
  }

  /** What has left the window, once in a slice at most. */
  #sweep(): void {
    if (this.#sweptSlice === this.#slice) return;
    this.#sweptSlice = this.#slice;
    for (const agent of this.#agents.values()) {
      const kept = agent.cells.filter((cell) => this.#slice - cell.newest < SLICES);
      this.#cells -= agent.cells.length - kept.length;
      agent.cells = kept;
      if (kept.length === 0) this.#agents.delete(agent.name);
    }
  }

  #drop(agent: Agent): void {
    this.#cells -= agent.cells.length;
    this.#agents.delete(agent.name);
  }

  /** A clock that stands still or goes back changes nothing. */
  #advance(now: number): void {
    const slice = Math.floor(now / this.#sliceMs);
    if (slice > this.#slice) this.#slice = slice;
  }
}

/** By elapsed steps: an hour of idleness empties it at once. */
function expire(cell: Cell, slice: number): void {
  const steps = Math.min(slice - cell.newest, SLICES);
  if (steps <= 0) return;
  for (let i = 0; i < steps; i++) {
    const place = (slice - i) % SLICES;
    cell.calls[place] = 0;
    if (cell.bad === undefined) continue;
    const at = place * BAD_FIELDS;
    // A `fill` of so few costs more than it does.
    for (let field = 0; field < BAD_FIELDS; field++) cell.bad[at + field] = 0;
  }
  if (steps === SLICES) cell.bad = undefined;
  cell.newest = slice;
}

/** What has neither failures nor slow calls is over no rate: nearly all there is, and looked at most often. */
function isBad({ failed, slow }: Pick<Heavy, 'failed' | 'slow'>): boolean {
  return failed > 0 || slow > 0;
}

function tally(): Tally {
  return { calls: 0, failed: 0, slow: 0, agents: 0, over: 0 };
}

function groupsOf(groups: Map<string, Tally[]>, name: string): Tally[] {
  const known = groups.get(name);
  if (known) return known;
  const made = lengths.map(() => tally());
  groups.set(name, made);
  return made;
}

/** One agent more. */
function tallied(
  group: Tally | undefined,
  own: Pick<Heavy, 'calls' | 'failed' | 'slow'>,
  over: boolean,
): void {
  if (!group) return;
  group.calls += own.calls;
  group.failed += own.failed;
  group.slow += own.slow;
  group.agents++;
  if (over) group.over++;
}

function* named(groups: ReadonlyMap<string, readonly Tally[]>, span: number) {
  for (const [name, tallies] of groups) {
    const group = tallies[span];
    if (group && group.calls > 0) yield { name, ...group };
  }
}

/** Whatever was sent: a whole number that can be added up. */
function count(sent: number): number {
  return sent > 0 ? Math.min(Math.floor(sent), COUNT_MAX) : 0;
}

function zeros(length: number): number[] {
  return new Array<number>(length).fill(0);
}

function add(counts: number[], at: number, more: number): void {
  counts[at] = Math.min((counts[at] as number) + more, COUNT_MAX);
}
