/**
 * What an agent tells a replica in one report: counts of its calls, and what probes came to.
 */
import type { Heard } from '../../../core/coordination/model.js';

export interface Row {
  /** By number. */
  readonly callee: number;
  readonly heard: Heard;
}

export interface ProbeResult {
  readonly callee: number;
  readonly permit: number;
  readonly ok: boolean;
}

export interface AgentReport {
  readonly agent: number;
  /** Of the agent's streams, the one that it was sent on. */
  readonly stream: number;
  readonly rows: readonly Row[];
  readonly probes: readonly ProbeResult[];
}

const nothing: readonly ProbeResult[] = [];

/** Results that wait for the next report; no more than the mesh has permits. */
export class AgentProbes {
  readonly #waiting = new Map<number, ProbeResult[]>();

  add(agent: number, callee: number, permit: number, ok: boolean): void {
    const list = this.#waiting.get(agent) ?? [];
    list.push({ callee, permit, ok });
    this.#waiting.set(agent, list);
  }

  drain(agent: number): readonly ProbeResult[] {
    const list = this.#waiting.get(agent);
    if (!list) return nothing;
    this.#waiting.delete(agent);
    return list;
  }
}
