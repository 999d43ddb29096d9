/**
 * Functions of the application that policies name as fallbacks (`fallback: [{ handler: lastKnownPrices }]`). A name that nobody
 * has given yet is skipped, with one warning, so that a policy may come before the release that has the function.
 * Bound: 1,000 names, and as many warnings.
 */
import type { Metadata } from '@grpc/grpc-js';
import { MeshError } from '../core/errors.js';
import { handlerNamePattern, handlerNameRight } from '../core/policy/names.js';
import type { Logger } from './logger.js';

/** What a handler is told of the call that failed. */
export interface FallbackCall {
  readonly callee: string;
  /** Of gRPC: `shop.v1.Inventory/List`; of a guard its key, or empty. */
  readonly method: string;
  /** The request message; undefined where there is none. */
  readonly request: unknown;
  /** Of gRPC: what went out with the request. */
  readonly metadata?: Metadata | undefined;
  /** What the call would fail with. */
  readonly error: unknown;
}

export type FallbackHandler = (call: FallbackCall) => unknown;

/** Throws `invalid_configuration` for a name that no policy can say, and for what can't be called. */
export function checkHandler(name: unknown, handler: unknown): void {
  if (typeof name !== 'string' || !handlerNamePattern.test(name)) {
    const given = typeof name === 'string' ? `"${name.slice(0, 200)}"` : `of type ${typeof name}`;
    throw new MeshError('invalid_configuration', `fallback: the name is ${given}: use ${handlerNameRight}`);
  }
  if (typeof handler === 'function') return;
  const given = `what to run for ${name} is of type ${typeof handler}`;
  throw new MeshError('invalid_configuration', `fallback: ${given}: give a function`);
}

const NAMES_MAX = 1_000;

export class FallbackHandlers {
  readonly #handlers = new Map<string, FallbackHandler>();
  readonly #missed = new Set<string>();
  /** A policy's new revision has new entries. */
  readonly #skipped = new WeakSet<object>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A second one of a name replaces the first. Answers the way to take it back. Throws `invalid_configuration`. */
  set(name: string, handler: FallbackHandler): () => void {
    checkHandler(name, handler);
    if (this.#handlers.size >= NAMES_MAX && !this.#handlers.has(name))
      throw new MeshError('invalid_configuration', `fallback: at most ${NAMES_MAX} names`);
    this.#handlers.set(name, handler);
    this.#missed.delete(name);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  has(name: string): boolean {
    return this.#handlers.has(name);
  }

  /** `callee`, `policy`: who asks, for the warning. */
  get(name: string, callee?: string, policy?: string): FallbackHandler | undefined {
    const handler = this.#handlers.get(name);
    if (!handler && !this.#missed.has(name) && this.#missed.size < NAMES_MAX) {
      this.#missed.add(name);
      const fields: Record<string, unknown> = { handler: name };
      if (callee !== undefined) fields.callee = callee;
      if (policy !== undefined) fields.policy = policy;
      this.#logger.warn(
        fields,
        'a policy falls back to a function that nobody has registered: mesh.fallback(name, fn)',
      );
    }
    return handler;
  }

  /** An entry of a policy can't work here: one warning for each, so that nobody believes in it. */
  skipped(entry: object, fields: Record<string, unknown>, why: string): void {
    if (this.#skipped.has(entry)) return;
    this.#skipped.add(entry);
    this.#logger.warn(fields, `a fallback is skipped: ${why}`);
  }
}
