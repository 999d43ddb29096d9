/**
 * What one agent reports: how its calls fare, and in which state its circuits are. A report is taken once and in order; what it
 * says of circuits that nobody has is left out and counted.
 */
import type { Report } from '../../proto/messages.js';
import type { CircuitRoom } from '../coordination/room.js';
import { ReportedCircuits } from './circuits.js';
import type { Introduction } from './hello.js';
import type { Room } from './room.js';

/** Counts of a report come as 32 bits; more can only be a mistake of the decoder's making. */
const COUNT_MAX = 2 ** 32;

export class Reports {
  readonly circuits: ReportedCircuits;
  readonly #room: Room;
  readonly #intake: ReturnType<CircuitRoom['intake']> | undefined;
  #seq = -1;

  /** `before`: of the same process on the stream before this one. */
  constructor(hello: Introduction, room: Room, before: Reports | undefined) {
    this.circuits = new ReportedCircuits(hello.agent, before?.circuits);
    this.#room = room;
    this.#intake = room.circuits?.intake(hello);
  }

  /** False: it is none of the next ones, and was left out. */
  take(report: Report, now: number): boolean {
    const { seq, cells, circuits } = report;
    const { metrics, events, health, latencies, mirror } = this.#room;
    if (seq <= this.#seq) {
      metrics.ignored('report');
      return false;
    }
    metrics.report();
    const whole = this.#seq < 0;
    this.#seq = seq;
    for (const cell of cells)
      if (Math.max(cell.ok, cell.failed, cell.slow, cell.rejected) < COUNT_MAX) {
        health.record(cell.callee, cell, now);
        if (!latencies.record(cell.callee, cell.latency, now)) metrics.ignored('latency');
      }
    this.#intake?.take(report, now);
    // Of a policy that is newer than what we have seen, we can't say that nobody has it.
    const { changes, ignored } = this.circuits.report(circuits, {
      whole,
      possible: ({ policy, revision }) => mirror.policy(policy) !== undefined || revision > mirror.revision,
      now,
    });
    for (let count = 0; count < ignored; count++) metrics.ignored('circuit');
    for (const change of changes) events.circuit(whole ? { ...change, found: true } : change);
    if (cells.length + circuits.length > 0) events.changed();
    return true;
  }
}
