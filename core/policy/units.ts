/**
 * Durations (`250ms`, `1.5s`, `1m`, `1h`) and rates (`50%`, `0.5%`) as text and as numbers. The arithmetic is on whole
 * numbers, so `33.3%` is 0.333 and `1.1s` is 1,100 ms to the bit. Nothing is guessed: a number without its unit is refused.
 */

export const durationPattern = /^(\d{1,10})(?:\.(\d{1,3}))?(ms|s|m|h)$/;
export const ratePattern = /^(\d{1,3})(?:\.(\d{1,3}))?%$/;

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** Whole milliseconds; undefined if this is no duration, or has a fraction of a millisecond. */
export function parseDuration(text: string): number | undefined {
  const [, whole, fraction = '', unit] = durationPattern.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const ms = (Number(whole + fraction.padEnd(3, '0')) * unitMs[unit as keyof typeof unitMs]) / 1_000;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The shortest text that `parseDuration` takes back: 90000 → `90s`, 3600000 → `1h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0ms';
  if (ms % unitMs.h === 0) return `${ms / unitMs.h}h`;
  if (ms % unitMs.m === 0) return `${ms / unitMs.m}m`;
  return ms % unitMs.s === 0 ? `${ms / unitMs.s}s` : `${ms}ms`;
}

/** A fraction (`50%` → 0.5); undefined if this is no rate. Not bounded by 100 %. */
export function parseRate(text: string): number | undefined {
  const [, whole, fraction = ''] = ratePattern.exec(text) ?? [];
  if (whole === undefined) return undefined;
  return Number(whole + fraction) / (100 * 10 ** fraction.length);
}

/** `0.333` → `33.3%`. */
export function formatRate(fraction: number): string {
  return `${Math.round(fraction * 100_000) / 1_000}%`;
}
