/**
 * At most so many calls in flight, and so many more waiting in line. A slot that comes free passes directly to the head of
 * the line, in the same tick, so nobody who comes later can slip in between; whoever gives up leaves the line at once. The
 * more critical go first in the line, and under pressure the less critical are the first to be kept out (`shedding.ts`).
 *
 * The limit is a number, or finds itself (`adaptive.ts`); parts of it may be guaranteed (`shares.ts`). A plain bulkhead, with
 * a number, no shares and nobody in line, decides by one comparison, keeps nothing of a call and needs no time. The others
 * note in the permit what class and epoch a call began in. The note says too for which shape of the bulkhead that was: after
 * a live change, calls from before still hold their slots, but count in no class and give no sample.
 */
import { criticalities, DEFAULT_RANK } from '../criticality.js';
import type { BulkheadSpec } from '../policy/model.js';
import { type AdaptiveLimit, Aimd, Gradient2 } from './adaptive.js';
import { epochIn, FIRST_SHAPE, NO_NOTE, nextShape, noteOf, rankIn, shapeIn } from './call-note.js';
import { ADMITTED, type Gate, QUEUED, REFUSED, type Refusal, type Verdict, type Waiter } from './gate.js';
import type { Outcome } from './outcome.js';
import type { Permits } from './permits.js';
import { Shares } from './shares.js';
import { Shedding } from './shedding.js';
import { type Place, WaitingLine } from './waiting-line.js';

/** concurrency-limits' default for a client's AIMD. */
const TIMEOUT_MS = 5_000;
/** A failure that used up this part of its time was a timeout; timers and deadlines on the wire are no more exact. */
const TIMED_OUT = 0.95;

/** Of its refusals. */
const section = 'bulkhead';
/** Never admits by the short way. */
const NOBODY = -1;

export interface BulkheadOptions {
  readonly permits: Permits;
  /** Which adaptive limit `auto` means: a client's goes by losses, a server's by latency. */
  readonly side: 'client' | 'server';
  /** From when on a call counts as lost to a client's adaptive limit. */
  readonly timeoutMs?: number;
}

export class Bulkhead implements Gate {
  timeless = true;
  /** Only once the limit has been adaptive: a plan calls it for each call if it is there. */
  settle?: (row: number, outcome: Outcome, now: number) => void;
  readonly #options: BulkheadOptions | undefined;
  #spec: BulkheadSpec;
  #limit: number;
  #inUse = 0;
  readonly #line = new WaitingLine();
  readonly #shedding = new Shedding();
  #adaptive: AdaptiveLimit | undefined;
  #shares: Shares | undefined;
  #shape = FIRST_SHAPE;
  /** The limit while there is nothing else to heed, else NOBODY. */
  #openTo = NOBODY;
  /** Whether a call that ends has only its slot to give back. */
  #plain = true;
  #passing = false;

  /** Without `options` all calls are of one class, and neither an adaptive limit nor shares are possible. */
  constructor(spec: BulkheadSpec, options?: BulkheadOptions) {
    this.#options = options;
    this.#spec = spec;
    this.#limit = this.#reshape(spec);
    this.#look();
  }

  get inUse(): number {
    return this.#inUse;
  }

  get queued(): number {
    return this.#line.size;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Takes a slot if there is nothing else to heed; false says nothing yet: ask `admit`. */
  enter(): boolean {
    if (this.#inUse >= this.#openTo) return false;
    this.#inUse++;
    return true;
  }

  admit(row: number, now: number): Verdict {
    return this.enter() ? ADMITTED : this.#admitSlowly(row, now);
  }

  /** `note`: what the permit's note was while its row was still its own. */
  leave(now = Number.NaN, note = NO_NOTE): void {
    if (this.#plain) {
      this.#inUse--;
      return;
    }
    if (shapeIn(note) === this.#shape) this.#shares?.ended(rankIn(note));
    this.#inUse--;
    this.#passOn(now);
  }

  /** Joins the line; where that was full, the youngest of the least critical makes room. */
  enqueue(waiter: Waiter, row: number): void {
    const rank = this.#rankOf(row);
    const displaced = this.#line.size >= this.#spec.maxQueue ? this.#line.lastBelow(rank) : undefined;
    if (displaced) this.#line.remove(displaced);
    this.#line.join(waiter, rank, row);
    this.#look();
    displaced?.waiter.displaced();
  }

  forget(waiter: Waiter): boolean {
    const was = this.#line.forget(waiter);
    this.#look();
    return was;
  }

  refusal(now = Number.NaN): Refusal {
    // The decision may have been made without the time.
    this.#shedding.pass(now);
    const slots = `${this.#inUse} of ${this.#limit} calls in flight`;
    const line = `${this.#line.size} of ${this.#spec.maxQueue} waiting`;
    const rest = this.#inUse < this.#limit ? ', the rest kept for other criticalities,' : '';
    if (this.#adaptive) {
      const text = `${slots}${rest} and ${line}; the limit is what the callee bears at present, slow down`;
      return { code: 'overloaded', text, section };
    }
    const text = `${slots}${rest} and ${line}; slow down or raise maxConcurrent`;
    return { code: 'bulkhead_full', text, section };
  }

  /** Why a waiter was displaced. */
  displacedRefusal(): Refusal {
    const line = `${this.#line.size} of ${this.#spec.maxQueue} waiting`;
    return {
      code: 'overloaded',
      text: `a more critical call took its place in line, ${line}; slow down or raise maxQueue`,
      section,
    };
  }

  /** Shrinking lets running calls drain and turns new ones away at once; growing wakes the line in order. */
  reconfigure(spec: BulkheadSpec, now = Number.NaN): void {
    this.#limit = this.#reshape(spec);
    this.#spec = spec;
    this.#look();
    this.#passOn(now);
  }

  #admitSlowly(row: number, now: number): Verdict {
    const rank = this.#rankOf(row);
    const line = this.#line;
    if (this.#shedding.active) {
      this.#shedding.pass(now);
      this.#look();
    }
    this.#shares?.arrived(rank, now);
    // Parts fall idle and an adaptive limit grows without anybody leaving.
    if (line.size > 0) this.#passOn(now);
    if (this.#isShed(rank)) return this.#turnAway(rank, now);
    if (this.#hasRoom(rank, now) && !this.#isBehind(rank)) {
      this.#begin(row, rank);
      return ADMITTED;
    }
    const { maxQueue } = this.#spec;
    if (line.size < maxQueue) return QUEUED;
    return line.size === maxQueue && line.lastBelow(rank) ? QUEUED : this.#turnAway(rank, now);
  }

  /** There is a slot, but it is closed to the class, which has none of its own left either. */
  #isShed(rank: number): boolean {
    if (!this.#shedding.active || this.#inUse >= this.#limit || this.#shares?.isOwed(rank)) return false;
    return this.#inUse >= this.#limit - this.#shedding.closedTo(rank, this.#limit);
  }

  #hasRoom(rank: number, now: number): boolean {
    const free = this.#limit - this.#inUse;
    const shares = this.#shares;
    if (free <= 0 || !shares || shares.isOwed(rank)) return free > 0;
    return free > shares.keptFrom(rank, now, this.#line);
  }

  /** Whether somebody in line goes first. With shares, the less critical may wait for what isn't theirs. */
  #isBehind(rank: number): boolean {
    const first = this.#line.size > 0 ? this.#line.first() : undefined;
    if (!first) return false;
    return (
      !this.#shares ||
      this.#line.head(rank) !== undefined ||
      (first.rank < rank && !this.#shares.isOwed(rank))
    );
  }

  #turnAway(rank: number, now: number): Verdict {
    this.#shedding.turnedAway(rank, now);
    this.#look();
    return REFUSED;
  }

  #begin(row: number, rank: number): void {
    this.#inUse++;
    if (!this.#options) return;
    const { permits } = this.#options;
    if (this.#adaptive || this.#shares) {
      this.#shares?.began(rank);
      permits.setNote(row, noteOf(rank, this.#shape, this.#adaptive?.epoch ?? 0));
    } else {
      permits.setNote(row, NO_NOTE);
    }
  }

  /**
   * Gives free slots to the line. A waiter that was granted one may give it back before this returns (its circuit is open):
   * that is served by this same loop, so that a long line never becomes a deep stack.
   */
  #passOn(now: number): void {
    if (this.#passing || this.#line.size === 0) return;
    this.#passing = true;
    try {
      for (let next = this.#next(now); next; next = this.#next(now)) {
        this.#line.remove(next);
        this.#begin(next.row, next.rank);
        next.waiter.granted();
      }
    } finally {
      this.#passing = false;
      this.#look();
    }
  }

  /** Who in line is to have a slot: of the most critical class that may, who came first. */
  #next(now: number): Place | undefined {
    if (this.#inUse >= this.#limit) return undefined;
    if (!this.#shares) return this.#line.first();
    for (let rank = 0; rank < criticalities.length; rank++) {
      const head = this.#line.head(rank);
      if (head && this.#hasRoom(rank, now)) return head;
    }
    return undefined;
  }

  /** A success tells how long it took; a failure only if it was its time that ran out. */
  #sample(row: number, outcome: Outcome, now: number): void {
    const adaptive = this.#adaptive;
    const permits = this.#options?.permits;
    if (!adaptive || !permits || outcome === 'neutral') return;
    const note = permits.note(row);
    if (shapeIn(note) !== this.#shape) return;
    const start = permits.starts[row] as number;
    const dropped = outcome === 'failure';
    if (dropped && !(now - start >= TIMED_OUT * ((permits.deadlines[row] as number) - start))) return;
    adaptive.sample(epochIn(note), now - start, this.#inUse, dropped, now);
    this.#resize(Math.floor(adaptive.limit));
  }

  #resize(limit: number): void {
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#shares?.resize(limit);
  }

  /** Takes on the kind of limit that `spec` asks for, keeping what stays, and answers the limit. */
  #reshape({ maxConcurrent, shares }: BulkheadSpec): number {
    const { permits, side, timeoutMs = TIMEOUT_MS } = this.#options ?? {};
    const auto = maxConcurrent === 'auto';
    if (!permits && (auto || shares))
      throw new RangeError('Bulkhead: an adaptive limit and shares need the permits');
    if (auto !== (this.#adaptive !== undefined) || (shares !== undefined) !== (this.#shares !== undefined)) {
      this.#shape = nextShape(this.#shape);
    }
    if (!auto) this.#adaptive = undefined;
    else this.#adaptive ??= side === 'server' ? new Gradient2() : new Aimd(timeoutMs);
    if (this.#adaptive) this.settle ??= (row, outcome, now) => this.#sample(row, outcome, now);
    const limit = auto ? Math.floor(this.#adaptive?.limit ?? 0) : maxConcurrent;
    if (!shares) this.#shares = undefined;
    else if (this.#shares) this.#shares.reconfigure(shares, limit);
    else this.#shares = new Shares(shares, limit);
    return limit;
  }

  /** After anything that the short ways through depend on. */
  #look(): void {
    const simple = !this.#adaptive && !this.#shares;
    this.timeless = simple && !this.#shedding.active;
    this.#plain = simple && this.#line.size === 0;
    this.#openTo = this.timeless && this.#plain ? this.#limit : NOBODY;
  }

  #rankOf(row: number): number {
    return this.#options?.permits.rank(row) ?? DEFAULT_RANK;
  }
}
