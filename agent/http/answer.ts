/**
 * A Response as the engine holds it. A Response can be read once, and the fallback `cache` gives the same value to many: so where
 * a policy asks for that, small answers are read first, and each taker gets a Response of its own.
 */
import { degradedHeader } from '../../core/resilience/fallback.js';
import { isHead } from './request-key.js';

/** Of a kept body; what is longer is not kept. */
const KEPT_BYTES_MAX = 64 * 1024;

export class Answer {
  /** When its exchange is over; undefined: it is. */
  readonly over: Promise<void> | undefined;
  readonly #response: Response;
  readonly #kept: Uint8Array | undefined;

  constructor(response: Response, over?: Promise<void>, kept?: Uint8Array) {
    this.#response = response;
    this.over = over;
    this.#kept = kept;
  }

  get status(): number {
    return this.#response.status;
  }

  get headers(): Headers {
    return this.#response.headers;
  }

  /** What it takes to keep it; undefined: it can be read once only. */
  get bytes(): number | undefined {
    return this.#kept?.byteLength;
  }

  /** A response for one reader. */
  take(): Response {
    return this.#kept ? withBody(this.#response, this.#kept.slice()) : this.#response;
  }

  /**
   * Nobody will read it. A short body is read to its end, so that the connection can be used again; answers the way to stop that,
   * undefined where nothing is being read.
   */
  discard(): (() => void) | undefined {
    const { body, headers } = this.#response;
    if (!body || body.locked || this.#response.bodyUsed) return undefined;
    const reader = body.getReader();
    const stop = () => void reader.cancel().catch(() => {});
    const short = Number(headers.get('content-length') ?? Number.NaN) <= KEPT_BYTES_MAX;
    if (!short) {
      stop();
      return undefined;
    }
    drain(reader).catch(() => {});
    return stop;
  }
}

/** The answer of an attempt that may be kept: read to its end, or as far as that is reasonable. */
export async function keptAnswer(response: Response, over: Promise<void>): Promise<Answer> {
  const { body } = response;
  if (!response.ok || !body) return new Answer(response, over, response.ok ? new Uint8Array() : undefined);
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Answer(response, over, new Uint8Array(Buffer.concat(chunks)));
    chunks.push(value);
    bytes += value.byteLength;
    if (bytes > KEPT_BYTES_MAX) return new Answer(withBody(response, rest(chunks, reader)), over);
  }
}

/** Whatever a policy answers in place of the callee; `marker` says so. A request of `method` HEAD has no body in answer. */
export function degradedAnswer(value: unknown, marker: string, method: string): Answer {
  if (!(value instanceof Answer)) {
    const response = value instanceof Response ? value : Response.json(value ?? null);
    const bare = isHead(method);
    if (bare) void response.body?.cancel().catch(() => {});
    return new Answer(withBody(response, bare ? null : response.body, marker));
  }
  const response = value.take();
  return new Answer(withBody(response, response.body, marker), value.over);
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

/** What has been read already, and then the rest. */
function rest(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function withBody(response: Response, body: ReadableStream | Uint8Array | null, marker?: string): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  if (marker !== undefined) headers.set(degradedHeader, marker);
  // These statuses must not have a body, not even an empty one.
  const bare = status === 204 || status === 205 || status === 304;
  return new Response(bare ? null : body, { status, statusText, headers });
}
