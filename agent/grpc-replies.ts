/**
 * Responses that no callee has just given: the last good one, and one that a policy spells out. Whoever gets one gets an object of
 * his own. Where the method's type is known both are kept as bytes of it.
 *
 * Whose answer it was counts: an answer is kept under the request, all metadata that may tell callers apart, and the client; calls
 * with credentials of their own, which nobody sees here, keep none. Bound: that of `Targets.responses`; of the spelt-out ones, one
 * for each entry of a policy and method.
 */
import type * as grpc from '@grpc/grpc-js';
import type { FallbackSpec } from '../core/policy/model.js';
import { nameOf } from './cache-name.js';
import type { CallTools } from './call-tools.js';
import { volatileNames } from './inherited.js';
import type { Surround } from './surround.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

/** A call, as far as its answers are concerned. */
export interface Asked {
  readonly targets: Targets;
  readonly target: Target;
  readonly surround: Surround | undefined;
  readonly options: grpc.InterceptorOptions;
  /** What went out with the request. */
  readonly metadata: grpc.Metadata;
  readonly request: unknown;
  readonly tools: CallTools;
}

type Kept = { readonly bytes: Buffer } | { readonly copy: unknown };

/** After a success: keeps the answer, if a policy falls back to it. */
export function keepReply(call: Asked, reply: unknown): void {
  const chain = call.surround?.fallback?.value;
  if (reply === null || !chain?.some(({ kind }) => kind === 'cache')) return;
  const key = keyOf(call);
  if (key === undefined) return;
  const { responses, clock } = call.targets;
  const codec = call.tools.codec(call.options.method_definition.path);
  if (codec !== undefined) {
    const bytes = attempt(() => codec.responseSerialize(reply));
    if (bytes) responses.put(key, { bytes } satisfies Kept, bytes.length, clock.now());
    return;
  }
  const copier = new Copier();
  const copy = attempt(() => copier.copy(reply));
  if (copy !== undefined) responses.put(key, { copy } satisfies Kept, copier.bytes, clock.now());
}

/** The last good answer to the same request, if it is young enough. */
export function keptReply(call: Asked, maxAgeMs: number): unknown {
  const key = keyOf(call);
  if (key === undefined) return undefined;
  const kept = call.targets.responses.get(key, call.targets.clock.now(), maxAgeMs)?.value as Kept | undefined;
  if (kept === undefined) return undefined;
  if ('copy' in kept) return attempt(() => new Copier().copy(kept.copy));
  return attempt(() => call.options.method_definition.responseDeserialize(kept.bytes));
}

function keyOf({ target, options, metadata, request, tools }: Asked): string | undefined {
  const { method_definition: method, credentials } = options;
  if (credentials !== undefined || request === undefined) return undefined;
  const bytes = attempt(() => method.requestSerialize(request));
  if (!bytes) return undefined;
  const parts = ['grpc', String(tools.id), target.callee, method.path];
  for (const key of Object.keys(metadata.getMap()).sort())
    if (!volatileNames.has(key)) parts.push(`${key}=${metadata.get(key).map(String).join()}`);
  parts.push(bytes.toString('latin1'));
  return nameOf(parts);
}

/** Bytes of the method's type, by entry of a policy and path; undefined: it doesn't fit. */
const spelt = new WeakMap<FallbackSpec, Map<string, Buffer | undefined>>();

/** The answer that a policy spells out, as a message of the method's type; undefined: it can't be checked, or doesn't fit. */
export function speltReply({ options, tools }: Asked, entry: FallbackSpec & { kind: 'static' }): unknown {
  const { path, responseDeserialize } = options.method_definition;
  const codec = tools.codec(path);
  if (codec === undefined) return undefined;
  const byPath = spelt.get(entry) ?? new Map<string, Buffer | undefined>();
  spelt.set(entry, byPath);
  if (!byPath.has(path))
    byPath.set(
      path,
      attempt(() => encoded(entry.value, codec)),
    );
  const bytes = byPath.get(path);
  return bytes && attempt(() => responseDeserialize(bytes));
}

function encoded(
  value: unknown,
  codec: Pick<grpc.MethodDefinition<unknown, unknown>, 'responseSerialize' | 'responseDeserialize'>,
): Buffer | undefined {
  const bytes = codec.responseSerialize(value);
  return fits(value, codec.responseDeserialize(bytes)) ? bytes : undefined;
}

/**
 * Whether all that was written came back. Encoders coerce and leave out what they don't know; a field at its default may be absent
 * on the way back, so only there absence says nothing.
 */
function fits(written: unknown, read: unknown): boolean {
  if (read === undefined || read === null) return isDefault(written);
  if (Array.isArray(written))
    return (
      Array.isArray(read) && read.length === written.length && written.every((item, i) => fits(item, read[i]))
    );
  if (typeof written === 'object' && written !== null) {
    if (typeof read !== 'object' || Array.isArray(read)) return false;
    const fields = read as { [name: string]: unknown };
    return Object.entries(written).every(([name, item]) => fits(item, fields[name]));
  }
  if (typeof written === 'boolean' || typeof read === 'boolean') return written === read;
  if (read instanceof Uint8Array) return Buffer.from(read).toString('base64') === String(written);
  // An enum's name, where the client reads numbers.
  if (typeof written === 'string' && typeof read === 'number' && /^[A-Z][A-Z0-9_]*$/.test(written))
    return read !== 0;
  return String(written) === String(read);
}

function isDefault(written: unknown): boolean {
  if (Array.isArray(written)) return written.length === 0;
  if (typeof written === 'object' && written !== null) return Object.values(written).every(isDefault);
  return written === null || written === false || written === 0 || written === '' || written === '0';
}

/** Copies plain data, and adds up about what it takes. Throws for what isn't plain: a class of its own may hold anything. */
class Copier {
  bytes = 0;

  copy(value: unknown): unknown {
    this.bytes += 16;
    if (typeof value === 'string') this.bytes += 2 * value.length;
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError('not plain data');
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Uint8Array) {
      this.bytes += value.length;
      return Buffer.isBuffer(value) ? Buffer.from(value) : value.slice();
    }
    if (Array.isArray(value)) return value.map((item) => this.copy(item));
    // Of the package long, which never changes.
    if ((value as { __isLong__?: unknown }).__isLong__ === true) return value;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw new TypeError('not plain data');
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.copy(item)]));
  }
}

/** What the application's own functions throw means that there is nothing. */
function attempt<T>(fn: () => T): T | undefined {
  try {
    return fn();
  } catch {
    return undefined;
  }
}
