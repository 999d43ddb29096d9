/**
 * Which instances of a callee outlier detection would leave out, by the rules of gRPC A50 as `outlier` has them: for a policy in
 * shadow, beside calls that all go on. Where the section is enforced, grpc-js decides. No timer: an interval is judged with the
 * first call after it.
 *
 * A call to an instance that would be left out counts nowhere, since it would have gone elsewhere. Which instances there are is known
 * from the calls alone. Bound: 1,000 instances; those without a call in a whole interval are forgotten once they would be back.
 */
import type { OutlierSpec } from '../policy/model.js';

const HOSTS_MAX = 1_000;
/** A fraction of a whole number of instances may come out this much below it. */
const ROUNDING = 1e-9;

interface Host {
  ok: number;
  failed: number;
  /** Monotonic; 0: it is in. */
  outUntil: number;
  /** How many times as long the next time. */
  times: number;
}

/** An instance that would be left out from now on. Where not all may be, the first by address. */
export interface WouldEject {
  readonly address: string;
  readonly forMs: number;
  readonly failed: number;
  readonly calls: number;
}

const none: readonly WouldEject[] = [];

export class OutlierWatch {
  readonly #hosts = new Map<string, Host>();
  #spec: OutlierSpec;
  #endsAt: number;

  constructor(spec: OutlierSpec, now: number) {
    this.#spec = spec;
    this.#endsAt = now + spec.intervalMs;
  }

  /** Instances that are known; for tests of the bound. */
  get size(): number {
    return this.#hosts.size;
  }

  /** Other settings from here on; what was counted stays. */
  reconfigure(spec: OutlierSpec, now: number): void {
    this.#spec = spec;
    this.#endsAt = Math.min(this.#endsAt, now + spec.intervalMs);
  }

  /** A call to this instance ended at `now`. Answers whom the interval before it would leave out, which is told once. */
  record(address: string, ok: boolean, now: number): readonly WouldEject[] {
    const told = now >= this.#endsAt ? this.#judge(now) : none;
    const host = this.#hosts.get(address) ?? this.#begin(address);
    if (host === undefined || host.outUntil > now) return told;
    if (ok) host.ok++;
    else host.failed++;
    return told;
  }

  #begin(address: string): Host | undefined {
    if (this.#hosts.size >= HOSTS_MAX) return undefined;
    const host = { ok: 0, failed: 0, outUntil: 0, times: 0 };
    this.#hosts.set(address, host);
    return host;
  }

  #judge(now: number): readonly WouldEject[] {
    const { intervalMs } = this.#spec;
    const intervals = 1 + Math.floor((now - this.#endsAt) / intervalMs);
    this.#endsAt += intervals * intervalMs;
    const told = this.#candidates(now);
    for (const [address, host] of this.#hosts) {
      const idle = host.ok + host.failed === 0;
      host.ok = host.failed = 0;
      if (host.outUntil > now) continue;
      // The look that takes it back forgives nothing: if it fails again at once, it stays out longer.
      const inFor = host.outUntil === 0 ? intervals : intervals - 1;
      host.outUntil = 0;
      host.times = Math.max(0, host.times - inFor);
      if (idle && host.times === 0) this.#hosts.delete(address);
    }
    return told;
  }

  #candidates(now: number): readonly WouldEject[] {
    const { failureRate, minimumCalls, minimumHosts, maxEjected, ejectForMs, maxEjectForMs } = this.#spec;
    const enough = [...this.#hosts].filter(([, { ok, failed }]) => ok + failed >= minimumCalls);
    if (enough.length < minimumHosts) return none;
    enough.sort(([a], [b]) => (a < b ? -1 : 1));
    let room = Math.floor(maxEjected * this.#hosts.size + ROUNDING);
    for (const { outUntil } of this.#hosts.values()) if (outUntil > now) room--;
    const told: WouldEject[] = [];
    for (const [address, host] of enough) {
      const calls = host.ok + host.failed;
      if (told.length >= room || host.outUntil > now || host.failed / calls < failureRate) continue;
      host.times++;
      const forMs = Math.min(ejectForMs * host.times, Math.max(ejectForMs, maxEjectForMs));
      host.outUntil = now + forMs;
      told.push({ address, forMs, failed: host.failed, calls });
    }
    return told;
  }
}
