/**
 * What one connection says of circuits of the mesh: the cells of its reports, merged by circuit and endpoint, and what its probes came
 * to. It speaks for the agent of its Hello, whatever a payload says. That a report is the next one of this process was looked at
 * before (`grpc/reports.ts`); that it can be true is looked at here.
 */
import type { CoordinatorPart } from '../../core/coordination/contract.js';
import type { Hello, Report } from '../../proto/messages.js';
import type { GovernedCircuits } from './governed.js';
import { Plausible } from './plausible.js';

const ENDPOINT_LENGTH_MAX = 256;

export interface IntakeParts {
  readonly governed: GovernedCircuits;
  readonly coordinator: Pick<CoordinatorPart, 'heard' | 'probed'>;
  /** Counts that can't be true. */
  discarded(): void;
  /** Something turned bad, or a probe has come to something. */
  urgent(): void;
}

export type Introduced = Pick<Hello, 'agent' | 'service' | 'instance' | 'zone' | 'concurrency'>;

interface Sum {
  readonly circuit: string;
  readonly endpoint: string;
  calls: number;
  failed: number;
  slow: number;
  blocked: number;
}

export class Intake {
  readonly #hello: Introduced;
  readonly #parts: IntakeParts;
  readonly #plausible: Plausible;

  constructor(hello: Introduced, parts: IntakeParts, now: number) {
    const { agent, service, instance, zone, concurrency } = hello;
    this.#hello = { agent, service, instance, zone, concurrency };
    this.#parts = parts;
    this.#plausible = new Plausible(concurrency, now);
  }

  take({ elapsedMs, cells, probes }: Pick<Report, 'elapsedMs' | 'cells' | 'probes'>, now: number): void {
    const { governed, coordinator, urgent } = this.#parts;
    this.#plausible.elapsed(elapsedMs, now);
    if (!governed.any) return;
    const { agent, zone } = this.#hello;
    let bad = false;
    for (const { circuit, ...counts } of this.#sums(cells))
      bad = coordinator.heard(circuit, { agent, zone, ...counts }, now) || bad;
    for (const { circuit, permit, ok } of probes) coordinator.probed(circuit, agent, permit, ok, now);
    if (bad || probes.length > 0) urgent();
  }

  #sums(cells: Report['cells']): Iterable<Sum> {
    const { governed, discarded } = this.#parts;
    const { service, instance } = this.#hello;
    const sums = new Map<string, Sum>();
    for (const { callee, method, ok, failed, slow, blocked, ...cell } of cells) {
      const calls = ok + failed;
      if (slow > calls || !this.#plausible.spend(calls)) {
        discarded();
        continue;
      }
      const endpoint = cell.endpoint.length > ENDPOINT_LENGTH_MAX ? '' : cell.endpoint;
      for (const circuit of governed.circuitsOf(service, instance, callee, method)) {
        const key = `${circuit} ${endpoint}`;
        const sum = sums.get(key) ?? { circuit, endpoint, calls: 0, failed: 0, slow: 0, blocked: 0 };
        sum.calls += calls;
        sum.failed += failed;
        sum.slow += slow;
        sum.blocked += blocked;
        sums.set(key, sum);
      }
    }
    return sums.values();
  }
}
