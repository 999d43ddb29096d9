/**
 * At most so many attempts per interval: a token bucket, filled up lazily from the time that is handed in, never by a timer.
 * Time is counted in whole microseconds and a token's parts in whole units, so that nothing drifts however many small steps a
 * second is made of; a clock that stands still or jumps back fills nothing.
 *
 * With `scope: cluster` the control plane grants this agent whole tokens for each interval. While a grant holds, the bucket
 * fills by it and holds no more than one interval's worth; without one (new, or disconnected for longer than the grant's
 * time) the agent takes its even part of the limit. Deciding never asks anybody.
 *
 * A local bucket starts full. One of a cluster starts with one token, as of when the agent learnt of its share: full buckets of
 * all who come would be many times the limit, and who has been there for a second finds its share saved up all the same.
 */
import type { RateLimitSpec } from '../policy/model.js';
import { formatDuration } from '../policy/units.js';
import { ADMITTED, type Gate, REFUSED, type Refusal, type Verdict } from './gate.js';

const TICKS_PER_MS = 1_000;
const GRANT_INTERVAL_MS = 1_000;
/** Who asked for nothing in so long before its grant ran out lost it by that, and nobody is away. */
const SILENT_TICKS = 3_000 * TICKS_PER_MS;

/** How many agents could use a limit, and since when this one knows of its share. */
export interface Sharers {
  readonly agents: number;
  readonly sinceMs: number;
}

interface Grant {
  readonly tokens: number;
  readonly intervalMs: number;
  /** In ticks. */
  readonly endsAt: number;
}

/** `gain` units come in each tick, `unit` of them are a token, and there are at most `capacity` tokens. */
interface Flow {
  readonly gain: number;
  readonly unit: number;
  readonly capacity: number;
}

/** What the control plane grants for at a time: a second, or as long as the whole mesh needs for one token. */
export function grantIntervalMs({ rate, perMs }: RateLimitSpec): number {
  return Math.max(GRANT_INTERVAL_MS, Math.ceil(perMs / rate));
}

export class RateLimiter implements Gate {
  readonly timeless = false;
  #spec: RateLimitSpec;
  #flow: Flow;
  #tokens: number;
  /** Units of the token that is being filled; 0 while the bucket is full. */
  #part = 0;
  /** As of when `#tokens` and `#part` are, in ticks. */
  #at: number;
  #grant: Grant | undefined;
  /** That could use the limit. */
  #sharers: number;
  /** That the limit is divided by without a grant: who could use it, or who did when a grant was cut off. */
  #agents: number;
  #demand = 0;
  #askedAt: number;
  /** Nothing had been asked for in so long, under this grant, that the control plane may have taken it for unused. */
  #paused = false;

  /** A limit of the mesh that nobody has said anything of is this agent's alone. */
  constructor(spec: RateLimitSpec, now: number, sharers: Sharers = { agents: 1, sinceMs: now }) {
    this.#spec = spec;
    this.#sharers = sharers.agents;
    this.#agents = sharers.agents;
    this.#flow = flowOf(spec, undefined, sharers.agents);
    const local = spec.scope === 'local';
    this.#tokens = local ? this.#flow.capacity : 1;
    this.#askedAt = Math.floor(now * TICKS_PER_MS);
    this.#at = Math.floor((local ? now : Math.min(now, sharers.sinceMs)) * TICKS_PER_MS);
  }

  get scope(): 'local' | 'cluster' {
    return this.#spec.scope;
  }

  admit(_row: number, now: number): Verdict {
    this.#demand++;
    this.#fill(now);
    if (this.#at - this.#askedAt >= SILENT_TICKS) this.#paused = true;
    this.#askedAt = this.#at;
    if (this.#tokens === 0) return REFUSED;
    this.#tokens--;
    return ADMITTED;
  }

  /** The attempt never started. */
  undo(): void {
    const { capacity } = this.#flow;
    if (this.#tokens >= capacity) return;
    this.#tokens++;
    if (this.#tokens === capacity) this.#part = 0;
  }

  refusal(now: number): Refusal {
    this.#fill(now);
    const retryAfterMs = this.#retryAfterMs(now);
    const { rate, perMs } = this.#spec;
    const grant = this.#grant;
    const here = grant
      ? ` in the mesh, ${grant.tokens} per ${formatDuration(grant.intervalMs)} of them here`
      : '';
    const text = `at most ${rate} calls per ${formatDuration(perMs)}${here}; retry in ${retryAfterMs} ms`;
    return { code: 'rate_limited', text, retryAfterMs, section: 'rateLimit' };
  }

  /** Keeps the level, as far as the new bucket can hold it. */
  reconfigure(spec: RateLimitSpec, now: number): void {
    this.#fill(now);
    this.#spec = spec;
    if (spec.scope === 'local') this.#grant = undefined;
    this.#reshape();
  }

  /**
   * Whole tokens for each interval from now on, for `ttlMs` unless the next grant comes before. `users`: agents among whom the
   * limit is divided. Local limits take none.
   */
  grant(tokens: number, intervalMs: number, ttlMs: number, users: number, now: number): void {
    // What has no interval is no grant: the bucket would divide by it.
    if (this.#spec.scope === 'local' || !(intervalMs >= 1)) return;
    this.#fill(now);
    const endsAt = Math.floor((now + ttlMs) * TICKS_PER_MS);
    this.#grant = { tokens: Math.max(0, Math.floor(tokens)), intervalMs, endsAt };
    this.#agents = users;
    this.#paused = false;
    this.#reshape();
  }

  /** How many agents could use the limit, for the time without a grant; infinitely many: unknown, a token each interval. */
  share(agents: number, now: number): void {
    this.#fill(now);
    this.#sharers = agents;
    if (this.#grant || agents === this.#agents) return;
    this.#agents = agents;
    this.#reshape();
  }

  /** Attempts that were asked for since the last time, admitted or not. */
  takeDemand(): number {
    const demand = this.#demand;
    this.#demand = 0;
    return demand;
  }

  #fill(now: number): void {
    const at = Math.floor(now * TICKS_PER_MS);
    const grant = this.#grant;
    if (grant && at >= grant.endsAt) {
      this.#run(grant.endsAt);
      this.#grant = undefined;
      // One that was in use is missing since the control plane is away, and so it is for the others who used the limit.
      const unused = this.#paused || grant.endsAt - this.#askedAt >= SILENT_TICKS;
      if (unused) this.#agents = Math.max(this.#agents, this.#sharers);
      this.#reshape();
    }
    this.#run(at);
  }

  #run(at: number): void {
    if (!(at > this.#at)) return;
    const { gain, unit, capacity } = this.#flow;
    const missing = capacity - this.#tokens;
    if (missing > 0) {
      const units = this.#part + (at - this.#at) * gain;
      if (units >= missing * unit) {
        this.#tokens = capacity;
        this.#part = 0;
      } else {
        this.#tokens += Math.floor(units / unit);
        this.#part = units % unit;
      }
    }
    this.#at = at;
  }

  #reshape(): void {
    const before = this.#flow;
    const flow = flowOf(this.#spec, this.#grant, this.#agents);
    this.#flow = flow;
    if (this.#tokens >= flow.capacity) {
      this.#tokens = flow.capacity;
      this.#part = 0;
    } else if (flow.unit !== before.unit) {
      this.#part = Math.min(flow.unit - 1, Math.floor((this.#part / before.unit) * flow.unit));
    }
  }

  /** Until the next token is there, as things stand. */
  #retryAfterMs(now: number): number {
    if (this.#tokens > 0) return 0;
    const { gain, unit } = this.#flow;
    const grant = this.#grant;
    // Granted nothing: the next grant is due within an interval.
    const next =
      gain === 0 && grant
        ? Math.min(grant.endsAt, this.#at + grant.intervalMs * TICKS_PER_MS)
        : this.#at + Math.ceil((unit - this.#part) / gain);
    return Math.max(1, Math.ceil((next - Math.floor(now * TICKS_PER_MS)) / TICKS_PER_MS));
  }
}

function flowOf(spec: RateLimitSpec, grant: Grant | undefined, known: number): Flow {
  const { rate, perMs, burst } = spec;
  if (spec.scope === 'local') return flow(rate, perMs, burst);
  // All agents together never exceed the limit by more than one interval's grants, so none may save up more than its own.
  if (grant) return flow(grant.tokens, grant.intervalMs, Math.min(burst, grant.tokens));
  const agents = Math.max(1, Math.floor(known));
  const intervalMs = grantIntervalMs(spec);
  const share = Math.floor((rate * intervalMs) / (perMs * agents));
  return share < 1 ? flow(1, intervalMs, 1) : flow(rate, perMs * agents, Math.min(burst, share));
}

/** In lowest terms, so that products stay whole numbers for as long as they can. */
function flow(tokens: number, intervalMs: number, capacity: number): Flow {
  const ticks = intervalMs * TICKS_PER_MS;
  const divisor = greatestCommonDivisor(ticks, tokens);
  return { gain: tokens / divisor, unit: ticks / divisor, capacity };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
