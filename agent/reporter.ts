/**
 * Tells the control plane how this agent's calls fare: once a second what had traffic since the last time, circuits as they
 * change, and all of them at the start of a stream. What turns bad under a circuit of the mesh, and what became of its probes, is
 * told at once. It reads counters that the calls keep anyway; no call waits for it. What nobody listens to is dropped, not saved up.
 *
 * Bound: 10,000 cells, 10,000 circuits, 1,000 probes and 1,000 rates a time, in messages of at most 400 of each, which stay below the wire's 4 MiB with the
 * longest of names; a stream whose peer reads slowly is left alone until it has caught up, and the counts of that time come
 * together.
 */
import type { Clock, Timer } from '../core/clock.js';
import type {
  CircuitState,
  Intervals,
  ProbeResult,
  RateDemand,
  Cell as WireCell,
} from '../proto/messages.js';
import type { Outlet } from './stream.js';
import type { Cell, CircuitChange, Targets } from './targets.js';

const REPORT_MS = { default: 1_000, min: 100, max: 60_000 };
const URGENT_MS = { default: 100, min: 20, max: 10_000 };
const ROWS_MAX = 10_000;
/** As many as the control plane grants to one agent. */
const RATES_MAX = 1_000;
const PROBES_MAX = 1_000;
const MESSAGE_ROWS_MAX = 400;
const NAME_LENGTH_MAX = 256;
const METHOD_LENGTH_MAX = 512;
const RATE_ID_LENGTH_MAX = 1_024;
const COUNT_MAX = 2 ** 32 - 1;
const REASON_LENGTH_MAX = 1_000;

/** What it reads. */
export interface Reported extends Pick<Targets, 'circuits' | 'circuitsMade' | 'drainCells'> {
  /** Limits of `scope: cluster` that were asked for tokens since the last time, and how often. */
  rateDemands(): readonly RateDemand[];
}

export class Reporter {
  readonly #clock: Clock;
  readonly #targets: Reported;
  #outlet: Outlet | undefined;
  #seq = 0;
  #first = true;
  #lastAt: number;
  /** When something was sent last; a look that found nothing to tell delays nobody. */
  #sentAt = Number.NEGATIVE_INFINITY;
  /** The control plane coordinates circuits: it wants to know at once, and where calls went. */
  #cluster = false;
  #probes: ProbeResult[] = [];
  #urgentMs = URGENT_MS.default;
  #timer: Timer | undefined;
  #urgent: Timer | undefined;
  /** Circuits to be told of, by id: the last change of each. */
  readonly #changed = new Map<string, CircuitState>();
  /** Circuits that were told of on this stream, each as it was told last. */
  readonly #told = new Map<string, CircuitState>();
  /** How many had ever been made when they were last looked through. */
  #made = 0;

  constructor(clock: Clock, targets: Reported) {
    this.#clock = clock;
    this.#targets = targets;
    this.#lastAt = clock.now();
  }

  /** Begins to count; until a stream counts, for nobody. */
  start(): void {
    this.#timer = this.#clock.every(REPORT_MS.default, () => this.#report());
  }

  /** A stream that counts, or none. What happened while there was none is history. */
  use(outlet: Outlet | undefined, intervals?: Intervals, cluster = false): void {
    this.#outlet = outlet;
    this.#cluster = cluster;
    this.#probes = [];
    this.#changed.clear();
    this.#told.clear();
    this.#drain();
    this.#lastAt = this.#clock.now();
    this.#first = true;
    if (!outlet || !intervals) return;
    this.#urgentMs = within(intervals.urgentReportMs, URGENT_MS);
    this.#timer?.cancel();
    this.#timer = this.#clock.every(within(intervals.reportMs, REPORT_MS), () => this.#report());
    this.#report();
  }

  /** A circuit changed: told at once, but for what was told within the last 100 ms. */
  circuit(change: CircuitChange): void {
    if (!this.#outlet || this.#first) return;
    this.#add(stateOf(change));
  }

  /** Calls under a circuit of the mesh begin to fail or to be slow. */
  bad(): void {
    if (this.#cluster && this.#outlet && !this.#first) this.#hurry();
  }

  /** An attempt that a probe permit of the mesh let through has come to something. */
  probed(circuit: string, permit: number, ok: boolean): void {
    if (!this.#cluster || !this.#outlet || this.#probes.length >= PROBES_MAX) return;
    this.#probes.push({ circuit, permit, ok });
    this.#hurry();
  }

  #add(state: CircuitState): void {
    if (this.#changed.size >= ROWS_MAX && !this.#changed.has(state.id)) return;
    this.#changed.set(state.id, state);
    this.#hurry();
  }

  #hurry(): void {
    const waitMs = Math.max(0, this.#sentAt + this.#urgentMs - this.#clock.now());
    this.#urgent ??= this.#clock.after(waitMs, () => this.#report(true));
  }

  /**
   * Policies changed: a circuit that no policy asks for any more is told of for the last time, one that is another now (watched
   * instead of enforced, of a newer revision) once more.
   */
  refreshed(): void {
    if (!this.#outlet || this.#first) return;
    const present = new Map(this.#targets.circuits().map((row) => [row.id, row]));
    for (const [id, said] of [...this.#told, ...this.#changed]) {
      const row = present.get(id);
      const pending = this.#changed.get(id) ?? said;
      if (!row) this.#add({ ...said, state: 'disabled', retryAfterMs: 0, reason: 'no policy asks for it' });
      else if (differs(pending, row)) this.#add(stateOf(row));
    }
  }

  close(): void {
    this.#outlet = undefined;
    this.#timer?.cancel();
    this.#urgent?.cancel();
  }

  /** A circuit is told of once when it comes into being, so that whoever looks finds the ones that are in force. */
  #findNew(): void {
    const made = this.#targets.circuitsMade;
    if (!this.#first && made === this.#made) return;
    this.#made = made;
    const rows = this.#targets.circuits();
    if (this.#told.size >= ROWS_MAX) this.#forgetGone(new Set(rows.map(({ id }) => id)));
    for (const row of rows) {
      const pending = this.#changed.get(row.id);
      const said = pending ?? this.#told.get(row.id);
      // One that went and is back before anybody was told: it is there.
      if (said && !differs(said, row)) continue;
      if (!pending && this.#changed.size >= ROWS_MAX) return;
      this.#changed.set(row.id, stateOf(row));
    }
  }

  /** Circuits that had to make room for others went without a word; what was told of them makes room as well. */
  #forgetGone(present: ReadonlySet<string>): void {
    for (const id of this.#told.keys()) if (!present.has(id)) this.#told.delete(id);
  }

  /** What nobody listens to. */
  #drain(): void {
    this.#targets.drainCells();
    this.#targets.rateDemands();
  }

  #report(urgent = false): void {
    this.#urgent?.cancel();
    this.#urgent = undefined;
    const outlet = this.#outlet;
    if (!outlet) {
      this.#drain();
      return;
    }
    if (outlet.congested) return;
    const cells = this.#targets
      .drainCells(urgent)
      .filter(travels)
      .slice(0, ROWS_MAX)
      .map((cell) => wireCell(cell, this.#cluster));
    const probes = this.#probes.splice(0);
    const rates = this.#targets.rateDemands().filter(ratesTravel).slice(0, RATES_MAX).map(wireRate);
    this.#findNew();
    const circuits = [...this.#changed.values()].filter(travels);
    this.#changed.clear();
    for (const state of circuits) {
      if (state.state === 'disabled') this.#told.delete(state.id);
      else if (this.#told.size < ROWS_MAX || this.#told.has(state.id)) this.#told.set(state.id, state);
    }
    const now = this.#clock.now();
    let elapsedMs = Math.round(now - this.#lastAt);
    this.#lastAt = now;
    const rows = Math.max(cells.length, circuits.length, rates.length, probes.length, this.#first ? 1 : 0);
    this.#first = false;
    if (rows > 0) this.#sentAt = now;
    for (let at = 0; at < rows; at += MESSAGE_ROWS_MAX) {
      const report = {
        seq: ++this.#seq,
        elapsedMs,
        cells: cells.slice(at, at + MESSAGE_ROWS_MAX),
        probes: probes.slice(at, at + MESSAGE_ROWS_MAX),
        rates: rates.slice(at, at + MESSAGE_ROWS_MAX),
        circuits: circuits.slice(at, at + MESSAGE_ROWS_MAX),
      };
      outlet.send({ message: 'report', report });
      elapsedMs = 0;
    }
  }
}

/** What it is, not how long it still is: a circuit whose time runs is told of once. */
function differs(said: CircuitState, { to, policy, revision, epoch }: CircuitChange): boolean {
  return said.state !== to || said.policy !== policy || said.revision !== revision || said.epoch !== epoch;
}

/** Names that the wire has no room for stay here: nothing at the control plane could speak of them. */
function travels({ callee, method }: { callee: string; method: string }): boolean {
  return (
    callee !== '' &&
    callee.length <= NAME_LENGTH_MAX &&
    method.length <= METHOD_LENGTH_MAX &&
    !/\p{C}/u.test(callee + method)
  );
}

function ratesTravel({ id }: RateDemand): boolean {
  return id.length <= RATE_ID_LENGTH_MAX && !/\p{C}/u.test(id);
}

function wireRate({ id, asked }: RateDemand): RateDemand {
  return { id, asked: Math.min(COUNT_MAX, asked) };
}

function wireCell(cell: Cell, cluster: boolean): WireCell {
  return { ...cell, endpoint: cluster ? (cell.endpoint ?? '') : '' };
}

function stateOf(change: CircuitChange): CircuitState {
  const { id, callee, method, to, policy, revision, epoch, retryAfterMs, reason } = change;
  return {
    id,
    callee,
    method,
    state: to,
    policy,
    revision,
    epoch,
    retryAfterMs: Math.ceil(retryAfterMs),
    reason: reason.slice(0, REASON_LENGTH_MAX),
  };
}

function within(wishedMs: number, { default: usual, min, max }: typeof REPORT_MS): number {
  return wishedMs === 0 ? usual : Math.min(Math.max(wishedMs, min), max);
}
