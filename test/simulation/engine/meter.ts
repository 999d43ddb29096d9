/**
 * Keeps count of a run. It sees what no part of the mesh sees: when a callee truly fell sick, which attempt was a probe, and
 * what the store's record says at the moment at which an agent is told something else.
 */
import { decodeRecord } from '../../../core/coordination/record-text.js';
import type { Callee } from './callee.js';
import type { Loop } from './loop.js';
import type { Metrics, Moment, Outcome, Sample } from './outcome.js';

interface Known {
  state: Moment['state'];
  epoch: number;
  ejected: number;
}

export class Meter {
  wasted = 0;
  failed = 0;
  failedWhenWell = 0;
  newcomersFailed = 0;
  rejected = 0;
  rejectedWhenWell = 0;
  strays = 0;
  reconnects = 0;
  lostRaces = 0;
  #stale = 0;
  #openings = 0;
  #transitions = 0;
  #ejections = 0;
  #fellSickAt: number | undefined;
  #wellAt = 0;
  #closedAt = 0;
  #allOpenMs = Number.POSITIVE_INFINITY;
  readonly #circuits = new Map<string, Known>();
  /** When each epoch ended, by circuit without its zone: those of its zones form one line. */
  readonly #ended = new Map<string, number>();
  readonly #probes = new Map<string, number>();
  readonly #moments: Moment[] = [];
  readonly #samples: Sample[] = [];
  /** By callee: callers, and how many of them don't let every call through. */
  readonly callers: number[];
  readonly shut: number[];

  constructor(
    private readonly loop: Loop,
    private readonly callees: readonly Callee[],
    private readonly idOf: (callee: number) => string,
  ) {
    this.callers = callees.map(() => 0);
    this.shut = callees.map(() => 0);
  }

  /** `period`: the mesh's half-open period whose permit let it through; -1: none did. */
  attempt(
    callee: number,
    probe: boolean,
    period: number,
    failed: boolean,
    bad: boolean,
    newcomer: boolean,
  ): void {
    const well = (this.callees[callee] as Callee).sickSince === undefined;
    if (failed) this.failed++;
    if (period >= 0) {
      const key = `${callee} ${period}`;
      this.#probes.set(key, (this.#probes.get(key) ?? 0) + 1);
    }
    if (probe) return;
    if (bad && !well) this.wasted++;
    if (failed && well) this.failedWhenWell++;
    if (failed && newcomer) this.newcomersFailed++;
    if (this.#allOpenMs !== Number.POSITIVE_INFINITY) this.#countStray(callee);
  }

  reject(callee: number): void {
    this.rejected++;
    if ((this.callees[callee] as Callee).sickSince === undefined) this.rejectedWhenWell++;
  }

  /** A caller's circuit lets not every call through any more, or does again. */
  shutChanged(callee: number, by: 1 | -1): void {
    this.shut[callee] = (this.shut[callee] as number) + by;
    if (this.#allOpenMs !== Number.POSITIVE_INFINITY || by < 0) return;
    const { sickSince } = this.callees[callee] as Callee;
    if (sickSince !== undefined && (this.shut[callee] as number) >= (this.callers[callee] as number))
      this.#allOpenMs = this.loop.now - (this.#fellSickAt ?? sickSince);
  }

  /** Something was made to happen to callees. */
  health(): void {
    const sick = this.callees.some(({ sickSince }) => sickSince !== undefined);
    if (sick) this.#fellSickAt ??= this.loop.now;
    else if (this.#fellSickAt !== undefined) this.#wellAt = this.loop.now;
  }

  /** The store has a new record. */
  recorded(circuit: string, body: string): void {
    const record = decodeRecord(circuit, body);
    if (!record) throw new Error(`the store was given a record of ${circuit} that is none: ${body}`);
    const { state, epoch, reason } = record;
    const ejected = record.ejections.filter(({ leftMs }) => leftMs > 0).length;
    const known = this.#circuits.get(circuit) ?? { state: 'closed', epoch: 0, ejected: 0 };
    this.#circuits.set(circuit, known);
    this.#ejections = Math.max(this.#ejections, ejected);
    const moved = known.state !== state || known.epoch !== epoch;
    if (!moved && known.ejected === ejected) return;
    if (known.epoch !== epoch) this.#ended.set(epochKey(circuit, known.epoch), this.loop.now);
    const changed = known.state !== state;
    if (changed) this.#transitions++;
    if (state === 'open' && known.state !== 'open') this.#openings++;
    Object.assign(known, { state, epoch, ejected });
    this.#moments.push({ atMs: this.loop.now, circuit, state, epoch, ejected, reason });
    if (changed && this.#allClosed) this.#closedAt = this.loop.now;
  }

  /** The store has lost all records. */
  lost(): void {
    this.#circuits.clear();
    this.#ended.clear();
  }

  /** An agent has accepted what it was told. */
  accepted(circuit: string, epoch: number): void {
    const endedAt = this.#ended.get(epochKey(circuit, epoch));
    if (endedAt !== undefined) this.#stale = Math.max(this.#stale, this.loop.now - endedAt);
  }

  sample(): void {
    const callers = this.callers.reduce((sum, count) => sum + count, 0);
    const shut = this.shut.reduce((sum, count) => sum + count, 0);
    this.#samples.push({
      atMs: this.loop.now,
      wasted: this.wasted,
      failed: this.failed,
      rejected: this.rejected,
      open: callers === 0 ? 0 : shut / callers,
    });
  }

  outcome(operations: number): Outcome {
    const metrics: Metrics = {
      wasted: this.wasted,
      failed: this.failed,
      'failed-when-well': this.failedWhenWell,
      'newcomers-failed': this.newcomersFailed,
      rejected: this.rejected,
      'rejected-when-well': this.rejectedWhenWell,
      'probes-per-epoch': Math.max(0, ...this.#probes.values()),
      strays: this.strays,
      opened: new Set(this.#moments.filter(({ state }) => state === 'open').map(({ circuit }) => circuit))
        .size,
      openings: this.#openings,
      transitions: this.#transitions,
      'all-open': this.#allOpenMs,
      healed: this.#allClosed ? Math.max(0, this.#closedAt - this.#wellAt) : Number.POSITIVE_INFINITY,
      stale: this.#stale,
      ejections: this.#ejections,
      reconnects: this.reconnects,
      'store-operations-per-second': operations / (this.loop.now / 1_000),
      'lost-races': this.lostRaces,
    };
    return { metrics, moments: this.#moments, samples: this.#samples, events: this.loop.events };
  }

  get #allClosed(): boolean {
    return [...this.#circuits.values()].every(({ state }) => state === 'closed');
  }

  #countStray(callee: number): void {
    const state = this.#circuits.get(this.idOf(callee))?.state;
    if (state === 'open' || state === 'half-open') this.strays++;
  }
}

function epochKey(circuit: string, epoch: number): string {
  return `${circuit.split('@')[0]} ${epoch}`;
}
