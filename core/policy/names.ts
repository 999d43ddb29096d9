/**
 * What things may be called. Names end up in Redis keys, file names, metrics and circuit ids (`<callee>|<policy>|<method>`), so
 * each alphabet leaves out blanks, `/` (but in methods), `|` and `*`.
 */

export const policyNamePattern = /^[a-z0-9][a-z0-9._-]{0,127}$/;

/** Of documents that are kept beside the policies and are none: no policy's name begins like that. */
export function isReserved(name: string): boolean {
  return name.startsWith('~');
}

/** Services and guard resources. */
export const serviceNamePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** The callee whose policies hold for calls into the service itself. */
export const SELF = 'self';

/** What a policy may be `to`. */
export const calleePattern = /^(?:\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127})$/;

/** `shop.v1.Inventory/Reserve`, or `shop.v1.Inventory/*` for all of its methods. */
export const methodPattern =
  /^(?=.{3,256}$)[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\/(?:\*|[A-Za-z_][A-Za-z0-9_]*)$/;

/** One method, of no wildcard. */
export const exactMethodPattern =
  /^(?=.{3,256}$)[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\/[A-Za-z_][A-Za-z0-9_]*$/;

/** Functions of the application that a policy falls back to. */
export const handlerNamePattern = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
export const handlerNameRight = 'up to 128 letters, digits and _ . - that begin with a letter or _';

/** Keys that would reach into an object's prototype. */
export const hostileKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** The statuses of gRPC that are no success, by name; the index plus one is the number on the wire. */
export const statusNames = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** The known name that is nearest to what was written, if it is near enough to be what was meant. `editsMax`: nearer still. */
export function nearest(
  written: string,
  known: readonly string[],
  editsMax = Number.POSITIVE_INFINITY,
): string | undefined {
  if (written.length > 40) return undefined;
  const lower = written.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.min(editsMax, Math.max(1, Math.floor(written.length / 3))) + 1;
  for (const name of known) {
    const away = distance(lower, name.toLowerCase());
    if (away < bestDistance) {
      best = name;
      bestDistance = away;
    }
  }
  return best;
}

/** Edits (insert, delete, replace, swap of neighbours) between two short texts. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, at(beforeLast, j - 2) + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
