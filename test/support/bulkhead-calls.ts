/**
 * Calls with names and ranks through one bulkhead, in the order in which a plan goes about it: admit, settle, free the row,
 * leave with the note that was in it.
 */
import { criticalities } from '../../core/criticality.js';
import type { BulkheadSpec } from '../../core/policy/model.js';
import { Bulkhead, type BulkheadOptions } from '../../core/resilience/bulkhead.js';
import { ADMITTED, REFUSED, type Waiter } from '../../core/resilience/gate.js';
import type { Outcome } from '../../core/resilience/outcome.js';
import { Permits } from '../../core/resilience/permits.js';

interface Call {
  readonly handle: number;
  readonly rank: number;
  waiter?: Waiter;
}

export class BulkheadCalls {
  readonly permits = new Permits(2);
  readonly bulkhead: Bulkhead;
  readonly running = new Map<string, Call>();
  readonly waiting = new Map<string, Call>();
  /** What happened to whom, in order: `a runs`, `b displaced`. */
  readonly log: string[] = [];
  now = 0;
  deadlineMs = 1_000;
  onRun: (name: string) => void = () => undefined;

  constructor(spec: BulkheadSpec, side: BulkheadOptions['side'] = 'client') {
    this.bulkhead = new Bulkhead(spec, { permits: this.permits, side });
  }

  /** As with a plan, time is read only if the gate asks for it. */
  enter(
    name: string,
    criticality: (typeof criticalities)[number] = 'critical',
  ): 'runs' | 'waits' | 'refused' {
    const { permits, bulkhead } = this;
    const rank = criticalities.indexOf(criticality);
    const now = bulkhead.timeless ? Number.NaN : this.now;
    const handle = permits.take(now, this.now + this.deadlineMs, rank);
    const row = permits.row(handle);
    permits.setNote(row, 0);
    const verdict = bulkhead.admit(row, now);
    if (verdict === REFUSED) {
      permits.end(row);
      permits.giveBack(row);
      return 'refused';
    }
    if (verdict === ADMITTED) {
      this.#run(name, { handle, rank });
      return 'runs';
    }
    this.#queue(name, { handle, rank });
    return 'waits';
  }

  leave(name: string, outcome: Outcome = 'success'): void {
    const call = this.running.get(name);
    if (!call) return;
    this.running.delete(name);
    const { permits, bulkhead } = this;
    const row = permits.row(call.handle);
    permits.end(row);
    bulkhead.settle?.(row, outcome, this.now);
    const note = permits.note(row);
    permits.giveBack(row);
    bulkhead.leave(this.now, note);
  }

  abandon(name: string): boolean {
    const call = this.waiting.get(name);
    if (!call?.waiter || !this.bulkhead.forget(call.waiter)) return false;
    this.#end(name, call);
    return true;
  }

  reconfigure(spec: BulkheadSpec): void {
    this.bulkhead.reconfigure(spec, this.now);
  }

  #queue(name: string, call: Call): void {
    const row = this.permits.row(call.handle);
    call.waiter = {
      granted: () => {
        this.waiting.delete(name);
        this.permits.starts[row] = this.now;
        this.#run(name, call);
      },
      displaced: () => {
        this.log.push(`${name} displaced`);
        this.#end(name, call);
      },
    };
    this.waiting.set(name, call);
    this.bulkhead.enqueue(call.waiter, row);
  }

  #end(name: string, call: Call): void {
    this.waiting.delete(name);
    const row = this.permits.row(call.handle);
    this.permits.end(row);
    this.permits.giveBack(row);
  }

  #run(name: string, call: Call): void {
    this.running.set(name, call);
    this.log.push(`${name} runs`);
    this.onRun(name);
  }
}
