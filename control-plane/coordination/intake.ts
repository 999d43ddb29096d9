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
/** Cells of a report. */
const FEW = 16;

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

  /** `hello` is kept. */
  constructor(hello: Introduced, parts: IntakeParts, now: number) {
    this.#hello = hello;
    this.#parts = parts;
    this.#plausible = new Plausible(hello.concurrency, now);
  }

  take({ elapsedMs, cells, probes }: Pick<Report, 'elapsedMs' | 'cells' | 'probes'>, now: number): void {
    const { governed, coordinator, urgent } = this.#parts;
    this.#plausible.elapsed(elapsedMs, now);
    if (!governed.any) return;
    const { agent, zone } = this.#hello;
    let bad = false;
    for (const { circuit, endpoint, calls, failed, slow, blocked } of this.#sums(cells)) {
      const heard = { agent, zone, endpoint, calls, failed, slow, blocked };
      bad = coordinator.heard(circuit, heard, now) || bad;
    }
    for (const { circuit, permit, ok } of probes) coordinator.probed(circuit, agent, permit, ok, now);
    if (bad || probes.length > 0) urgent();
  }

  /** Cells that differ in their method alone are one word about a circuit. */
  #sums(cells: Report['cells']): readonly Sum[] {
    const { governed, discarded } = this.#parts;
    const { service, instance } = this.#hello;
    const sums = cells.length > FEW ? new ManySums() : new FewSums();
    for (const cell of cells) {
      const { callee, method, ok, failed, slow, blocked } = cell;
      const calls = ok + failed;
      if (slow > calls || !this.#plausible.spend(calls)) {
        discarded();
        continue;
      }
      const endpoint = cell.endpoint.length > ENDPOINT_LENGTH_MAX ? '' : cell.endpoint;
      for (const circuit of governed.circuitsOf(service, instance, callee, method)) {
        const sum = sums.of(circuit, endpoint);
        sum.calls += calls;
        sum.failed += failed;
        sum.slow += slow;
        sum.blocked += blocked;
      }
    }
    return sums.all;
  }
}

/** Most reports have a handful of cells, and looking through the sums costs less than a key. */
class FewSums {
  readonly all: Sum[] = [];

  of(circuit: string, endpoint: string): Sum {
    for (const sum of this.all) if (sum.circuit === circuit && sum.endpoint === endpoint) return sum;
    return added(this.all, circuit, endpoint);
  }
}

class ManySums {
  readonly all: Sum[] = [];
  readonly #byKey = new Map<string, Sum>();

  of(circuit: string, endpoint: string): Sum {
    const key = `${circuit} ${endpoint}`;
    const sum = this.#byKey.get(key) ?? added(this.all, circuit, endpoint);
    this.#byKey.set(key, sum);
    return sum;
  }
}

function added(all: Sum[], circuit: string, endpoint: string): Sum {
  const sum = { circuit, endpoint, calls: 0, failed: 0, slow: 0, blocked: 0 };
  all.push(sum);
  return sum;
}
