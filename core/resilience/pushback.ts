/**
 * What a callee says about trying again, in the trailing metadata `grpc-retry-pushback-ms` of a failed attempt (gRFC A6,
 * "Pushback"). Whatever isn't exactly one well-formed wait means "don't": a callee that pushes back is in trouble, so the
 * reading that spares it is the safe one.
 */
export const pushbackHeader = 'grpc-retry-pushback-ms';

export type Pushback =
  /** It said nothing. */
  | { readonly kind: 'none' }
  /** Wait exactly so long. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** Don't try again. */
  | { readonly kind: 'stop' };

export const noPushback: Pushback = { kind: 'none' };
const stop: Pushback = { kind: 'stop' };

/** An ASCII integer "with no unnecessary leading zeros"; a sign makes it negative or no number, which both mean stop. */
const waitPattern = /^(?:0|[1-9]\d{0,9})$/;
const INT32_MAX = 2 ** 31 - 1;

/** From all values under the key, as a metadata's `get` answers. Several contradict each other: stop, as grpc-go does. */
export function parsePushback(values: readonly unknown[]): Pushback {
  if (values.length === 0) return noPushback;
  const [value] = values;
  if (values.length > 1 || typeof value !== 'string' || !waitPattern.test(value)) return stop;
  const ms = Number(value);
  return ms <= INT32_MAX ? { kind: 'wait', ms } : stop;
}
