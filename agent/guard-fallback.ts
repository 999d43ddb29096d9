/**
 * What a guarded call answers when it has failed: the policy's chain in turn, then the caller's own fallback. Once for each call,
 * never for its caller's abort, without retry. An entry that has nothing to say passes on to the next; at the end the call fails as
 * it did.
 *
 * What may hang (a handler, another service) holds one of ten slots of callee and policy and waits no longer than its caller does or,
 * without a caller's deadline, than the policy's `timeout` anew; so a fallback that hangs doesn't become the outage. Another service is
 * called off then; a handler is the application's own. What is at hand (cache, static, error) needs neither.
 */
import { MeshError, messageOf } from '../core/errors.js';
import type { FallbackSpec, Source } from '../core/policy/model.js';
import { degradedMarker, FallbackWalk } from '../core/resilience/fallback.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { cacheNameOf } from './cache-name.js';
import { currentContext } from './context.js';
import type { Attempt } from './guard-attempt.js';
import { FALLBACKS_MAX } from './surround.js';
import type { Pending } from './targets.js';
import { Expiry } from './timeouts.js';

type Entry<K extends FallbackSpec['kind']> = FallbackSpec & { readonly kind: K };

/** Answered, or (undefined) passed on. */
type Answer = { readonly value: unknown } | undefined;
/** `signal`: aborted when nobody waits for the answer any more. */
type Start = (signal: AbortSignal) => Promise<Answer>;

const NEVER = Number.POSITIVE_INFINITY;
/** In place of an answer: the mesh has closed. */
const CLOSED = Symbol('closed');
/** What another service's call is called off with. */
const ENDED = new DOMException('nobody waits for this fallback any more', 'AbortError');

/** `failedValue`: an answer that counted as a failure, which stands if nothing replaces it. Rejects with what the call fails with. */
export async function fallBack<T>(
  call: Attempt<T>,
  error: unknown,
  outcome: Outcome,
  failedValue?: T,
): Promise<T> {
  const { held, options } = call;
  const replaced = () => {
    if (failedValue !== undefined) options.discard?.(failedValue);
  };
  const walk = new FallbackWalk(held.surround?.fallback?.value ?? []);
  if (walk.begin({ cancelledByCaller: false, outcome }))
    for (let entry = walk.next(); entry !== undefined; entry = walk.next()) {
      if (entry.kind === 'error') {
        tell(call, entry, error);
        replaced();
        throw chosenError(call, entry, error);
      }
      const answer = await answerOf(call, entry, error);
      if (options.signal?.aborted) {
        replaced();
        throw options.signal.reason;
      }
      if (answer === CLOSED) break;
      if (answer === undefined) continue;
      const made = madeOf(call, entry, answer.value, error);
      if (made === undefined) continue;
      tell(call, entry, error);
      replaced();
      return made.value;
    }
  if (failedValue !== undefined) return failedValue;
  if (options.fallback === undefined) throw error;
  const value = await unlessAborted(options.signal, options.fallback(error));
  told(call, undefined, 'caller', error);
  return value;
}

/** The caller who leaves isn't kept by a fallback of his own. */
function unlessAborted<T>(signal: AbortSignal | undefined, answer: T | Promise<T>): T | Promise<T> {
  if (signal === undefined) return answer;
  return new Promise<T>((resolve, reject) => {
    const gone = () => reject(signal.reason);
    const stay = () => signal.removeEventListener('abort', gone);
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) gone();
    Promise.resolve(answer).finally(stay).then(resolve, reject);
  });
}

function answerOf<T>(
  call: Attempt<T>,
  entry: Exclude<FallbackSpec, Entry<'error'>>,
  error: unknown,
): Answer | Promise<Answer | typeof CLOSED> {
  const { targets, target, options } = call;
  switch (entry.kind) {
    case 'static':
      return { value: structuredClone(entry.value) };
    case 'cache': {
      const name = cacheNameOf(target.callee, options);
      return name === undefined
        ? undefined
        : targets.responses.get(name, targets.clock.now(), entry.maxAgeMs);
    }
    case 'handler': {
      const { policy } = call.held.surround?.fallback?.source ?? {};
      const handler = targets.handlers.get(entry.name, target.callee, policy);
      if (!handler) return undefined;
      const asked = { callee: target.callee, method: options.key ?? '', request: undefined, error };
      return inSlot(call, async () => {
        const value = await handler(asked);
        return value === undefined ? undefined : { value };
      });
    }
    case 'target': {
      const { elsewhere } = options;
      return elsewhere && inSlot(call, (signal) => elsewhere(entry, signal), options.discard);
    }
  }
}

/** In one of the slots, until it has answered, its time is over, the mesh closes or the caller leaves. Never rejects. */
function inSlot<T>(
  call: Attempt<T>,
  start: Start,
  discard?: (value: T) => void,
): Answer | Promise<Answer | typeof CLOSED> {
  const slots = call.held.surround?.slots;
  const now = call.targets.clock.now();
  const callerAt = currentContext()?.deadlineAt ?? NEVER;
  const limitMs = callerAt === NEVER ? (call.held.effective.timeout?.value ?? NEVER) : callerAt - now;
  if (slots === undefined || slots.inUse >= FALLBACKS_MAX || !(limitMs > 0)) return undefined;
  slots.inUse++;
  return new Promise((resolve) => {
    const turn = new Turn(call, (answer) => {
      slots.inUse--;
      resolve(answer);
    });
    turn.begin(now, limitMs, start, discard);
  });
}

/** One entry that takes time. It ends once; what it answers later is used by nobody. */
class Turn<T> extends Expiry implements Pending {
  readonly #call: Attempt<T>;
  readonly #ended: (answer: Answer | typeof CLOSED) => void;
  readonly #controller = new AbortController();
  #over = false;
  readonly #onAbort = () => this.#end(undefined, this.#call.options.signal?.reason ?? ENDED);

  constructor(call: Attempt<T>, ended: (answer: Answer | typeof CLOSED) => void) {
    super();
    this.#call = call;
    this.#ended = ended;
  }

  /** `discard`: of an answer that comes too late. */
  begin(now: number, limitMs: number, start: Start, discard: ((value: T) => void) | undefined): void {
    const { targets, options } = this.#call;
    if (options.signal?.aborted || !targets.pending(this)) {
      this.#end(options.signal?.aborted ? undefined : CLOSED, ENDED);
      return;
    }
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    targets.timeouts.set(this, now, limitMs);
    start(this.#controller.signal).then(
      (answer) => {
        if (this.#over && answer !== undefined) discard?.(answer.value as T);
        this.#end(answer);
      },
      () => this.#end(undefined),
    );
  }

  /** It took too long. */
  expire(): void {
    this.#end(undefined, ENDED);
  }

  cancel(): void {
    this.#end(CLOSED, ENDED);
  }

  /** `unfinished`: why what is under way is called off; undefined: nothing is. */
  #end(answer: Answer | typeof CLOSED, unfinished?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const { targets, options } = this.#call;
    targets.timeouts.lift(this);
    targets.settled(this);
    options.signal?.removeEventListener('abort', this.#onAbort);
    this.#ended(answer);
    if (unfinished !== undefined) this.#controller.abort(unfinished);
  }
}

/** The call's answer, of what an entry says; undefined: none can be made of it, which is no reason to lose the call's own failure. */
function madeOf<T>(
  { held, target, targets, options }: Attempt<T>,
  entry: FallbackSpec,
  value: unknown,
  error: unknown,
): { readonly value: T } | undefined {
  if (!options.degraded) return { value: value as T };
  try {
    return { value: options.degraded(value, degradedMarker(entry.kind, reasonOf(error))) };
  } catch (fault) {
    const { policy, revision } = held.surround?.fallback?.source ?? {};
    const fields = { policy: `${policy}@${revision}`, callee: target.callee, fallback: entry.kind };
    targets.handlers.skipped(entry, fields, `no answer can be made of what it gives: ${messageOf(fault)}`);
    return undefined;
  }
}

/** The answer, or the error, is this entry's. */
function tell<T>(call: Attempt<T>, { kind }: FallbackSpec, error: unknown): void {
  told(call, call.held.surround?.fallback?.source, kind, error);
}

/** `source`: undefined for the caller's own, which no policy asks for. */
function told<T>(
  { target }: Attempt<T>,
  source: Source | undefined,
  kind: FallbackSpec['kind'] | 'caller',
  error: unknown,
): void {
  target.tally.increment('degraded', kind);
  target.decide('degrade', source, kind, degradedMarker(kind, reasonOf(error)));
}

function chosenError<T>({ held, target }: Attempt<T>, entry: Entry<'error'>, cause: unknown): MeshError {
  const source = held.surround?.fallback?.source;
  return new MeshError('fallback_error', `${entry.status}: ${entry.message ?? 'as its policy says'}`, {
    target: target.callee,
    policy: source?.policy,
    revision: source?.revision,
    cause,
  });
}

/** For the marker: a code of ours, or the error's own name. */
function reasonOf(error: unknown): string {
  if (error instanceof MeshError) return error.code;
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : 'failed';
}
