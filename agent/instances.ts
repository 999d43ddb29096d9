/**
 * Where the instances of each callee are, as the control plane last said: live while connected, else the last known. Whoever
 * resolves a name watches it here. No answer yet (undefined) is another thing than none (an empty list).
 *
 * A control plane that has just been met, or whose data has just been replaced, may not have heard of instances that live: they
 * register with it again one by one. So an empty list is held back at first, and those known before it stay. That is safe:
 * calls to an instance that is really gone fail at the connection. An empty list after one that was not is news, and holds.
 *
 * Bound: the callees the control plane speaks of, 10,000 at most, and what the wire lets through for each; one timer.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Endpoint } from '../proto/messages.js';

const SERVICES_MAX = 10_000;
/** As long as a lease: what lives has registered again by then (30 s between two attempts at most), or would have lapsed. */
export const HOLD_MS = 60_000;

export class Instances {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #lists = new Map<string, readonly Endpoint[]>();
  readonly #watchers = new Map<string, Set<() => void>>();
  /** While empty lists are held back: until then, of these services, unless the control plane has named instances of them. */
  #settling: Timer | undefined;
  readonly #held = new Set<string>();
  readonly #confirmed = new Set<string>();

  /** `onChange`: lists that were held back hold now. */
  constructor({ clock, onChange }: { clock: Clock; onChange(): void }) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Undefined: nobody has said yet. */
  get(service: string): readonly Endpoint[] | undefined {
    return this.#lists.get(service);
  }

  /** The whole list of a service; answers whether it says anything new. */
  set(service: string, endpoints: readonly Endpoint[]): boolean {
    const before = this.#lists.get(service);
    if (this.#settling && !this.#believes(service, endpoints, before)) return false;
    if (before === undefined && this.#lists.size >= SERVICES_MAX) return false;
    if (before !== undefined && sameEndpoints(before, endpoints)) return false;
    this.#lists.set(service, endpoints);
    for (const watcher of [...(this.#watchers.get(service) ?? [])]) watcher();
    return true;
  }

  /** From now on the registry fills anew: for one lease time an empty list may only mean that it has not got there yet. */
  settle(): void {
    this.#settling?.cancel();
    this.#confirmed.clear();
    this.#settling = this.#clock.after(HOLD_MS, () => this.#settled());
  }

  /** Nobody is connected: what was held back is nobody's word any more, and the last known stays. */
  disconnect(): void {
    this.#settling?.cancel();
    this.#settling = undefined;
    this.#held.clear();
    this.#confirmed.clear();
  }

  /** Wakes every watcher, for what isn't a change of endpoints but concerns them all. */
  wake(): void {
    for (const watchers of [...this.#watchers.values()]) for (const watcher of [...watchers]) watcher();
  }

  /** Calls `watcher` after each change, until the answer is called. */
  watch(service: string, watcher: () => void): () => void {
    let watchers = this.#watchers.get(service);
    if (!watchers) {
      watchers = new Set();
      this.#watchers.set(service, watchers);
    }
    watchers.add(watcher);
    return () => {
      if (watchers.delete(watcher) && watchers.size === 0) this.#watchers.delete(service);
    };
  }

  entries(): IterableIterator<[string, readonly Endpoint[]]> {
    return this.#lists.entries();
  }

  /** Whether a list holds at once although the registry is filling. */
  #believes(
    service: string,
    endpoints: readonly Endpoint[],
    before: readonly Endpoint[] | undefined,
  ): boolean {
    if (endpoints.length > 0) {
      if (this.#confirmed.size < SERVICES_MAX) this.#confirmed.add(service);
      this.#held.delete(service);
      return true;
    }
    if (before === undefined || before.length === 0 || this.#confirmed.has(service)) return true;
    this.#held.add(service);
    return false;
  }

  #settled(): void {
    const held = [...this.#held];
    this.disconnect();
    for (const service of held) this.set(service, []);
    if (held.length > 0) this.#onChange();
  }
}

function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((endpoint, i) => {
    const other = b[i];
    return (
      other !== undefined &&
      endpoint.instance === other.instance &&
      endpoint.address === other.address &&
      endpoint.zone === other.zone &&
      endpoint.version === other.version &&
      endpoint.protocol === other.protocol &&
      endpoint.weight === other.weight
    );
  });
}
