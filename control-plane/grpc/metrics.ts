/**
 * What the streams count. A plain interface, so that this room knows nothing of Prometheus; nobody has to listen.
 */

/**
 * Sayings of agents that have no effect: an Ack for no push, a report out of order or beyond the bounds, a latency that is no
 * histogram, demand under a limit that no policy in force has,
 * counts that the agent can't have had.
 */
export type Ignored = 'ack' | 'report' | 'circuit' | 'callee' | 'latency' | 'rate' | 'cell';

export interface GrpcMetrics {
  /** One delta of `bytes` was written to one stream. */
  push(bytes: number): void;
  /** A delta was acknowledged `delayMs` after it was written. */
  ack(delayMs: number): void;
  /** A report was taken in. */
  report(): void;
  /** An agent refused one policy that it had not refused before. */
  refusal(): void;
  /** A stream ended or was not let in; the reason is one of `endReasons`. */
  streamEnd(reason: EndReason): void;
  ignored(what: Ignored): void;
  /** A stream was told to go elsewhere while this replica goes on. */
  sentElsewhere(why: 'age' | 'share'): void;
  /** Limits of the whole mesh that agents of this replica use, and what it grants of them, in tokens per second. */
  rates(limits: number, grantedPerSecond: number): void;
}

/** Why streams end: a closed set, each a label of a counter. */
export const endReasons = [
  'closed',
  'cancelled',
  'malformed',
  'protocol',
  'no_hello',
  'silent',
  'unacknowledged',
  'slow',
  'replaced',
  'duplicate',
  'unauthenticated',
  'admission',
  'draining',
  'internal',
] as const;
export type EndReason = (typeof endReasons)[number];

export const noMetrics: GrpcMetrics = {
  push() {},
  ack() {},
  report() {},
  refusal() {},
  streamEnd() {},
  ignored() {},
  sentElsewhere() {},
  rates() {},
};
