/**
 * How many extra attempts (retries, hedges) a callee may be sent, so that they never turn its trouble into an outage: one
 * budget for a callee and policy, shared by all its calls. Two rules, both must allow it. Envoy's: extras under way are fewer
 * than a fraction of the calls under way, of which a call in backoff is one, and at least three may be. And A6's throttle: ten
 * tokens, one lost for each failure that may be retried, a fraction of one gained by each success, extras only above half.
 *
 * Calls that are themselves a retry of somebody above (`grpc-previous-rpc-attempts`) spend from the same budget but are never
 * refused: the attempt was paid for above, and what is refused here is only to multiply it. The memory is seven numbers;
 * beginning and ending a call are additions. It must never wait, and never refuse a call's first attempt.
 */

/** Why an extra attempt may not start; `ok`: it may, and its slot is taken. */
export type ExtraVerdict = 'ok' | 'budget' | 'throttled';

/** Envoy's `min_retry_concurrency`: so many extras may be under way however few calls are. */
const EXTRAS_MIN = 3;
/** A6's `maxTokens` and `tokenRatio`, in ten-thousandths of a token, so that ten successes are one token to the digit. */
const TOKEN = 10_000;
const TOKENS_MAX = 10 * TOKEN;
const THRESHOLD = TOKENS_MAX / 2;
const GAIN_MAX = TOKEN / 10;
/** Retries come to one for each gain of a token, in every layer; two nested layers are to keep to one budget between them. */
const LAYERS = 2;

export class AttemptBudget {
  #budget = 0;
  #gain = 0;
  #tokens = TOKENS_MAX;
  /** Calls under way that nobody above has tried before, those that somebody has, and extra attempts of our own. */
  #fresh = 0;
  #upstream = 0;
  #extras = 0;

  /** `budget` is a fraction of the calls under way. */
  constructor(budget: number) {
    this.reconfigure(budget);
  }

  /** A live change: what is under way and what was lost stay as they are. */
  reconfigure(budget: number): void {
    this.#budget = budget;
    this.#gain = Math.min(GAIN_MAX, Math.round((budget * TOKEN) / LAYERS));
  }

  /** A call begins; `upstreamRetry`: it carries `grpc-previous-rpc-attempts`. Ends by `callEnded` with the same argument. */
  callBegan(upstreamRetry: boolean): void {
    if (upstreamRetry) {
      this.#upstream++;
      this.#lose();
    } else {
      this.#fresh++;
    }
  }

  /** The call is over, with all its attempts and pauses. Once for each `callBegan`. */
  callEnded(upstreamRetry: boolean): void {
    if (upstreamRetry) this.#upstream--;
    else this.#fresh--;
  }

  /**
   * Takes a slot for an extra attempt that is about to start, its pause before included. After `ok` the taker owes exactly one
   * `extraEnded`, when that attempt ends or its pause is called off; after any other answer, nothing.
   */
  tryExtra(): ExtraVerdict {
    if (this.extras >= Math.max(EXTRAS_MIN, this.#budget * this.#fresh)) return 'budget';
    if (this.#tokens <= THRESHOLD) return 'throttled';
    this.#extras++;
    return 'ok';
  }

  extraEnded(): void {
    this.#extras--;
  }

  /** An attempt came back with OK. */
  succeeded(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + this.#gain);
  }

  /** An attempt failed in a way that the policy tries again, or was answered with "don't retry". Not for any other failure. */
  failedRetryably(): void {
    this.#lose();
  }

  /** Calls under way, those in backoff and those of upstream retries included. */
  get active(): number {
    return this.#fresh + this.#upstream;
  }

  /** What counts against the budget at present: our own extra attempts, and calls that are somebody else's. */
  get extras(): number {
    return this.#extras + this.#upstream;
  }

  /** 0 to 10; extras start above 5. */
  get tokens(): number {
    return this.#tokens / TOKEN;
  }

  #lose(): void {
    this.#tokens = Math.max(0, this.#tokens - TOKEN);
  }
}
