/**
 * This instance's place in the registry: a lease that lives on the stream. What was registered is said again on every new
 * stream; a store that is away is asked again until it is back; a refusal that time doesn't heal is told to whoever waits.
 *
 * Bound: one lease an agent, since it is one instance; a second registration takes the place of the first.
 */
import type { Clock, Timer } from '../core/clock.js';
import { controlCodes, type ErrorCode, MeshError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { LeaseResult } from '../proto/messages.js';
import type { Logger } from './logger.js';
import type { Outlet } from './stream.js';

/** Under what this instance is reached. */
export interface Place {
  /** `host:port`; `:port` stands for the address the control plane sees. */
  readonly address: string;
  readonly protocol: string;
  readonly version: string;
}

interface Wanted extends Place {
  readonly requestId: string;
  waiting: { resolve(): void; reject(error: MeshError): void }[];
}

const RETRY_MS = { first: 500, max: 30_000 };
const KEEP_ALIVE_MS = 60_000;
const WEIGHT = 1;

/** Refusals that are over some time. */
const passing: ReadonlySet<string> = new Set([
  'store_unavailable',
  'unavailable',
  'internal',
  'rate_limited_request',
]);

export class Registration {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  #outlet: Outlet | undefined;
  #wanted: Wanted | undefined;
  #held = false;
  #retry: Timer | undefined;
  #refusals = 0;
  /** While somebody waits for an answer the process must not end underneath. */
  #keepAlive: Timer | undefined;
  #release: { readonly requestId: string; done(): void } | undefined;

  constructor({ clock, random, logger }: { clock: Clock; random: Random; logger: Logger }) {
    this.#clock = clock;
    this.#random = random;
    this.#logger = logger;
  }

  /** Whether the control plane holds the lease, as far as we were told. */
  get held(): boolean {
    return this.#held;
  }

  /** The address that was registered, or is to be. */
  get address(): string | undefined {
    return this.#wanted?.address;
  }

  /**
   * Resolves once it is stored, however long the control plane is away. Rejects with the control plane's refusal
   * (`invalid_request`, `revision_conflict` …), with `mesh_closed`, or when another registration takes its place.
   */
  register(place: Place): Promise<void> {
    const former = this.#wanted;
    this.#settle(
      former,
      new MeshError('revision_conflict', 'another call of register took the place of this one'),
    );
    const wanted: Wanted = { ...place, requestId: this.#random.hex(8), waiting: [] };
    this.#wanted = wanted;
    this.#held = false;
    this.#keepAlive ??= this.#clock.every(KEEP_ALIVE_MS, () => {}, { ref: true });
    const stored = new Promise<void>((resolve, reject) => wanted.waiting.push({ resolve, reject }));
    this.#say();
    return stored;
  }

  /** A stream that counts, or none. */
  use(outlet: Outlet | undefined): void {
    this.#outlet = outlet;
    this.#refusals = 0;
    this.#held = false;
    if (!outlet) this.#release?.done();
    this.#say();
  }

  result({ requestId, error, code }: LeaseResult): void {
    if (this.#release?.requestId === requestId) this.#release.done();
    const wanted = this.#wanted;
    if (wanted?.requestId !== requestId) return;
    if (error === '') {
      this.#held = true;
      this.#refusals = 0;
      this.#settle(wanted);
    } else {
      this.#held = false;
      this.#refused(wanted, error, code);
    }
  }

  /** Gives the lease back and waits for the answer, `timeoutMs` at most. */
  release(timeoutMs: number): Promise<void> {
    const { address = '', protocol = '', version = '' } = this.#wanted ?? {};
    const outlet = this.#outlet;
    this.close();
    if (!outlet || address === '') return Promise.resolve();
    const requestId = this.#random.hex(8);
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#release = undefined;
        resolve();
      };
      const timer = this.#clock.after(timeoutMs, done, { ref: true });
      this.#release = { requestId, done };
      const lease = { requestId, release: true, address, protocol, version, weight: WEIGHT };
      outlet.send({ message: 'lease', lease });
    });
  }

  /** Rejects who waits; nothing is said any more. */
  close(): void {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    this.#held = false;
    this.#retry?.cancel();
    this.#settle(
      wanted,
      new MeshError('mesh_closed', 'the mesh was closed before the registration was stored'),
    );
  }

  #say(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    if (!this.#wanted) return;
    const { requestId, address, protocol, version } = this.#wanted;
    const lease = { requestId, release: false, address, protocol, version, weight: WEIGHT };
    this.#outlet?.send({ message: 'lease', lease });
  }

  #refused(wanted: Wanted, error: string, code: string): void {
    const fields = { address: wanted.address, code };
    if (passing.has(code)) {
      this.#logger.warn(fields, `not registered yet: ${error}`);
      const limitMs = Math.min(RETRY_MS.max, RETRY_MS.first * 2 ** Math.min(this.#refusals++, 16));
      this.#retry = this.#clock.after(limitMs * (0.5 + this.#random.next() / 2), () => this.#say());
      return;
    }
    if (wanted.waiting.length === 0) this.#logger.error(fields, `this instance is not registered: ${error}`);
    else this.#wanted = undefined;
    this.#settle(wanted, new MeshError(codeOf(code), error));
  }

  #settle(wanted: Wanted | undefined, error?: MeshError): void {
    if (!wanted) return;
    const { waiting } = wanted;
    wanted.waiting = [];
    for (const { resolve, reject } of waiting) {
      if (error) reject(error);
      else resolve();
    }
    this.#keepAlive?.cancel();
    this.#keepAlive = undefined;
  }
}

function codeOf(code: string): ErrorCode {
  return controlCodes.find((known) => known === code) ?? 'invalid_request';
}
