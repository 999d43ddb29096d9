/**
 * The policies of one target, folded into one object that admits an attempt and hears what came of it. The order is that of
 * `docs/policies.md`, from the outside in:
 *
 *     fallback( deadline( retry/hedge( rateLimit( bulkhead( circuit( attemptTimeout( call )))))))
 *
 * What admits (rate limit, bulkhead, circuit) is a list of gates here, in this order, so that the circuit's permit is taken
 * last and no other stage can lose it. What surrounds attempts (fallback, deadline, retry) is the agent's: it asks a plan once
 * for each attempt. A gate that is added to the list needs no change here or in the other gates.
 *
 * Closed and uncontended, admitting and finishing a call allocates nothing.
 */
import { DEFAULT_RANK } from '../criticality.js';
import { Bulkhead } from './bulkhead.js';
import { Circuit } from './circuit.js';
import { ADMITTED, type Gate, QUEUED, type Refusal, type Verdict, type Waiter } from './gate.js';
import type { Outcome } from './outcome.js';
import { layout, NONE, type Permits } from './permits.js';

/** Answers of `admit` that are no handle. */
export const TURNED_AWAY = -1;
export const WAITING = -2;

/** In place of the number of gates an attempt has passed: it has passed all, and its outcome is known. */
const SETTLED = -1;
// Constants of this module: what is imported is read from memory each time (`permits.ts`).
const PASS = ADMITTED;
const NO_PERMIT = NONE;
const { ROW_MASK, NEXT_GENERATION, HANDLE_MASK, EPOCH, NEXT_FREE, RANK, HELD, NOTE, SLOT_SHIFT } = layout;
/** Gates of a plan that has a bulkhead and a circuit, and nothing else. */
const PAIR = 2;

type Settling = Gate & Required<Pick<Gate, 'settle'>>;
type Leaving = Gate & Required<Pick<Gate, 'leave'>>;

const OVERLOADED: Refusal = {
  code: 'overloaded',
  text: 'too many calls are under way in this process; slow down',
};

export class Plan {
  readonly #gates: readonly Gate[];
  /** All but the two that follow. */
  readonly #outer: readonly Gate[];
  /**
   * The innermost two, where they are a bulkhead with a fixed limit and a circuit: nearly every plan has them, and a call whose
   * receiver is known is inlined, which a call through the interface never is (and it would put `now` on the heap each time).
   */
  readonly #bulkhead: Bulkhead | undefined;
  readonly #circuit: Circuit | undefined;
  /** The bulkhead, where it and a circuit are all there is. */
  readonly #paired: Bulkhead | undefined;
  /** Of the outer gates, those that want to hear the outcome, and those that hold something to the end; innermost first. */
  readonly #settling: readonly Settling[];
  readonly #leaving: readonly Leaving[];
  readonly #permits: Permits;
  /** Gate that turned the last attempt away, or in whose line it has to wait; undefined: out of permits. */
  #refusing: Gate | undefined;
  #waiting = NONE;

  /** `gates`, outermost first. */
  constructor(gates: readonly Gate[], permits: Permits) {
    this.#gates = gates;
    this.#permits = permits;
    const outer = [...gates];
    const circuit = outer.at(-1);
    this.#circuit = circuit instanceof Circuit ? circuit : undefined;
    if (this.#circuit) outer.pop();
    const bulkhead = outer.at(-1);
    this.#bulkhead = bulkhead instanceof Bulkhead && !hears(bulkhead) ? bulkhead : undefined;
    if (this.#bulkhead) outer.pop();
    this.#outer = outer;
    this.#paired = this.#circuit !== undefined && outer.length === 0 ? this.#bulkhead : undefined;
    const outwards = [...outer].reverse();
    this.#settling = outwards.filter((gate): gate is Settling => gate.settle !== undefined);
    this.#leaving = outwards.filter((gate): gate is Leaving => gate.leave !== undefined);
  }

  /** Whether `admit` can do without the time at present: it may be given NaN then, and saves a reading of the clock. */
  get timeless(): boolean {
    if (this.#circuit !== undefined && !this.#circuit.timeless) return false;
    if (this.#bulkhead !== undefined && !this.#bulkhead.timeless) return false;
    const outer = this.#outer;
    for (let i = 0; i < outer.length; i++) if (!(outer[i] as Gate).timeless) return false;
    return true;
  }

  /** Whether its circuit is probing. */
  halfOpen(now: number): boolean {
    return this.#circuit !== undefined && this.#circuit.state(now) === 'half-open';
  }

  /** How far behind a clock may be for what this plan counts, milliseconds; 0: not at all. */
  get grainMs(): number {
    if (this.#settling.length > 0) return 0;
    return this.#circuit === undefined ? Number.POSITIVE_INFINITY : this.#circuit.grainMs;
  }

  /**
   * A handle for `finish` if the attempt may start. TURNED_AWAY: ask `refusal` why, now. WAITING: hand a waiter to `wait`, now;
   * when it is granted, `resume`. What it comes to for a bulkhead with a free slot and a circuit that lets calls through is written out
   * here and in `finish`, as `Circuit.tryAcquire` does: the parts one by one cost twice as much.
   */
  admit(now: number, deadlineAt: number, rank: number = DEFAULT_RANK): number {
    const permits = this.#permits;
    const handle = permits.free;
    const bulkhead = this.#paired;
    if (bulkhead === undefined || handle < 0) return this.#admitFully(now, deadlineAt, rank);
    const epoch = (this.#circuit as Circuit).swift;
    if (epoch < 0 || !bulkhead.enter()) return this.#admitFully(now, deadlineAt, rank);
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    permits.free = slots[slot + NEXT_FREE] as number;
    slots[slot + EPOCH] = epoch;
    slots[slot + RANK] = rank;
    slots[slot + HELD] = PAIR;
    slots[slot + NOTE] = 0;
    permits.starts[row] = now;
    permits.deadlines[row] = deadlineAt;
    return handle;
  }

  #admitFully(now: number, deadlineAt: number, rank: number): number {
    const permits = this.#permits;
    const handle = permits.take(now, deadlineAt, rank);
    if (handle === NO_PERMIT) return this.#outOfPermits();
    const row = permits.row(handle);
    const outer = this.#outer;
    let passed = 0;
    for (; passed < outer.length; passed++) {
      const verdict = (outer[passed] as Gate).admit(row, now);
      if (verdict !== PASS) return this.#stop(handle, row, passed, verdict, now);
    }
    const bulkhead = this.#bulkhead;
    if (bulkhead !== undefined) {
      const verdict = bulkhead.admit(row, now);
      if (verdict !== PASS) return this.#stop(handle, row, passed, verdict, now);
      passed++;
    }
    const circuit = this.#circuit;
    if (circuit !== undefined) {
      const verdict = circuit.admit(row, now);
      if (verdict !== PASS) return this.#stop(handle, row, passed, verdict, now);
      passed++;
    }
    permits.setHeld(row, passed);
    return handle;
  }

  /**
   * Handle of the attempt that `admit` or `resume` has just told to wait. To be noted before `wait`: whoever has to make room there may
   * free the place that it gets. One that is not to wait after all gives it to `displaced`.
   */
  get waiting(): number {
    return this.#waiting;
  }

  /** Joins the line in which `admit` left it. Answers the handle that `resume` and `abandon` need. */
  wait(waiter: Waiter): number {
    const handle = this.#waiting;
    this.#waiting = NONE;
    this.#refusing?.enqueue?.(waiter, this.#permits.row(handle));
    return handle;
  }

  /** After the grant: the gates that remain. A handle or TURNED_AWAY (or WAITING, in the next line). */
  resume(handle: number, now: number, deadlineAt: number): number {
    const permits = this.#permits;
    const row = permits.row(handle);
    if (row === NONE) return TURNED_AWAY;
    permits.starts[row] = now;
    permits.deadlines[row] = deadlineAt;
    const gates = this.#gates;
    for (let i = permits.held(row) + 1; i < gates.length; i++) {
      const verdict = (gates[i] as Gate).admit(row, now);
      if (verdict !== ADMITTED) return this.#stop(handle, row, i, verdict, now);
    }
    permits.setHeld(row, gates.length);
    return handle;
  }

  /** Leaves the line before a grant: in the same tick, nothing held. A handle whose waiter was granted is not affected. */
  abandon(handle: number, waiter: Waiter, now: number): boolean {
    const row = this.#permits.row(handle);
    if (row === NONE) return false;
    const gate = this.#gates[this.#permits.held(row)];
    if (!gate?.forget?.(waiter)) return false;
    this.#giveBack(row, this.#permits.held(row), now);
    return true;
  }

  /** A waiter that was displaced from the line gives back what it holds. */
  displaced(handle: number, now: number): void {
    const row = this.#permits.row(handle);
    if (row !== NONE) this.#giveBack(row, this.#permits.held(row), now);
  }

  /** What the attempt came to, if that is known before it is over (a stream's first message). Only the first counts. */
  settle(handle: number, outcome: Outcome, now: number): void {
    const row = this.#permits.row(handle);
    if (row === NONE || this.#permits.held(row) !== this.#gates.length) return;
    this.#permits.setHeld(row, SETTLED);
    this.#circuit?.settle(row, outcome, now);
    for (const gate of this.#settling) gate.settle(row, outcome, now);
  }

  /** The attempt is over: settles it, unless that was done, and gives back all it held. A second time does nothing. */
  finish(handle: number, outcome: Outcome, now: number): void {
    const permits = this.#permits;
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    if (slots[slot] !== handle) return;
    const bulkhead = this.#paired;
    if (
      bulkhead !== undefined &&
      outcome === 'success' &&
      slots[slot + EPOCH] === (this.#circuit as Circuit).swift &&
      slots[slot + HELD] === PAIR
    ) {
      const next = (handle + NEXT_GENERATION) & HANDLE_MASK;
      slots[slot] = next;
      (this.#circuit as Circuit).succeed(now);
      const note = slots[slot + NOTE] as number;
      slots[slot + NEXT_FREE] = permits.free;
      permits.free = next;
      bulkhead.leave(now, note);
      return;
    }
    this.#finishFully(row, outcome, now);
  }

  #finishFully(row: number, outcome: Outcome, now: number): void {
    const permits = this.#permits;
    // Whom the outcome makes act (a listener, the next in line) can't end this one again.
    permits.end(row);
    if (permits.held(row) !== SETTLED) {
      if (this.#circuit !== undefined) this.#circuit.settle(row, outcome, now);
      const settling = this.#settling;
      for (let i = 0; i < settling.length; i++) (settling[i] as Settling).settle(row, outcome, now);
    }
    // The row is free before slots are passed on, since that may start the next call.
    const note = permits.note(row);
    permits.giveBack(row);
    if (this.#bulkhead !== undefined) this.#bulkhead.leave(now, note);
    const leaving = this.#leaving;
    for (let i = 0; i < leaving.length; i++) (leaving[i] as Leaving).leave(now, note);
  }

  /** When the attempt was admitted, on the clock of `admit`; NaN for a handle that has ended. */
  startedAt(handle: number): number {
    const row = this.#permits.row(handle);
    return row === NONE ? Number.NaN : (this.#permits.starts[row] as number);
  }

  /** Why the last attempt was turned away. To be read at once. */
  refusal(now: number): Refusal {
    return this.#refusing?.refusal(now) ?? OVERLOADED;
  }

  #outOfPermits(): number {
    this.#refusing = undefined;
    return TURNED_AWAY;
  }

  /** Gate `i` did not let the attempt through: it waits there, or gives back what it holds of the gates before. */
  #stop(handle: number, row: number, i: number, verdict: Verdict, now: number): number {
    const gate = this.#gates[i];
    if (verdict === QUEUED) {
      this.#permits.setHeld(row, i);
      this.#waiting = handle;
      this.#refusing = gate;
      return WAITING;
    }
    this.#giveBack(row, i, now);
    // Giving back may have let others in, or turned them away.
    this.#refusing = gate;
    return TURNED_AWAY;
  }

  /** Undoes the first `count` gates for an attempt that never starts. */
  #giveBack(row: number, count: number, now: number): void {
    const gates = this.#gates;
    this.#permits.end(row);
    for (let i = count - 1; i >= 0; i--) {
      gates[i]?.settle?.(row, 'neutral', now);
      gates[i]?.undo?.(row, now);
    }
    const note = this.#permits.note(row);
    this.#permits.giveBack(row);
    for (let i = count - 1; i >= 0; i--) gates[i]?.leave?.(now, note);
  }
}

/** An adaptive one does. */
function hears(gate: Gate): boolean {
  return gate.settle !== undefined;
}
