/**
 * When to connect again, as a table: how the last stream ended → what to wait. Every wait is random from zero (full jitter), since
 * all agents of a replica lose it in the same millisecond. Pure; the timer is the caller's.
 *
 * | The last stream | Wait |
 * | --- | --- |
 * | was told when to come again | so long, and up to half a second more |
 * | was refused for what it is (credentials, protocol, a duplicate's name) | 30 to 60 s: somebody has to change something |
 * | was healthy | random(0, 2 s), or as below once it keeps breaking |
 * | never came about, and other addresses are untried in this round | none: the next one at once |
 * | never came about | random(0, min(30 s, 0.5 s × 2ⁿ)), n failures in a row |
 *
 * n starts again after a minute of health, so a replica that welcomes and dies at once is not hammered either.
 */
import { status } from '@grpc/grpc-js';
import type { Random } from '../core/random.js';

/** How a stream ended, or why none came about. */
export interface Ending {
  readonly code: status;
  /** In words. */
  readonly details: string;
  /** The control plane's own wish. */
  readonly retryAfterMs?: number | undefined;
  /** Since its welcome; undefined: there was none. */
  readonly healthyMs?: number | undefined;
}

export interface Next {
  readonly waitMs: number;
  /** Failures in a row, for the next question. */
  readonly failures: number;
  /** What somebody has to do; absent: time heals it. */
  readonly advice?: string;
}

const BASE_MS = 500;
const MAX_MS = 30_000;
const AFTER_HEALTH_MS = 2_000;
const HEALTHY_MS = 60_000;
const TOLD_MAX_MS = 300_000;
const TOLD_JITTER_MS = 500;
const LONG_MS = 30_000;

/** Endings that time doesn't heal, and what does. */
const advices: { readonly [code: number]: string } = {
  [status.UNAUTHENTICATED]: 'give this service a valid token (the option token, or SWITCHGEAR_TOKEN)',
  [status.PERMISSION_DENIED]: 'the token needs the role agent',
  [status.UNIMPLEMENTED]: 'that is no Switchgear control plane; check the option controlPlane',
  [status.FAILED_PRECONDITION]: 'agent and control plane are too far apart; update the older one',
  [status.INVALID_ARGUMENT]: 'agent and control plane misunderstand each other; update the older one',
  [status.ALREADY_EXISTS]: 'another process uses the name of this instance; give each its own',
};

/** `untried`: other addresses haven't been tried since the last stream. */
export function reconnect(ending: Ending, failures: number, untried: boolean, random: Random): Next {
  const { code, retryAfterMs, healthyMs } = ending;
  const n = healthyMs !== undefined && healthyMs >= HEALTHY_MS ? 0 : failures;
  if (retryAfterMs !== undefined) {
    const told = Math.min(Math.max(0, retryAfterMs), TOLD_MAX_MS);
    return { waitMs: told + random.next() * TOLD_JITTER_MS, failures: n + 1 };
  }
  const advice = advices[code];
  if (advice !== undefined) return { waitMs: LONG_MS * (1 + random.next()), failures: n + 1, advice };
  if (healthyMs === undefined && untried) return { waitMs: 0, failures: n };
  const limitMs = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(n, 16));
  const spreadMs = healthyMs === undefined ? limitMs : Math.max(AFTER_HEALTH_MS, limitMs);
  return { waitMs: random.next() * spreadMs, failures: n + 1 };
}
