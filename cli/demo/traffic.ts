/**
 * What the customers saw, phase by phase: every call counted in the phase in which it began, whenever it ended. Memory is bounded
 * by the demo's length: some 50 outcomes a second, and with `--keep` nothing is collected any more.
 */
import type { Child } from './children.js';

export interface Figures {
  readonly calls: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Failed calls by gRPC status code. */
  readonly failures: Readonly<Record<number, number>>;
}

export class Traffic {
  readonly #customers: Child;
  readonly #outcomes = new Map<string, { latencyMs: number; code: number }[]>();
  readonly #settled = new Map<string, () => void>();

  constructor(customers: Child) {
    this.#customers = customers;
    customers.onMessage((message) => this.#receive(message));
  }

  /** Calls that begin from now on belong to this phase; `''`: to none. */
  label(phase: string): void {
    if (phase !== '') this.#outcomes.set(phase, []);
    this.#customers.send(phase);
  }

  /** Ends a phase and waits for its last call. */
  async settle(phase: string): Promise<Figures> {
    const settled = new Promise<void>((resolve) => this.#settled.set(phase, resolve));
    this.label('');
    await settled;
    return figuresOf(this.#outcomes.get(phase) ?? []);
  }

  #receive(message: unknown): void {
    const { label, latencyMs, code, settled } = Object(message) as Record<string, unknown>;
    if (typeof settled === 'string') this.#settled.get(settled)?.();
    else if (typeof latencyMs === 'number' && typeof code === 'number')
      this.#outcomes.get(String(label))?.push({ latencyMs, code });
  }
}

/** Percentiles by nearest rank; all zero without calls. */
export function figuresOf(outcomes: readonly { latencyMs: number; code: number }[]): Figures {
  const latencies = outcomes.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.max(0, Math.ceil(share * latencies.length) - 1)] ?? 0;
  const failures: Record<number, number> = {};
  for (const { code } of outcomes) if (code !== 0) failures[code] = (failures[code] ?? 0) + 1;
  return {
    calls: outcomes.length,
    failed: outcomes.filter(({ code }) => code !== 0).length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failures,
  };
}
