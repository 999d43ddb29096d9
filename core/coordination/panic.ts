/**
 * Too many circuits at once: suspect ourselves.
 */

export class Panic {
  /** It has gone from closed to open, or would if it might. Zones of one circuit count once: pass it without. */
  wants(_circuit: string, _callee: string, _now: number): void {}

  /** Why no circuit may open, in words; empty: they may. `circuits`: all that are active, with their callee. */
  reason(_circuits: ReadonlyMap<string, string>, _now: number): string {
    return '';
  }
}
