/**
 * The brownout as streams are told of it: the whole of it, the latest wins, nobody answers. Each stream keeps one number, the
 * version that it was told last, so one that takes nothing misses nothing and holds nothing. The bytes are the same for all; since
 * what is left of a time is in them, they are made anew once a second at most.
 */
import type { Clock } from '../../core/clock.js';
import type { Brownout } from '../ports.js';
import type { Encode } from './bodies.js';
import type { Outlet } from './outlet.js';

const BYTES_VALID_MS = 1000;

export class BrownoutBodies {
  readonly #brownout: Brownout;
  readonly #encode: Encode;
  readonly #clock: Clock;
  #body: { readonly version: number; readonly atMs: number; readonly bytes: Buffer } | undefined;

  constructor(parts: { readonly brownout: Brownout; readonly encode: Encode; readonly clock: Clock }) {
    this.#brownout = parts.brownout;
    this.#encode = parts.encode;
    this.#clock = parts.clock;
  }

  /** Undefined: there is nothing to tell yet. */
  get version(): number | undefined {
    return this.#brownout.version;
  }

  bytes(version: number): Buffer {
    const atMs = this.#clock.now();
    const known = this.#body;
    if (known?.version === version && atMs - known.atMs < BYTES_VALID_MS) return known.bytes;
    const bytes = this.#encode({ message: 'brownout', brownout: this.#brownout.message() });
    this.#body = { version, atMs, bytes };
    return bytes;
  }
}

/** One stream's part. */
export class BrownoutFeed {
  readonly #bodies: BrownoutBodies | undefined;
  #told: number | undefined;

  /** `minor`: of the protocol that the agent speaks; 1.0 has no word for it and would end its stream. */
  constructor(bodies: BrownoutBodies | undefined, minor: number) {
    this.#bodies = minor >= 1 ? bodies : undefined;
  }

  write(outlet: Outlet): void {
    const version = this.#bodies?.version;
    if (!this.#bodies || version === undefined || version === this.#told || outlet.blocked) return;
    this.#told = version;
    outlet.write(this.#bodies.bytes(version));
  }
}
