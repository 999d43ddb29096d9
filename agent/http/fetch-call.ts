/**
 * `mesh.fetch`: Node's own fetch, to an instance of a service and under its policies. One fetch is one attempt; its Response is
 * the platform's, untouched. A failed status resolves as it does for fetch, after the policy's retries; a rejection of ours
 * rejects, and so does the network, with what fetch throws.
 *
 * The slot in the bulkhead is held until the exchange is over, body included. A body that nobody reads is over when all of it has
 * been received, when it is cancelled, when `streamTimeout` cuts it, or when its Response is garbage.
 */
import type { Dispatcher } from 'undici';
import { MeshError } from '../../core/errors.js';
import { guard } from '../guard.js';
import type { EngineOptions, GuardContext, Judgement } from '../guarded-function.js';
import { Answer, degradedAnswer, keptAnswer } from './answer.js';
import { isRepeatable } from './body.js';
import { limitBody, limitDrain } from './body-limit.js';
import { dial, type Knock, type Route } from './dial.js';
import { isUnsent, markUnsent } from './faults.js';
import { checkPath, type FetchInit, requestOf } from './fetch-init.js';
import { headersOf, type Inherited, inherit } from './headers.js';
import { judgeAnswer } from './judge.js';
import { classifyOf, type HttpParts } from './parts.js';
import { isSafe, requestKeyOf } from './request-key.js';
import { Watch } from './watch.js';

export async function guardedFetch(
  parts: HttpParts,
  service: string,
  path: string,
  init: FetchInit = {},
): Promise<Response> {
  checkPath(path);
  const { key, criticality, fallback, signal } = init;
  const request = requestOf(init);
  if (fallback !== undefined && typeof fallback !== 'function')
    throw new MeshError('invalid_configuration', 'fetch: fallback must be a function');
  const repeatable = isRepeatable(request.body);
  // What fetch would throw is the application's fault: told before it counts as the callee's.
  const known = repeatable || request.body instanceof ReadableStream;
  new Request(`http://service.invalid${path}`, known ? request : { ...request, body: null });
  parts.pool.load();
  const call = new FetchCall(parts, path, request, inherit(criticality), signal ?? undefined, repeatable);
  const answer = await call.make(service, {
    key,
    request: () => requestKeyOf(path, request),
    criticality,
    fallback: fallback && (async (error) => new Answer(await fallback(error))),
    elsewhere: repeatable ? ({ to }, signal) => call.elsewhere(to, signal) : undefined,
  });
  return answer.take();
}

class FetchCall {
  readonly #startedAt: number;

  constructor(
    readonly parts: HttpParts,
    readonly path: string,
    readonly request: RequestInit,
    readonly inherited: Inherited,
    readonly callerSignal: AbortSignal | undefined,
    readonly repeatable: boolean,
  ) {
    this.#startedAt = parts.targets.clock.now();
  }

  make(service: string, wishes: EngineOptions<Answer>): Promise<Answer> {
    const { targets, places } = this.parts;
    const repeatable = () => this.repeatable;
    const route: Route = { service, places, targets, repeatable, tried: new Set() };
    const keeps = wishes.key !== undefined && isSafe(this.request.method);
    return guard<Answer>(
      targets,
      service,
      (context) =>
        dial(route, context, (address, knock) => this.#send(service, address, knock, context, keeps)),
      {
        signal: this.callerSignal,
        judge: (answer) => this.#judge(service, answer),
        discard: (answer) => this.#discard(answer),
        until: (answer) => answer.over,
        degraded: (value, marker) => degradedAnswer(value, marker, this.request.method ?? 'GET'),
        bytesOf: (answer) => answer.bytes,
        unsent: isUnsent,
        repeatable: this.repeatable,
        ...wishes,
      },
    );
  }

  /** For `fallback: target`: the same request to another service, once. Undefined: that failed as well. */
  async elsewhere(service: string, signal: AbortSignal): Promise<{ readonly value: Answer } | undefined> {
    try {
      const value = await this.make(service, { repeatable: false, signal });
      if (this.#judge(service, value) === undefined) return { value };
      this.#discard(value);
    } catch {}
    return undefined;
  }

  #discard(answer: Answer): void {
    const stop = answer.discard();
    if (stop && answer.over) limitDrain(this.parts.targets, answer.over, stop);
  }

  #judge(service: string, { status, headers }: Answer): Judgement | undefined {
    const { targets } = this.parts;
    const classify = classifyOf(targets, service);
    return judgeAnswer(status, (name) => headers.get(name), classify, targets.clock.wallNow());
  }

  /** One attempt. */
  async #send(
    service: string,
    address: string,
    knock: Knock,
    context: GuardContext,
    keeps: boolean,
  ): Promise<Answer> {
    const { targets, places, pool } = this.parts;
    const target = targets.get(service);
    const { headers, added } = this.#headers(context);
    // As a URL has it.
    const { host } = new URL(`http://${address}`);
    const isInstance = (at: string) => at === host || places.has(service, at);
    const watch = new Watch(pool.agent, isInstance, added);
    pool.holds(watch.over);
    const abort = new Abort([context.signal, this.callerSignal], (reason) => {
      // Before the engine asks what its limit of time has cut.
      if (!watch.sent) markUnsent(reason);
    });
    knock.giveUp = (reason) => {
      if (!watch.sent) abort.now(reason);
    };
    void watch.over.then(() => abort.release());
    try {
      const response = await globalThis.fetch(`http://${address}${this.path}`, {
        ...this.request,
        headers,
        signal: abort.signal,
        // The types are those of the undici that Node brings; this one is ours.
        dispatcher: watch as unknown as Dispatcher as never,
      });
      limitBody(targets, target, this.#startedAt, watch.over, (error) => abort.now(error));
      const cached = target.effective.fallback?.value.some(({ kind }) => kind === 'cache') === true;
      return keeps && cached ? await keptAnswer(response, watch.over) : new Answer(response, watch.over);
    } catch (error) {
      if (!watch.sent) markUnsent(error);
      throw error;
    } finally {
      watch.answered();
    }
  }

  /** `added`: the names of ours. */
  #headers(context: GuardContext): { readonly headers: Headers; readonly added: ReadonlySet<string> } {
    const headers = new Headers(this.request.headers);
    const ours = headersOf(context, this.parts.targets.clock.wallNow(), this.inherited);
    const added = new Set<string>();
    for (const [name, value] of ours) {
      if (headers.has(name)) continue;
      headers.set(name, value);
      added.add(name);
    }
    return { headers, added };
  }
}

/** A signal that follows others until it is released, which leaves no listener on them. */
class Abort {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];
  readonly #followed: (reason: unknown) => void;

  /** `followed`: told first. */
  constructor(sources: readonly (AbortSignal | undefined)[], followed: (reason: unknown) => void) {
    this.#followed = followed;
    this.#sources = sources.filter((source) => source !== undefined);
    for (const source of this.#sources) source.addEventListener('abort', this.#follow);
    this.#follow();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  now(reason: unknown): void {
    this.#controller.abort(reason);
  }

  release(): void {
    for (const source of this.#sources) source.removeEventListener('abort', this.#follow);
  }

  readonly #follow = (): void => {
    const aborted = this.#sources.find((source) => source.aborted);
    if (!aborted) return;
    this.#followed(aborted.reason);
    this.now(aborted.reason);
  };
}
