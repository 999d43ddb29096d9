/**
 * Events in the order of their time, and at the same time in the order in which they were put in: a heap of four branches over
 * parallel typed arrays, so that millions of events cost no object each. It grows by doubling and holds what is pending, no more.
 */

const INITIAL = 1_024;
const BRANCHES = 4;

export class EventQueue {
  size = 0;
  /** Of the event that `pop` took out last. */
  time = 0;
  kind = 0;
  a = 0;
  b = 0;
  c = 0;
  #order = 0;
  #times = new Float64Array(INITIAL);
  #orders = new Float64Array(INITIAL);
  #kinds = new Uint8Array(INITIAL);
  #as = new Int32Array(INITIAL);
  #bs = new Int32Array(INITIAL);
  #cs = new Int32Array(INITIAL);

  /** `kind` up to 255; what `a`, `b`, `c` mean (31 bits each) is its own business. */
  push(time: number, kind: number, a: number, b: number, c: number): void {
    if (this.size === this.#times.length) this.#grow();
    const times = this.#times;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      // Whoever comes later is behind its equals.
      if ((times[parent] as number) <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(at, time, this.#order++, kind, a, b, c);
  }

  /** When the next one is due; Infinity: there is none. */
  get next(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  /** Takes the first one out, into the fields. There must be one. */
  pop(): void {
    this.time = this.#times[0] as number;
    this.kind = this.#kinds[0] as number;
    this.a = this.#as[0] as number;
    this.b = this.#bs[0] as number;
    this.c = this.#cs[0] as number;
    const last = --this.size;
    if (last > 0) this.#sink(last);
  }

  /** The last one takes the place of the first, and goes down to where it belongs. */
  #sink(last: number): void {
    const times = this.#times;
    const orders = this.#orders;
    const time = times[last] as number;
    const order = orders[last] as number;
    let at = 0;
    for (;;) {
      const first = at * BRANCHES + 1;
      if (first >= last) break;
      const end = Math.min(first + BRANCHES, last);
      let least = first;
      for (let child = first + 1; child < end; child++) {
        const a = times[child] as number;
        const b = times[least] as number;
        if (a < b || (a === b && (orders[child] as number) < (orders[least] as number))) least = child;
      }
      const a = times[least] as number;
      if (time < a || (time === a && order < (orders[least] as number))) break;
      this.#move(least, at);
      at = least;
    }
    if (at !== last) this.#move(last, at);
  }

  #put(at: number, time: number, order: number, kind: number, a: number, b: number, c: number): void {
    this.#times[at] = time;
    this.#orders[at] = order;
    this.#kinds[at] = kind;
    this.#as[at] = a;
    this.#bs[at] = b;
    this.#cs[at] = c;
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#orders[to] = this.#orders[from] as number;
    this.#kinds[to] = this.#kinds[from] as number;
    this.#as[to] = this.#as[from] as number;
    this.#bs[to] = this.#bs[from] as number;
    this.#cs[to] = this.#cs[from] as number;
  }

  #grow(): void {
    const length = this.#times.length * 2;
    this.#times = extended(this.#times, new Float64Array(length));
    this.#orders = extended(this.#orders, new Float64Array(length));
    this.#kinds = extended(this.#kinds, new Uint8Array(length));
    this.#as = extended(this.#as, new Int32Array(length));
    this.#bs = extended(this.#bs, new Int32Array(length));
    this.#cs = extended(this.#cs, new Int32Array(length));
  }
}

function extended<T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
