/**
 * Which streams of this replica are told to go elsewhere, and when: so that a replica that comes back, or is new, gets its share of
 * the agents. Two reasons: this replica has more than its fair share and the difference is clear, here or at the one with the fewest
 * (then the excess goes, the oldest first), or a stream is older than the connection age (then it goes as long as this replica
 * doesn't fall below its share by it, else a fleet would swing from one replica to the other and back). Both together at a bounded
 * pace. Pure: it holds no clock and no socket, and writes nothing.
 *
 * A stream that is told may come back to this very replica: behind one address for several workers every Nth does, and where agents
 * know no other address all do. So the excess goes in rounds: tell, wait until they have moved and been counted, look again.
 * A round after which there is as much to do as ever doubles the wait before the next, up to the connection age.
 */
import { formatDuration, parseDuration } from '../../core/policy/units.js';
import type { Random } from '../../core/random.js';

/** What Istio's control plane uses for its streams; a minute or two is for short calls behind a balancer. */
export const defaultConnectionAge = '30m';
const AGE_MIN_MS = 10_000;
const AGE_MAX_MS = 86_400_000;

/** What is right, in the words of a refusal. */
export const connectionAgeForm = `write 0 for never, or ${formatDuration(AGE_MIN_MS)} to ${formatDuration(AGE_MAX_MS)}, for example ${defaultConnectionAge}`;

/** `30m` → milliseconds; `0` → 0, never. Undefined: it is neither, or out of bounds. */
export function connectionAgeOf(text: string): number | undefined {
  const ms = text === '0' ? 0 : parseDuration(text);
  if (ms === undefined || (ms !== 0 && (ms < AGE_MIN_MS || ms > AGE_MAX_MS))) return undefined;
  return ms;
}

/** Each stream's age is its own: so much of it more or less. */
const JITTER = 0.1;
/** Streams told within a second, for whatever reason: 4 % of a core at the replica that takes them. */
export const toldPerSecondMax = 100;
/** Clearly more, or less, than a fair share: by a tenth, and more than two. */
const MARGIN = 0.1;
const MARGIN_MIN = 2;
/** How far below its share a replica lets itself fall by streams that are merely old and still on their way. */
const SLACK = 0.05;
/** An imbalance that is over by then, as while others restart or a fleet connects, is nobody's business. */
const SETTLE_MS = 10_000;
/** Who is told has moved by then, and every replica has counted it. */
const MOVE_MS = 5_000;
/** No stream is told sooner after it came: one that keeps coming back would look like two processes under one name. */
const STAY_MS = 20_000;
/** Who doesn't move is told again after so long. */
const AGAIN_MS = 60_000;
/** Of N workers behind one address one is short: then a round closes an Nth of the gap. Less than half of that is in vain. */
const PROGRESS = 0.5;

export interface AgeOptions<S> {
  /** Milliseconds; 0: nobody is ever told. */
  readonly ageMs: number;
  readonly random: Random;
  /** Whether this stream takes a message just now. */
  readonly ready: (stream: S) => boolean;
  /** Default 10 s. */
  readonly settleMs?: number | undefined;
  /** Default 20 s. */
  readonly stayMs?: number | undefined;
}

export type Why = 'age' | 'share';

export interface Round {
  /** Streams here, less those on their way. */
  readonly agents: number;
  /** Of each replica. */
  readonly fairShare: number;
  /** How many are told in the course of this round. */
  readonly telling: number;
}

export interface Turn<S> {
  readonly tell: readonly { readonly stream: S; readonly why: Why }[];
  /** A round begins with this turn. */
  readonly round?: Round;
}

interface Held {
  readonly openedAtMs: number;
  readonly dueAtMs: number;
  toldAtMs: number;
}

type Rebalancing =
  | { readonly kind: 'even' }
  | { readonly kind: 'uneven'; readonly sinceMs: number }
  | { readonly kind: 'telling'; readonly fairShare: number; left: number }
  | { readonly kind: 'moving'; readonly untilMs: number };

export class ConnectionAge<S extends object> {
  readonly #options: AgeOptions<S>;
  /** The oldest first. */
  readonly #held = new Map<S, Held>();
  #state: Rebalancing = { kind: 'even' };
  #pauseMs = MOVE_MS;
  /** The smallest gap to the one with the fewest that a round has set out with since all was even. */
  #least = Number.POSITIVE_INFINITY;
  #others = 0;

  constructor(options: AgeOptions<S>) {
    this.#options = options;
  }

  came(stream: S, now: number): void {
    const { ageMs, random } = this.#options;
    if (ageMs === 0) return;
    const dueAtMs = now + ageMs * (1 + JITTER * (2 * random.next() - 1));
    this.#held.set(stream, { openedAtMs: now, dueAtMs, toldAtMs: Number.NEGATIVE_INFINITY });
  }

  left(stream: S): void {
    this.#held.delete(stream);
  }

  /** To be asked once a second. `others`: how many agents each other replica has that takes any. */
  turn(now: number, others: readonly number[]): Turn<S> {
    if (this.#options.ageMs === 0 || others.length === 0) {
      this.#rest();
      return { tell: [] };
    }
    if (others.length !== this.#others) this.#rest();
    this.#others = others.length;
    const agents = this.#staying(now);
    const total = others.reduce((sum, count) => sum + count, this.#held.size);
    const fairShare = total / (others.length + 1);
    const round = this.#advance(now, agents, fairShare, Math.min(...others));
    const shed = this.#shed(now, agents);
    const old = this.#old(now, agents - shed.length, fairShare, toldPerSecondMax - shed.length);
    const tell = [
      ...shed.map((stream) => ({ stream, why: 'share' as const })),
      ...old.map((stream) => ({ stream, why: 'age' as const })),
    ];
    return round ? { tell, round } : { tell };
  }

  #rest(): void {
    this.#state = { kind: 'even' };
    this.#pauseMs = MOVE_MS;
    this.#least = Number.POSITIVE_INFINITY;
  }

  /** Without those that have been told and are on their way. */
  #staying(now: number): number {
    let staying = 0;
    for (const { toldAtMs } of this.#held.values()) if (now - toldAtMs >= MOVE_MS) staying++;
    return staying;
  }

  /** All transitions but the one at the end of telling. Answers the round that begins. */
  #advance(now: number, agents: number, fairShare: number, fewest: number): Round | undefined {
    const state = this.#state;
    const excess = agents - Math.ceil(fairShare);
    const difference = Math.max(agents - fairShare, fairShare - fewest);
    const clearly = excess > 0 && difference > Math.max(MARGIN_MIN, MARGIN * fairShare);
    if (state.kind === 'telling') return undefined;
    if (state.kind === 'moving' && now < state.untilMs) return undefined;
    if (!clearly) {
      this.#rest();
      return undefined;
    }
    if (state.kind === 'even') {
      this.#state = { kind: 'uneven', sinceMs: now };
      return undefined;
    }
    if (state.kind === 'uneven' && now - state.sinceMs < (this.#options.settleMs ?? SETTLE_MS))
      return undefined;
    // All of them have only just come: it begins as soon as one has not.
    if (this.#candidates(now, 0).next().done) return undefined;
    const gap = agents - fewest;
    const inVain = gap > this.#least * (1 - PROGRESS / (this.#others + 1));
    this.#pauseMs = inVain ? Math.min(this.#pauseMs * 2, this.#options.ageMs) : MOVE_MS;
    this.#least = Math.min(this.#least, gap);
    this.#state = { kind: 'telling', fairShare, left: excess };
    return { agents, fairShare, telling: excess };
  }

  /** The next of a round. What is told is bounded by what the round set out with, whatever comes back meanwhile. */
  #shed(now: number, agents: number): S[] {
    const state = this.#state;
    if (state.kind !== 'telling') return [];
    const over = Math.min(state.left, agents - Math.ceil(state.fairShare));
    const told = this.#take(now, Math.min(over, toldPerSecondMax), 0, () => true);
    state.left -= told.length;
    if (state.left <= 0 || told.length === 0 || over <= told.length)
      this.#state = { kind: 'moving', untilMs: now + this.#pauseMs };
    return told;
  }

  #old(now: number, agents: number, fairShare: number, most: number): S[] {
    const over = agents - Math.ceil(fairShare) + Math.floor(SLACK * fairShare);
    const agedMs = this.#options.ageMs * (1 - JITTER);
    return this.#take(now, Math.min(over, most), agedMs, ({ dueAtMs }) => dueAtMs <= now);
  }

  #take(now: number, count: number, agedMs: number, wanted: (held: Held) => boolean): S[] {
    const taken: S[] = [];
    if (count <= 0) return taken;
    for (const [stream, held] of this.#candidates(now, agedMs)) {
      if (!wanted(held)) continue;
      held.toldAtMs = now;
      taken.push(stream);
      if (taken.length >= count) break;
    }
    return taken;
  }

  /** Those here for so long at least, the oldest first. */
  *#candidates(now: number, agedMs: number): Generator<[S, Held], undefined> {
    const { ready, stayMs = STAY_MS } = this.#options;
    for (const [stream, held] of this.#held) {
      if (now - held.openedAtMs < Math.max(stayMs, agedMs)) return;
      if (now - held.toldAtMs >= AGAIN_MS && ready(stream)) yield [stream, held];
    }
  }
}
