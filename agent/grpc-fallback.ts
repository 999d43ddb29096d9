/**
 * What a gRPC call is answered when it has failed: the entries of the policy's chain in turn. One run for each call, never for its
 * caller's cancel, without retry. An entry that has nothing to say passes on to the next; at the end the call fails as it did.
 *
 * Calls with one request and one response have every kind; where something streams there is only `error`. What takes time (a
 * handler, another service) holds one of ten slots of callee and policy, ends with the caller's deadline or, without one, after the
 * policy's `timeout` anew, and with the mesh; what is at hand (cache, static, error) needs neither.
 */
import * as grpc from '@grpc/grpc-js';
import type { Effective, FallbackSpec, Source } from '../core/policy/model.js';
import { degradedHeader, degradedMarker, FallbackWalk } from '../core/resilience/fallback.js';
import type { Outcome } from '../core/resilience/outcome.js';
import type { CallLimits } from './call-limits.js';
import { statusName } from './classify.js';
import { type Asked, keptReply, speltReply } from './grpc-replies.js';
import { REJECT_KEY } from './rejection-status.js';
import { FALLBACKS_MAX } from './surround.js';
import type { Pending } from './targets.js';
import { Expiry } from './timeouts.js';

/** The call, as far as it is told of here. */
export interface FallbackOwner extends Asked {
  readonly effective: Effective;
  readonly limits: CallLimits | undefined;
  /** Runs it in the context in which the call was made. */
  within<T>(fn: () => T): T;
  answer(headers: grpc.Metadata | undefined, reply: unknown, status: grpc.StatusObject): void;
  fail(): void;
}

type Entry<K extends FallbackSpec['kind']> = FallbackSpec & { readonly kind: K };
/** In place of a reply: it comes later. */
const LATER = Symbol('later');
const nowhere = () => {};

export class GrpcFallback extends Expiry implements Pending {
  readonly #call: FallbackOwner;
  readonly #status: grpc.StatusObject;
  readonly #chain: readonly FallbackSpec[];
  readonly #source: Source;
  readonly #walk: FallbackWalk;
  /** What is under way; each has a number, so that a late word of an earlier one is heard by nobody. */
  #turn = 0;
  #busy = false;
  #callOff: () => void = nowhere;

  constructor(call: FallbackOwner, status: grpc.StatusObject) {
    super();
    this.#call = call;
    this.#status = status;
    const { value, source } = call.surround?.fallback ?? { value: [], source: { policy: '', revision: 0 } };
    this.#chain = value;
    this.#source = source;
    this.#walk = new FallbackWalk(this.#chain);
  }

  /** Whether the call's end is the chain's business from here on; it may be over by then. */
  begin(outcome: Outcome): boolean {
    if (!this.#walk.begin({ cancelledByCaller: false, outcome })) return false;
    this.#next();
    return true;
  }

  /** The caller has gone. */
  stop(): void {
    this.#walk.stop();
    this.#release(true);
  }

  /** It took too long. */
  expire(): void {
    this.#release(true);
    this.#next();
  }

  /** The mesh closes. */
  cancel(): void {
    this.stop();
    this.#call.fail();
  }

  #next(): void {
    for (let entry = this.#walk.next(); entry !== undefined; entry = this.#walk.next()) {
      if (entry.kind === 'error') {
        this.#failAs(entry);
        return;
      }
      const reply = this.#replyOf(entry);
      if (reply === LATER) return;
      if (reply !== undefined && reply !== null) {
        this.#answer(entry.kind, reply);
        return;
      }
    }
    this.#call.fail();
  }

  /** Undefined or null: it has nothing to say. */
  #replyOf(entry: FallbackSpec): unknown {
    const call = this.#call;
    const { requestStream, responseStream } = call.options.method_definition;
    if (requestStream || responseStream) return undefined;
    switch (entry.kind) {
      case 'cache':
        return keptReply(call, entry.maxAgeMs);
      case 'static': {
        const reply = speltReply(call, entry);
        if (reply === undefined) this.#skipped(entry, 'the response is not known to be of the method’s type');
        return reply;
      }
      case 'handler':
        return this.#handle(entry);
      case 'target':
        return this.#callElsewhere(entry);
      default:
        return undefined;
    }
  }

  #handle({ name }: Entry<'handler'>): unknown {
    const { targets, target, options, request, metadata } = this.#call;
    const handler = targets.handlers.get(name, target.callee, this.#source.policy);
    if (!handler || !this.#occupy()) return undefined;
    const turn = this.#turn;
    const method = options.method_definition.path.slice(1);
    try {
      const failed = { callee: target.callee, method, request, metadata, error: errorOf(this.#status) };
      const reply = this.#call.within(() => handler(failed));
      // It gave the call up itself.
      if (!this.#busy) return LATER;
      if (!isPromise(reply)) {
        this.#release(false);
        return reply;
      }
      reply.then(
        (value) => this.#arrived(turn, 'handler', value),
        () => this.#arrived(turn, 'handler', undefined),
      );
      return LATER;
    } catch {
      this.#release(false);
      return undefined;
    }
  }

  #callElsewhere(entry: Entry<'target'>): unknown {
    const { targets, limits, options, request, metadata, tools } = this.#call;
    const { elsewhere } = tools;
    if (elsewhere === undefined) {
      this.#skipped(entry, 'another service can only be called by a client of mesh.client');
      return undefined;
    }
    if (request === undefined || !this.#occupy()) return undefined;
    const turn = this.#turn;
    const path = entry.method === undefined ? options.method_definition.path : `/${entry.method}`;
    const callerAt = limits?.callerAt ?? Number.POSITIVE_INFINITY;
    const { clock } = targets;
    const deadline =
      callerAt === Number.POSITIVE_INFINITY ? undefined : clock.wallNow() + (callerAt - clock.now());
    try {
      const call = { to: entry.to, path, request, metadata, options, deadline };
      const arrived = (reply: unknown) => this.#arrived(turn, 'target', reply);
      this.#callOff = this.#call.within(() => elsewhere.call(call, arrived));
      return LATER;
    } catch {
      this.#release(false);
      return undefined;
    }
  }

  #arrived(turn: number, kind: FallbackSpec['kind'], reply: unknown): void {
    if (!this.#busy || turn !== this.#turn) return;
    this.#release(false);
    if (reply === undefined || reply === null) this.#next();
    else this.#answer(kind, reply);
  }

  /** Takes what something that takes time needs; false: there is no slot, no time, or no mesh any more. */
  #occupy(): boolean {
    const { targets, limits, effective, surround } = this.#call;
    const slots = surround?.slots;
    if (slots === undefined || slots.inUse >= FALLBACKS_MAX) return false;
    const now = targets.clock.now();
    const callerAt = limits?.callerAt ?? Number.POSITIVE_INFINITY;
    const limitMs =
      callerAt === Number.POSITIVE_INFINITY ? (effective.timeout?.value ?? callerAt) : callerAt - now;
    if (limitMs <= 0 || !targets.pending(this)) return false;
    slots.inUse++;
    this.#busy = true;
    targets.timeouts.set(this, now, limitMs);
    return true;
  }

  #release(unfinished: boolean): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#turn++;
    const { targets, surround } = this.#call;
    targets.timeouts.lift(this);
    targets.settled(this);
    if (surround?.slots) surround.slots.inUse--;
    const callOff = this.#callOff;
    this.#callOff = nowhere;
    if (unfinished) callOff();
  }

  #answer(kind: FallbackSpec['kind'], reply: unknown): void {
    const marked = this.#degraded(kind);
    this.#call.answer(marked, reply, { code: grpc.status.OK, details: '', metadata: marked });
  }

  #failAs({ status, message }: Entry<'error'>): void {
    const code = grpc.status[status as keyof typeof grpc.status];
    const details = message ?? this.#status.details;
    this.#call.answer(undefined, null, { code, details, metadata: this.#degraded('error') });
  }

  #degraded(kind: FallbackSpec['kind']): grpc.Metadata {
    this.#walk.stop();
    const { target } = this.#call;
    const { code, metadata } = this.#status;
    const rejected = metadata.get(REJECT_KEY)[0];
    const marker = degradedMarker(kind, rejected === undefined ? statusName(code) : String(rejected));
    target.tally.increment('degraded', kind);
    target.decide('degrade', this.#source, kind, marker);
    const marked = new grpc.Metadata();
    marked.set(degradedHeader, marker);
    return marked;
  }

  #skipped(entry: FallbackSpec, why: string): void {
    const { targets, target } = this.#call;
    const { policy, revision } = this.#source;
    const fields = {
      policy: `${policy}@${revision}`,
      path: `spec.fallback[${this.#chain.indexOf(entry)}].${entry.kind}`,
      callee: target.callee,
      method: target.method,
    };
    targets.handlers.skipped(entry, fields, why);
  }
}

/** As grpc-js's clients give it to the application. */
function errorOf({ code, details, metadata }: grpc.StatusObject): grpc.ServiceError {
  const error = new Error(`${code} ${statusName(code)}: ${details}`);
  return Object.assign(error, { code, details, metadata });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}
