/**
 * The body of a request: whether it can be sent twice, and (through `mesh.dispatcher`) whether it can still be sent once because an
 * attempt that reached nobody has not begun to read it.
 */
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

export class Body {
  /** What undici is given. */
  readonly value: NonNullable<Dispatcher.DispatchOptions['body']> | null;
  /** As often as one likes: a stream, or whatever else is gone through once, can't. */
  readonly repeatable: boolean;
  readonly #untouched: () => boolean;

  constructor(given: Dispatcher.DispatchOptions['body']) {
    this.repeatable = isRepeatable(given);
    this.value = given ?? null;
    this.#untouched = () => false;
    if (given instanceof Readable || (given as unknown) instanceof ReadableStream) {
      const destroyed = () => given instanceof Readable && given.destroyed;
      this.#untouched = () => !Readable.isDisturbed(given as Readable) && !destroyed();
    } else if (!this.repeatable && isAsyncIterable(given)) {
      const watched = new Watched(given);
      this.value = watched as unknown as Readable;
      this.#untouched = () => !watched.begun;
    }
  }

  /** Whether an attempt that comes next could send all of it. */
  get whole(): boolean {
    return this.repeatable || this.#untouched();
  }
}

/** Fetch makes one of these of every body. It doesn't tell whether somebody has begun with it. */
class Watched implements AsyncIterable<unknown> {
  begun = false;
  readonly #given: AsyncIterable<unknown>;

  constructor(given: AsyncIterable<unknown>) {
    this.#given = given;
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    this.begun = true;
    return this.#given[Symbol.asyncIterator]();
  }
}

function isAsyncIterable(body: unknown): body is AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

/** Whether it can be sent again: a stream, or whatever else is gone through once, can't. */
export function isRepeatable(body: unknown): boolean {
  return (
    body === undefined ||
    body === null ||
    typeof body === 'string' ||
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  );
}
