/**
 * What became of one target's calls by the instance that they went to, since the last report: the mesh finds by it that two of ten
 * instances are sick rather than the service. Only kept where the circuit is one of the mesh.
 *
 * Bound: 64 instances between two reports; calls to others count for the target alone.
 */
import type { Outcome } from '../core/resilience/outcome.js';

const ENDPOINTS_MAX = 64;
const LENGTH_MAX = 256;
const address = /^(\[[^\]\s]+\]|[^:/\s]+):\d+$/;

/** `host:port`, as the registry has it; grpc-js names the channel's target where a call has no connection. */
export function isInstance(name: string): boolean {
  return name.length <= LENGTH_MAX && address.test(name);
}

export interface EndpointCount {
  readonly endpoint: string;
  ok: number;
  failed: number;
  slow: number;
}

export class EndpointCounts {
  #counts = new Map<string, EndpointCount>();

  count(endpoint: string, outcome: Outcome, slow: boolean): void {
    if (outcome === 'neutral') return;
    const count = this.#counts.get(endpoint) ?? this.#begin(endpoint);
    if (count === undefined) return;
    if (outcome === 'success') count.ok++;
    else count.failed++;
    if (slow) count.slow++;
  }

  /** Those that had calls since the last time. */
  drain(): readonly EndpointCount[] {
    if (this.#counts.size === 0) return [];
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    return counts;
  }

  #begin(endpoint: string): EndpointCount | undefined {
    if (this.#counts.size >= ENDPOINTS_MAX || !isInstance(endpoint)) return undefined;
    const count = { endpoint, ok: 0, failed: 0, slow: 0 };
    this.#counts.set(endpoint, count);
    return count;
  }
}
