/**
 * The control plane's REST face from outside: one request, one answer, each within a time. Every answer that is not a success
 * becomes a MeshError with the code and the issues of its problem document, and so does a control plane that isn't there; the
 * message then says what to do. node:http rather than fetch, because a private certificate authority can be named for it.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '../core/clock.js';
import { controlCodes, type ErrorCode, type Issue, MeshError, messageOf } from '../core/errors.js';

export interface Connection {
  /** `http://127.0.0.1:7480`, without a slash at the end. */
  readonly server: URL;
  readonly token?: string | undefined;
  /** PEM of the authority that signed the control plane's certificate. */
  readonly ca?: string | undefined;
  /** For a whole request; a stream of events has it for its head. */
  readonly timeoutMs: number;
}

export interface Ask {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, or as it is when it is text (then say its `content-type`). */
  readonly body?: unknown;
}

export interface Answer<T> {
  readonly body: T;
  /** The control plane's store is away, and this came from memory. */
  readonly stale: boolean;
  /** The revision of a single policy. */
  readonly revision: number | undefined;
}

export interface ServerEvent {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** An answer larger than this is none of ours. */
const BODY_SIZE_MAX = 64 * 1024 * 1024;

export class RestClient {
  readonly #connection: Connection;
  readonly #clock: Clock;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  get server(): string {
    return this.#connection.server.href.replace(/\/$/, '');
  }

  /** One answer, parsed from JSON. Throws MeshError; `unavailable` if nobody answers in time. */
  async ask<T>(path: string, ask: Ask = {}): Promise<Answer<T>> {
    const { response, text } = await this.#exchange(path, ask, 'application/json');
    const { 'switchgear-stale': stale, etag } = response.headers;
    const revision = /^"(\d+)"$/.exec(etag ?? '')?.[1];
    return {
      body: parse(text, path) as T,
      stale: stale === 'true',
      revision: revision === undefined ? undefined : Number(revision),
    };
  }

  /** One answer, as text of that type. Throws as `ask` does. */
  async text(path: string, accept: string): Promise<string> {
    return (await this.#exchange(path, {}, accept)).text;
  }

  /** Calls `onEvent` for each server-sent event until aborted; throws if the stream breaks or was never there. */
  async events(path: string, onEvent: (event: ServerEvent) => void, signal: AbortSignal): Promise<void> {
    const request = this.#open(path, {}, 'text/event-stream');
    const stop = () => request.destroy();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const response = await this.#head(request);
      if (response.statusCode !== 200) throw problem(response.statusCode ?? 0, await readAll(response));
      response.setEncoding('utf8');
      let waiting = '';
      for await (const chunk of response) {
        const frames = (waiting + chunk).split('\n\n');
        waiting = (frames.pop() ?? '').slice(0, BODY_SIZE_MAX);
        for (const frame of frames) {
          const event = readFrame(frame);
          if (event) onEvent(event);
        }
      }
      if (!signal.aborted) throw new MeshError('unavailable', 'the stream of events ended');
    } catch (error) {
      if (!signal.aborted) throw this.#reachable(error);
    } finally {
      signal.removeEventListener('abort', stop);
      request.destroy();
    }
  }

  async #exchange(
    path: string,
    ask: Ask,
    accept: string,
  ): Promise<{ response: IncomingMessage; text: string }> {
    const request = this.#open(path, ask, accept);
    const { timeoutMs } = this.#connection;
    let late = false;
    const timer = this.#clock.after(timeoutMs, () => {
      late = true;
      request.destroy();
    });
    try {
      const response = await this.#head(request);
      const text = await readAll(response);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw problem(status, text);
      return { response, text };
    } catch (error) {
      if (late)
        throw new MeshError(
          'unavailable',
          `${this.server} gave no answer within ${timeoutMs} ms (--timeout)`,
        );
      throw this.#reachable(error);
    } finally {
      timer.cancel();
    }
  }

  #open(
    path: string,
    { method = 'GET', query = {}, headers = {}, body }: Ask,
    accept: string,
  ): ClientRequest {
    const { server, token, ca } = this.#connection;
    const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const options = {
      method,
      headers: {
        accept,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      // A command asks once or twice: a connection that is kept would only keep the process.
      agent: false,
      ...(ca === undefined ? {} : { ca }),
    };
    const request = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
    request.end(payload);
    return request;
  }

  /** The head of the answer; the time for it starts here. */
  async #head(request: ClientRequest): Promise<IncomingMessage> {
    const { timeoutMs } = this.#connection;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () =>
        request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      );
      request.once('response', (response) => {
        timer.cancel();
        resolve(response);
      });
      request.on('error', (error) => {
        timer.cancel();
        reject(error);
      });
      request.once('close', () => {
        timer.cancel();
        reject(new Error('the connection was closed'));
      });
    });
  }

  /** Errors of sockets in the words of somebody who wants to get on. */
  #reachable(error: unknown): MeshError {
    if (error instanceof MeshError) return error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const reasons: Record<string, string> = {
      ECONNREFUSED: 'nothing listens there',
      ENOTFOUND: 'the name is not known',
      ECONNRESET: 'the connection was cut',
      HPE_INVALID_CONSTANT: 'it does not speak HTTP',
    };
    // The TLS library's own words change with its release, its reasons do not.
    const plain = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|^EPROTO$/.test(code);
    const reason = plain ? 'it does not speak TLS' : (reasons[code] ?? (messageOf(error) || code));
    const hint = plain
      ? `try ${this.server.replace(/^https/, 'http')}`
      : /CERT|SELF_SIGNED|UNABLE_TO/.test(code)
        ? 'name the authority of its certificate with --tls-ca'
        : 'start it with "switchgear up", or name another with --server or SWITCHGEAR_SERVER';
    return new MeshError('unavailable', `no control plane at ${this.server}: ${reason}; ${hint}`, {
      cause: error,
    });
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_SIZE_MAX)
      throw new MeshError('payload_too_large', `the answer is larger than ${BODY_SIZE_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string, path: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    throw new MeshError(
      'internal',
      `the answer to ${path} is not JSON; is --server a switchgear control plane?`,
    );
  }
}

/** A problem document as the error that it was; anything else by its status. */
function problem(status: number, text: string): MeshError {
  let document: { code?: unknown; detail?: unknown; title?: unknown; issues?: unknown } = {};
  try {
    document = Object(JSON.parse(text));
  } catch {
    // Not ours: a proxy's page, perhaps. Its status says enough.
  }
  const { code, detail, title, issues } = document;
  const known = (controlCodes as readonly unknown[]).includes(code) ? (code as ErrorCode) : undefined;
  const words = [detail, title].find((words) => typeof words === 'string') ?? `the server answered ${status}`;
  return new MeshError(known ?? codeOf(status), asVerbs(String(words)), {
    issues: Array.isArray(issues) ? issues.filter(isIssue) : undefined,
  });
}

/** What the control plane advises to ask over REST, as the verb that asks it. */
function asVerbs(words: string): string {
  return words
    .replace(/GET \/v1\/policies\/([^\s/]+)\/revisions(?![\w/])/g, '"switchgear history $1"')
    .replace(/GET \/v1\/(policies|services|agents|circuits)(?![\w/])/g, '"switchgear get $1"');
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return 'unauthenticated';
  if (status === 403) return 'permission_denied';
  if (status === 404) return 'not_found';
  if (status === 502 || status === 503 || status === 504) return 'unavailable';
  return status >= 400 && status < 500 ? 'invalid_request' : 'internal';
}

function isIssue(value: unknown): value is Issue {
  const { path, message } = Object(value) as Partial<Issue>;
  return typeof path === 'string' && typeof message === 'string';
}

/** One frame of `text/event-stream`; comments and heartbeats are none. */
function readFrame(frame: string): ServerEvent | undefined {
  let type = 'message';
  const data: string[] = [];
  for (const line of frame.split('\n')) {
    if (line.startsWith('event:')) type = line.slice(6).trim();
    if (line.startsWith('data:')) data.push(line.slice(5).trim());
  }
  if (data.length === 0) return undefined;
  try {
    return { type, data: Object(JSON.parse(data.join('\n'))) };
  } catch {
    return undefined;
  }
}
