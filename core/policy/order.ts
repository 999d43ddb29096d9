/**
 * The order in which people write the fields of a policy: for what is exported, and for what explain lists. A canonical document
 * is sorted by letter instead.
 */
import { isList, isRecord } from './plain.js';

/** One list does for all objects: no two of them want the same names in another order. */
const order: readonly string[] = [
  ...['policy', 'match', 'to', 'from', 'method', 'mode', 'priority', 'spec'],
  ...['timeout', 'attemptTimeout', 'streamTimeout', 'idempotent'],
  ...['retry', 'attempts', 'on', 'backoff', 'base', 'max', 'budget'],
  ...['hedge', 'delay', 'extra'],
  ...['circuit', 'window', 'interval', 'failureRate', 'slowCall', 'slowRate', 'minimumCalls', 'openFor'],
  ...['halfOpen', 'calls', 'maxWait'],
  ...['bulkhead', 'maxConcurrent', 'maxQueue', 'queueTimeout', 'shares'],
  ...['critical-plus', 'critical', 'sheddable-plus', 'sheddable'],
  ...['rateLimit', 'rate', 'per', 'burst', 'scope', 'by'],
  ...['admission', 'successRate', 'maxRejection'],
  ...['outlier', 'minimumHosts', 'ejectFor', 'maxEjectFor', 'maxEjected', 'classify'],
  ...['cluster', 'quorum', 'minReporters', 'ramp', 'rampStep'],
  ...['fallback', 'cache', 'maxAge', 'static', 'target', 'handler', 'error', 'status', 'message'],
  ...['rollout', 'percent'],
];

const ranks: ReadonlyMap<string, number> = new Map(order.map((name, rank) => [name, rank]));

export function byFieldOrder(a: string, b: string): number {
  return (ranks.get(a) ?? ranks.size) - (ranks.get(b) ?? ranks.size);
}

/** A copy with its fields in order; the content of a `static` answer is the user's own and stays as it is. */
export function inFieldOrder(value: unknown): unknown {
  if (isList(value)) return value.map(inFieldOrder);
  if (!isRecord(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort(byFieldOrder)) {
    copy[key] = key === 'static' ? value[key] : inFieldOrder(value[key]);
  }
  return copy;
}
