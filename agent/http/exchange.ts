/**
 * One attempt of a dispatched request, as undici's client sees it: a handler (in the old form, which every undici 7 takes) that
 * stops at the head of the response until somebody wants the body. It ends exactly once, whatever comes after that.
 */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { degradedHeader } from '../../core/resilience/fallback.js';
import { asError, markUnsent } from './faults.js';
import type { Upward } from './handlers.js';

type End = { readonly error: Error } | { readonly trailers: Buffer[] | null };

/** Of a body that nobody wants, so much is received for the sake of the connection. */
const DRAINED_BYTES_MAX = 64 * 1024;

export class Exchange {
  status = 0;
  /** Resolves when nothing of it is under way any more. */
  readonly over: Promise<void>;
  #resolveOver: () => void = () => {};
  #resolveHead: (exchange: Exchange) => void = () => {};
  #rejectHead: (error: Error) => void = () => {};
  #headers: Buffer[] = [];
  #text = '';
  #socket: Duplex | undefined;
  #sent = false;
  #resume: () => void = () => {};
  #abort: ((reason?: Error) => void) | undefined;
  #aborted: { readonly reason: Error } | undefined;
  #upward: Upward | undefined;
  #discarded = false;
  #drained = 0;
  #end: End | undefined;
  #told = false;

  constructor() {
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
  }

  /** Resolves at the head of the response, and takes no byte beyond. */
  begin(pool: Dispatcher, options: Dispatcher.DispatchOptions): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      this.#resolveHead = resolve;
      this.#rejectHead = reject;
      // Nobody is asked for what nobody waits for any more.
      if (this.#aborted) this.onError(this.#aborted.reason);
      else pool.dispatch(options, this);
    });
  }

  header(name: string): string | undefined {
    for (let i = 0; i + 1 < this.#headers.length; i += 2)
      if (String(this.#headers[i]).toLowerCase() === name) return String(this.#headers[i + 1]);
    return undefined;
  }

  /** Says in the head that another service has answered in place of the one that was asked. */
  mark(marker: string): this {
    this.#headers = [...this.#headers, Buffer.from(degradedHeader), Buffer.from(marker)];
    return this;
  }

  /** The response goes up: head now, the rest as it comes. */
  accept(upward: Upward): void {
    this.#upward = upward;
    if (this.#socket) {
      this.#handOver(upward, this.#socket);
      return;
    }
    try {
      const flows = upward.head(this.status, this.#headers, this.#resume, this.#text);
      if (this.#end) this.#tell(this.#end);
      else if (flows) this.#resume();
    } catch (thrown) {
      const error = asError(thrown);
      if (this.#end) this.#tell({ error });
      else this.abort(error);
    }
  }

  #handOver(upward: Upward, socket: Duplex): void {
    try {
      upward.upgrade(this.status, this.#headers, socket);
    } catch (thrown) {
      // Nobody has it, and with it an error would be nobody's.
      socket.destroy();
      upward.fail(asError(thrown));
    }
  }

  /** Nobody wants it. */
  discard(): void {
    if (this.#end) return;
    this.#discarded = true;
    this.#socket?.destroy();
    this.#resume();
  }

  /** Ends it unless a connection has taken it. */
  giveUp(reason: Error): void {
    if (!this.#sent) this.abort(reason);
  }

  /** Before a connection has taken it, it ends there. */
  abort(reason: Error): void {
    if (this.#end) return;
    this.#aborted ??= { reason };
    this.#socket?.destroy(reason);
    if (this.#sent) {
      this.#abort?.(reason);
      return;
    }
    // No connection has taken it yet, and one may take ten seconds to fail.
    markUnsent(reason);
    this.#rejectHead(reason);
  }

  // --- from undici's client

  onConnect(abort: (reason?: Error) => void): void {
    if (this.#aborted) {
      abort(this.#aborted.reason);
      return;
    }
    this.#sent = true;
    this.#abort = abort;
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean {
    // 103 and the like: the head is still to come.
    if (status < 200) return true;
    this.status = status;
    this.#headers = headers;
    this.#text = text;
    this.#resume = resume;
    this.#resolveHead(this);
    return false;
  }

  onUpgrade(status: number, headers: Buffer[] | string[] | null, socket: Duplex): void {
    this.status = status;
    this.#headers = (headers ?? []).map((part) => Buffer.from(part as string));
    this.#socket = socket;
    socket.once('close', () => this.#finish({ trailers: null }));
    this.#resolveHead(this);
  }

  onData(chunk: Buffer): boolean {
    if (this.#upward) return this.#upward.data(chunk);
    this.#drained += chunk.length;
    if (this.#discarded && this.#drained > DRAINED_BYTES_MAX) this.abort(new Error('nobody wants the rest'));
    return true;
  }

  onComplete(trailers: unknown): void {
    this.#finish({ trailers: trailers as Buffer[] | null });
  }

  onError(error: Error): void {
    if (!this.#sent) markUnsent(error);
    this.#rejectHead(error);
    this.#finish({ error });
  }

  #finish(end: End): void {
    if (this.#end) return;
    this.#end = end;
    this.#resolveOver();
    if (!this.#socket) this.#tell(end);
  }

  #tell(end: End): void {
    if (this.#told || !this.#upward) return;
    this.#told = true;
    if ('error' in end) {
      this.#upward.fail(end.error);
      return;
    }
    try {
      this.#upward.end(end.trailers);
    } catch (thrown) {
      // As undici does: a handler that throws at the end is told of its error, by which undici's own retries go on.
      this.#upward.fail(asError(thrown));
    }
  }
}
