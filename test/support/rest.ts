/**
 * A control plane for tests of its REST face: the real one on the memory store, and a client that keeps what tests look at
 * (status, headers, body) without hiding anything.
 */
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into answers of every shape
  readonly body: any;
}

export interface RestClient {
  readonly url: string;
  send(
    method: string,
    path: string,
    options?: { body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  put(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  delete(path: string, headers?: Record<string, string>): Promise<Answer>;
}

export function restClient(url: string, common: Record<string, string> = {}): RestClient {
  const send: RestClient['send'] = async (method, path, { body, headers = {} } = {}) => {
    const isText = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...common,
        ...(body === undefined ? {} : { 'content-type': isText ? 'application/yaml' : 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '') && text !== '';
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : text,
    };
  };
  return {
    url,
    send,
    get: (path, headers = {}) => send('GET', path, { headers }),
    put: (path, body, headers = {}) => send('PUT', path, { body, headers }),
    post: (path, body, headers = {}) => send('POST', path, { body, headers }),
    delete: (path, headers = {}) => send('DELETE', path, { headers }),
  };
}

export interface Running extends RestClient {
  readonly plane: ControlPlane;
  close(): Promise<void>;
}

/** On free ports of loopback and the memory store, unless the options say otherwise. */
export async function startRest(options: ControlPlaneOptions = {}): Promise<Running> {
  const plane = await startControlPlane({
    rest: '127.0.0.1:0',
    grpc: '127.0.0.1:0',
    store: 'memory',
    logger: silentLogger,
    ...options,
  });
  return { ...restClient(plane.restUrl), plane, close: () => plane.close() };
}

/** A small valid policy. */
export function policy(name: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { policy: name, match: { to: 'inventory' }, spec: { timeout: '800ms' }, ...fields };
}

/** The issues of a problem as `path: message` lines. */
export function issuesOf(answer: Answer): string[] {
  return (answer.body.issues ?? []).map(
    (issue: { path: string; message: string }) => `${issue.path}: ${issue.message}`,
  );
}
