/**
 * A call that arrives at a server over a wire that isn't there, and that says what grpc-js's says and when. The first end is the
 * client's, whoever says it, and the wire tells that it is over some time later, once. Messages come when they are read; `eager` ones
 * are there already then. `readsAhead`: somebody nearer to it reads by itself.
 */
import * as grpc from '@grpc/grpc-js';
import type { Wire } from '../../agent/server-call.js';
import { NullWire } from './null-wire.js';

export class SpokenWire extends NullWire {
  /** Ends as the client heard of them. */
  readonly ends: string[] = [];
  notified = false;
  /** Statuses for a client that is gone, as everybody knows. */
  readonly late: Parameters<Wire['sendStatus']>[0][] = [];
  halfClosed = false;
  delivered = 0;

  constructor(
    deadline: grpc.Deadline,
    readonly messages: number,
    readonly eager: boolean,
    readonly readsAhead: boolean,
  ) {
    super(deadline);
  }

  get over(): boolean {
    return this.ends.length > 0;
  }

  override sendStatus(said: Parameters<Wire['sendStatus']>[0]): void {
    super.sendStatus(said);
    if (this.notified) this.late.push(said);
    this.finish(grpc.status[said.code ?? grpc.status.UNKNOWN] ?? '');
  }

  override startRead(): void {
    super.startRead();
    if (this.eager) this.next();
  }

  finish(end: string): void {
    if (!this.over) this.ends.push(end);
  }

  /** The word of the end. */
  notify(): void {
    if (!this.over || this.notified) return;
    this.notified = true;
    this.listener?.onCancel();
  }

  /** What comes next of what the client wrote. */
  next(): void {
    if (this.notified || this.halfClosed) return;
    if (this.delivered === this.messages) {
      this.halfClosed = true;
      this.listener?.onReceiveHalfClose();
    } else if (this.readsAhead || this.reads > this.delivered) {
      this.delivered++;
      this.listener?.onReceiveMessage(this.delivered);
    }
  }
}
