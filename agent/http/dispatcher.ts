/**
 * `mesh.dispatcher`: a Dispatcher of undici's that goes to the instances of a service, for `undici.request`, `undici.fetch`,
 * Node's own fetch, and libraries that take one. Only path, method, headers and body of a request matter; the host that its
 * URL names does not, redirects included. Its scheme does: what is meant for TLS must not go out in the clear. It owns nothing: its connections are the mesh's, and end with it.
 */
import type { Dispatcher } from 'undici';
import { MeshError } from '../../core/errors.js';
import { checkPath } from './fetch-init.js';
import { upwardOf } from './handlers.js';
import { closedError, type HttpParts } from './parts.js';
import { loadUndici } from './pool.js';
import { Relay } from './relay.js';

/** `closed`: whether the mesh is. */
export function serviceDispatcher(parts: HttpParts, service: string, closed: () => boolean): Dispatcher {
  // The class that it extends is loaded only now.
  class ServiceDispatcher extends loadUndici().Dispatcher {
    override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      if (closed()) {
        upwardOf(handler).fail(closedError(service));
        return true;
      }
      checkScheme(service, options.origin);
      checkPath(options.path);
      new Relay(parts, service, options, handler).start();
      return true;
    }

    override close(callback?: () => void): Promise<void> {
      if (callback) queueMicrotask(callback);
      return Promise.resolve();
    }

    override destroy(first?: Error | null | (() => void), callback?: () => void): Promise<void> {
      return this.close(typeof first === 'function' ? first : callback);
    }
  }
  return new ServiceDispatcher();
}

/** Throws `invalid_configuration` for whatever isn't plain HTTP. */
function checkScheme(service: string, origin: unknown): void {
  if (origin === undefined || origin === null) return;
  const text = String(origin);
  if (!/^[a-z][a-z\d+.-]*:/i.test(text) || /^http:/i.test(text)) return;
  throw new MeshError(
    'invalid_configuration',
    `dispatcher: the URL begins with ${text.slice(0, 200)}, and instances of ${service} are called in plain HTTP: write http://${service}`,
  );
}
