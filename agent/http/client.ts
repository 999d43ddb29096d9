/**
 * HTTP calls of one mesh, in both forms, and what they share: connections, turns, and one end.
 */
import type { Dispatcher } from 'undici';
import type { Random } from '../../core/random.js';
import { checkCallee } from '../callee-name.js';
import type { Directory } from '../resolver.js';
import type { Targets } from '../targets.js';
import { serviceDispatcher } from './dispatcher.js';
import { guardedFetch } from './fetch-call.js';
import type { FetchInit } from './fetch-init.js';
import { closedError, type HttpParts } from './parts.js';
import { Places } from './places.js';
import { Pool } from './pool.js';

export class HttpClient {
  readonly #parts: HttpParts;
  #closing: Promise<void> | undefined;

  constructor({
    targets,
    directory,
    random,
  }: {
    readonly targets: Targets;
    readonly directory: Directory;
    readonly random: Random;
  }) {
    this.#parts = { targets, places: new Places(directory, random), pool: new Pool() };
  }

  /** See `Mesh.fetch`. */
  async fetch(service: string, path: string, init?: FetchInit): Promise<Response> {
    checkCallee(service);
    if (this.#closing) throw closedError(service);
    return guardedFetch(this.#parts, service, path, init);
  }

  /** See `Mesh.dispatcher`. */
  dispatcher(service: string): Dispatcher {
    checkCallee(service);
    return serviceDispatcher(this.#parts, service, () => this.#closing !== undefined);
  }

  /** No call begins any more; those under way have a second. */
  close(): Promise<void> {
    this.#closing ??= this.#parts.pool.close(this.#parts.targets.clock);
    this.#parts.places.close();
    return this.#closing;
  }
}
