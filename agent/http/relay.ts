/**
 * One request through `mesh.dispatcher`, from its dispatch to the end of its response: one guarded call. Whoever dispatched hears
 * once that it has begun, so that it can abort from the first moment on, then one response or one error, whatever became of
 * the attempts before.
 */
import type { Dispatcher } from 'undici';
import { degradedHeader } from '../../core/resilience/fallback.js';
import { guard } from '../guard.js';
import type { EngineOptions, GuardContext, Judgement } from '../guarded-function.js';
import { limitBody, limitDrain } from './body-limit.js';
import { dial, type Route } from './dial.js';
import { Exchange } from './exchange.js';
import { asError, isUnmakeable, isUnsent } from './faults.js';
import { type Upward, upwardOf } from './handlers.js';
import { addHeaders, headersOf, type Inherited, inherit } from './headers.js';
import { judgeAnswer } from './judge.js';
import { classifyOf, type HttpParts } from './parts.js';
import { loadUndici } from './pool.js';

export class Relay {
  readonly #parts: HttpParts;
  readonly #service: string;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #upward: Upward;
  readonly #inherited: Inherited;
  readonly #startedAt: number;
  readonly #controller = new AbortController();
  /** The one whose response goes up. */
  #accepted: Exchange | undefined;

  constructor(
    parts: HttpParts,
    service: string,
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ) {
    this.#parts = parts;
    this.#service = service;
    this.#options = options;
    this.#upward = upwardOf(handler);
    this.#inherited = inherit();
    this.#startedAt = parts.targets.clock.now();
  }

  start(): void {
    try {
      this.#upward.begin((reason) => this.#abort(reason));
    } catch (error) {
      this.#abort(asError(error));
    }
    const repeatable = isRepeatable(this.#options.body);
    const elsewhere: EngineOptions<Heard>['elsewhere'] = ({ to }, signal) => this.#elsewhere(to, signal);
    this.#make(this.#service, { repeatable, elsewhere: repeatable ? elsewhere : undefined }).then(
      (value) => this.#answer(value),
      (error) => this.#upward.fail(asError(error)),
    );
  }

  #make(service: string, wishes: EngineOptions<Heard>): Promise<Heard> {
    const { targets, places } = this.#parts;
    const { clock } = targets;
    const route: Route = {
      service,
      places,
      clock,
      repeatable: isRepeatable(this.#options.body),
      tried: new Set(),
    };
    return guard<Heard>(
      targets,
      service,
      (context) => dial(route, context, (address) => this.#send(service, address, context)),
      {
        signal: this.#controller.signal,
        judge: (value) => this.#judge(service, value),
        discard: (value) => this.#discard(value),
        until: (value) => (value instanceof Exchange ? value.over : undefined),
        degraded: (value, marker) =>
          value instanceof Exchange ? value.mark(marker) : Degraded.of(value, marker),
        unsent: isUnsent,
        ...wishes,
      },
    );
  }

  /** For `fallback: target`: the same request to another service, once. Undefined: that failed as well. */
  async #elsewhere(service: string, signal: AbortSignal): Promise<{ readonly value: Heard } | undefined> {
    try {
      const value = await this.#make(service, { repeatable: false, signal });
      if (this.#judge(service, value) === undefined) return { value };
      this.#discard(value);
    } catch {}
    return undefined;
  }

  #discard(value: Heard): void {
    if (!(value instanceof Exchange)) return;
    value.discard();
    limitDrain(this.#parts.targets, value.over, () => value.abort(new Error('nobody wants the rest')));
  }

  #judge(service: string, value: Heard): Judgement | undefined {
    // It says nothing of the callee, and would fare no better a second time.
    if (value instanceof Unmakeable)
      return { outcome: 'neutral', status: 'INTERNAL', shed: true, pushback: [], text: value.error.message };
    if (value instanceof Degraded) return undefined;
    const { targets } = this.#parts;
    const classify = classifyOf(targets, service);
    return judgeAnswer(value.status, (name) => value.header(name), classify, targets.clock.wallNow());
  }

  async #send(service: string, address: string, context: GuardContext): Promise<Exchange | Unmakeable> {
    const { targets, pool } = this.#parts;
    const target = targets.get(service);
    const exchange = new Exchange();
    pool.holds(exchange.over);
    const { signal } = context;
    signal.addEventListener('abort', () => exchange.abort(asError(signal.reason)), { once: true });
    if (signal.aborted) exchange.abort(asError(signal.reason));
    const ours = headersOf(context, targets.clock.wallNow(), this.#inherited);
    const headers = addHeaders(this.#options.headers, ours) as Dispatcher.DispatchOptions['headers'];
    try {
      await exchange.begin(pool.agent, {
        ...this.#options,
        origin: `http://${address}`,
        ...(headers === undefined ? {} : { headers }),
      });
    } catch (error) {
      if (isUnmakeable(error)) return new Unmakeable(asError(error));
      throw error;
    }
    limitBody(targets, target, this.#startedAt, exchange.over, (error) => exchange.abort(error));
    return exchange;
  }

  #answer(value: Heard): void {
    if (value instanceof Unmakeable) {
      this.#upward.fail(value.error);
      return;
    }
    if (value instanceof Degraded) {
      this.#degraded(value);
      return;
    }
    const { signal } = this.#controller;
    if (signal.aborted) {
      // Between the answer and its word here.
      value.abort(asError(signal.reason));
      this.#upward.fail(asError(signal.reason));
      return;
    }
    this.#accepted = value;
    value.accept(this.#upward);
  }

  #abort(given: Error | undefined): void {
    const reason = given ?? new (loadUndici().errors.RequestAbortedError)();
    if (this.#accepted) this.#accepted.abort(reason);
    else this.#controller.abort(reason);
  }

  #degraded({ body, marker }: Degraded): void {
    const headers = ['content-type', 'application/json', degradedHeader, marker];
    const raw = [...headers, 'content-length', String(body.length)].map((text) => Buffer.from(text));
    const rest = () => {
      this.#upward.data(body);
      this.#upward.end([]);
    };
    try {
      if (this.#upward.head(200, raw, rest, 'OK')) rest();
    } catch (thrown) {
      this.#upward.fail(asError(thrown));
    }
  }
}

/** What a call comes to: a response, a fallback's value in the place of one, or that there was none to be had. */
type Heard = Exchange | Degraded | Unmakeable;

/** Told as JSON. */
class Degraded {
  private constructor(
    readonly body: Buffer,
    readonly marker: string,
  ) {}

  /** Throws where JSON can't say the value. */
  static of(value: unknown, marker: string): Degraded {
    // Another service's own fallback has answered.
    if (value instanceof Degraded) return new Degraded(value.body, marker);
    return new Degraded(Buffer.from(JSON.stringify(value ?? null)), marker);
  }
}

class Unmakeable {
  constructor(readonly error: Error) {}
}

/** Whether a body can be sent again: a stream, or whatever else is gone through once, can't. */
function isRepeatable(body: unknown): boolean {
  return (
    body === undefined ||
    body === null ||
    typeof body === 'string' ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body) ||
    body instanceof FormData ||
    body instanceof Blob
  );
}
