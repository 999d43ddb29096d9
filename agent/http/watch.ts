/**
 * Stands between `fetch` and the pool for one attempt and looks on: whether anything was sent, and when the exchange is really
 * over, which a Response does not tell. It changes nothing that passes, but for one thing: where fetch follows a redirect to a host
 * that is no instance of the service, what the mesh has added to the headers stays here. Each version of Node brings a fetch that hands over its
 * handler in undici's old form or its new one; both are passed on as they are.
 */
import type { Dispatcher } from 'undici';
import { withoutHeaders } from './headers.js';

const begins: ReadonlySet<string> = new Set(['onConnect', 'onRequestStart']);
const ends: ReadonlySet<string> = new Set(['onComplete', 'onError', 'onResponseEnd', 'onResponseError']);
const others = [
  'onRequestUpgrade',
  'onResponseStart',
  'onResponseData',
  'onUpgrade',
  'onResponseStarted',
  'onHeaders',
  'onData',
  'onBodySent',
  'onRequestSent',
];
const methods: readonly string[] = [...begins, ...ends, ...others];

type Method = (...args: unknown[]) => unknown;

export class Watch {
  /** A connection took the request: from here on, bytes may have left. */
  sent = false;
  /** Resolves when no exchange of the answered attempt is under way any more: the body was received, cut or given up. */
  readonly over: Promise<void>;
  readonly #pool: Dispatcher;
  readonly #isInstance: (host: string) => boolean;
  readonly #added: ReadonlySet<string>;
  #resolve: () => void = () => {};
  /** One, or the next after a redirect. */
  #open = 0;
  #answered = false;

  /** `added`: headers that are for instances alone. */
  constructor(pool: Dispatcher, isInstance: (host: string) => boolean, added: ReadonlySet<string>) {
    this.#pool = pool;
    this.#isInstance = isInstance;
    this.#added = added;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** What fetch asks of a dispatcher. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#open++;
    let ended = false;
    const end = () => {
      if (ended) return;
      ended = true;
      this.#open--;
      this.#look();
    };
    try {
      return this.#pool.dispatch(this.#meant(options), this.#observed(handler, end));
    } catch (error) {
      end();
      throw error;
    }
  }

  #meant(options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions {
    const { protocol, host } = new URL(String(options.origin));
    if (protocol === 'http:' && this.#isInstance(host)) return options;
    const headers = withoutHeaders(options.headers, this.#added) as Dispatcher.DispatchOptions['headers'];
    return headers === undefined ? options : { ...options, headers };
  }

  /** The head has come, or never will: what ends now is the end. */
  answered(): void {
    this.#answered = true;
    this.#look();
  }

  #look(): void {
    if (this.#answered && this.#open === 0) this.#resolve();
  }

  #observed(handler: Dispatcher.DispatchHandler, end: () => void): Dispatcher.DispatchHandler {
    const given = handler as { readonly [name: string]: Method | undefined };
    const observed: { [name: string]: Method } = {};
    for (const name of methods) {
      if (typeof given[name] !== 'function') continue;
      // Called on the handler, which may keep private fields.
      observed[name] = (...args) => {
        if (begins.has(name)) this.sent = true;
        else if (ends.has(name)) end();
        return given[name]?.(...args);
      };
    }
    return observed as Dispatcher.DispatchHandler;
  }
}
