/**
 * The handler of whoever uses our dispatcher, behind one interface: undici 6, and the fetch of Node up to 22, hand one over in the
 * old form (onConnect, onHeaders, …), undici 7 and later in the new one (onRequestStart, onResponseStart, …).
 */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import { loadUndici } from './pool.js';

type RawHeaders = Buffer[];

export interface Upward {
  begin(abort: (reason?: Error) => void): void;
  /** Whether the body may come now; else after `resume`. */
  head(status: number, headers: RawHeaders, resume: () => void, text: string): boolean;
  data(chunk: Buffer): boolean;
  end(trailers: RawHeaders | null): void;
  fail(error: Error): void;
  upgrade(status: number, headers: RawHeaders, socket: Duplex): void;
}

export function upwardOf(handler: Dispatcher.DispatchHandler): Upward {
  return handler.onRequestStart ? new NewForm(handler) : new OldForm(handler);
}

class OldForm implements Upward {
  readonly #handler: Dispatcher.DispatchHandler;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  begin(abort: (reason?: Error) => void): void {
    this.#handler.onConnect?.(abort);
  }

  head(status: number, headers: RawHeaders, resume: () => void, text: string): boolean {
    return this.#handler.onHeaders?.(status, headers, resume, text) !== false;
  }

  data(chunk: Buffer): boolean {
    return this.#handler.onData?.(chunk) !== false;
  }

  end(trailers: RawHeaders | null): void {
    // Undici's types want text; its own client hands over bytes.
    this.#handler.onComplete?.(trailers as unknown as string[] | null);
  }

  fail(error: Error): void {
    this.#handler.onError?.(error);
  }

  upgrade(status: number, headers: RawHeaders, socket: Duplex): void {
    this.#handler.onUpgrade?.(status, headers, socket);
  }
}

class NewForm implements Upward {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #controller = new Controller();

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  begin(abort: (reason?: Error) => void): void {
    this.#controller.onAbort = abort;
    this.#handler.onRequestStart?.(this.#controller, {});
  }

  head(status: number, headers: RawHeaders, resume: () => void, text: string): boolean {
    this.#controller.onResume = resume;
    this.#controller.rawHeaders = headers;
    this.#handler.onResponseStart?.(this.#controller, status, parsed(headers), text);
    return !this.#controller.paused;
  }

  data(chunk: Buffer): boolean {
    this.#handler.onResponseData?.(this.#controller, chunk);
    return !this.#controller.paused;
  }

  end(trailers: RawHeaders | null): void {
    this.#controller.rawTrailers = trailers ?? [];
    this.#handler.onResponseEnd?.(this.#controller, parsed(trailers ?? []));
  }

  fail(error: Error): void {
    this.#handler.onResponseError?.(this.#controller, error);
  }

  upgrade(status: number, headers: RawHeaders, socket: Duplex): void {
    this.#controller.rawHeaders = headers;
    this.#handler.onRequestUpgrade?.(this.#controller, status, parsed(headers), socket);
  }
}

class Controller implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  rawHeaders: RawHeaders = [];
  rawTrailers: RawHeaders = [];
  onAbort: (reason?: Error) => void = () => {};
  onResume: () => void = () => {};

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.onAbort(reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.onResume();
  }
}

function parsed(headers: RawHeaders): Record<string, string | string[]> {
  return loadUndici().util.parseHeaders(headers);
}
