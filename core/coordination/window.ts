/**
 * What the agents of one replica say of one circuit over the last seconds.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Heard, View } from './model.js';

/** Of a view's suspects. */
export const SUSPECTS_MAX = 8;

export class CircuitWindow {
  constructor(readonly windowMs: number) {}
  record(_heard: Heard, _now: number): void {}
  /** Spans of SPANS parts of the window, of what has arrived by `now`. */
  view(_spec: CircuitSpec, _now: number): View {
    return { spans: [], demand: [], blocked: 0, suspects: [] };
  }
  /** Nothing that it has heard is within the window any more. */
  idle(_now: number): boolean {
    return true;
  }
  /** Its stream has ended: what it said goes with it, since it may say it again at another replica. */
  left(_agent: string): void {}
}
