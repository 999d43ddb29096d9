/**
 * What is answered instead of a failure: which failures may be, in which order the entries of the chain are tried, and what the
 * answer's metadata then says. One walk for each call and each call at most one walk, so that a timeout and the late rejection
 * after it run one fallback between them. How an entry is carried out is the engine's.
 */
import type { FallbackSpec } from '../policy/model.js';
import type { Outcome } from './outcome.js';

/** How a call ended that did not succeed. */
export interface FailedEnd {
  /** Its own caller called it off: nobody waits for an answer. */
  readonly cancelledByCaller: boolean;
  /** What the end says of the target; a status that a healthy target answers, such as NOT_FOUND, is a `success`. */
  readonly outcome: Outcome;
}

/** A rejection of our own and a callee's shedding are neutral, and what fallbacks are for. A proper refusal is an answer. */
export function mayFallBack({ cancelledByCaller, outcome }: FailedEnd): boolean {
  return !cancelledByCaller && outcome !== 'success';
}

export class FallbackWalk {
  readonly #chain: readonly FallbackSpec[];
  #at = 0;
  #begun = false;

  constructor(chain: readonly FallbackSpec[]) {
    this.#chain = chain;
  }

  /** Whether this end of the call is to be answered by the chain: at most once true, and not after an end that ruled it out. */
  begin(end: FailedEnd): boolean {
    if (this.#begun) return false;
    this.#begun = true;
    if (!mayFallBack(end)) this.stop();
    return this.#at < this.#chain.length;
  }

  /** The next entry to try, before `begin` and after the last one undefined: then the call fails as it did. */
  next(): FallbackSpec | undefined {
    return this.#begun ? this.#chain[this.#at++] : undefined;
  }

  /** No further entry: one has answered, or the caller has gone. */
  stop(): void {
    this.#at = this.#chain.length;
  }
}

/** Metadata of an answer that is not the callee's own. */
export const degradedHeader = 'switchgear-degraded';
const REASON_CHARACTERS_MAX = 200;

/** `<kind>; <reason>`, for example `cache; circuit_open`. What can't stand in metadata is left out of the reason. */
export function degradedMarker(kind: FallbackSpec['kind'] | 'caller', reason: string): string {
  return `${kind}; ${reason
    .slice(0, REASON_CHARACTERS_MAX)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()}`;
}
