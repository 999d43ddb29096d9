/**
 * What keys beyond the cap are under, so that they are never unprotected in silence: the policies of their callee. Each callee has
 * one target for all of them, `(overflow)`: what its policies have for the callee as a whole is the very part that its other keys
 * use, and what they have `per: method` is one part that those beyond the cap share.
 *
 * Bound: 1,000 callees. Over it, the least recently used that hold nothing leave; if none can, further callees share one target
 * under the policies of `*`, or a circuit with all the defaults where those have none.
 */
import type { CircuitSpec } from '../core/policy/model.js';
import { parsePolicy } from '../core/policy/parse.js';
import type { Logger } from './logger.js';
import { Room } from './room.js';
import type { Target } from './target.js';

/** What stands for the method of a callee's shared target, and for the callee of the one that callees share. */
export const OVERFLOW = '(overflow)';

const CALLEES_MAX = 1_000;

export interface OverflowOptions {
  readonly logger: Logger;
  /** Makes the target of a callee, or of `OVERFLOW` for callees that found no room. */
  make(callee: string): Target;
  /** Something would be lost with it. */
  busy(target: Target, now: number): boolean;
  /** These made room for others. */
  left(targets: readonly Target[]): void;
  readonly calleesMax?: number;
}

export class Overflow {
  /** Calls that found no key of their own. */
  calls = 0;
  readonly #options: OverflowOptions;
  readonly #byCallee = new Map<string, Target>();
  readonly #calleesMax: number;
  #common: Target | undefined;
  readonly #room: Room;

  constructor(options: OverflowOptions) {
    this.#options = options;
    this.#room = new Room(options.busy);
    this.#calleesMax = options.calleesMax ?? CALLEES_MAX;
  }

  /** What the callee's keys beyond the cap share, if there were any. */
  find(callee: string): Target | undefined {
    return this.#byCallee.get(callee);
  }

  /** What a key of this callee is under that found no place of its own. */
  of(callee: string, now: number): Target {
    const known = this.#byCallee.get(callee);
    if (known !== undefined) return known;
    if (this.#byCallee.size >= this.#calleesMax && !this.#makeRoom(now)) return this.#shared(callee);
    if (this.#byCallee.size === 0)
      this.#options.logger.warn(
        { callee },
        'too many callees, methods and keys in use: further ones share one circuit of their callee',
      );
    return this.#add(callee);
  }

  all(): Target[] {
    const all = [...this.#byCallee.values()];
    if (this.#common !== undefined) all.push(this.#common);
    return all;
  }

  #add(callee: string): Target {
    const target = this.#options.make(callee);
    this.#byCallee.set(callee, target);
    return target;
  }

  #shared(callee: string): Target {
    if (this.#common !== undefined) return this.#common;
    const { logger, make } = this.#options;
    logger.warn(
      { callee, calleesMax: this.#calleesMax },
      'too many callees beyond the keys there is room for: further ones are under the policies of * alone',
    );
    this.#common = make(OVERFLOW);
    return this.#common;
  }

  #makeRoom(now: number): boolean {
    const leaving = this.#room.leaving(() => [...this.#byCallee.values()], now);
    for (const { callee } of leaving) this.#byCallee.delete(callee);
    if (leaving.length > 0) this.#options.left(leaving);
    return leaving.length > 0;
  }
}

/** Where no policy for `*` says otherwise, callees that found no room are under a circuit with all the defaults. */
export function overflowCircuit(): CircuitSpec {
  const parsed = parsePolicy({ policy: 'overflow', match: { to: '*' }, spec: { circuit: {} } });
  const circuit = parsed.ok ? parsed.policy.spec.circuit : undefined;
  if (!circuit) throw new Error('a circuit without settings has to parse');
  return circuit;
}
