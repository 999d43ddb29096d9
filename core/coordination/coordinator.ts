/**
 * One replica's part in the circuits of the mesh: hears its agents, publishes what they say, learns what the other replicas' agents
 * say, and writes transitions where it is its turn, or nobody else does. Who ranks first for a circuit is only a hint: the store's
 * comparison decides, and whoever is refused learns what is there.
 *
 * Nothing goes out that wasn't confirmed a moment ago: a replica that was stopped, or cut off from the store, has no directives, and
 * agents let theirs lapse. At most 10,000 circuits; further ones are left to the agents' own.
 */
import type {
  ClusterTransition,
  ClusterView,
  CoordinatorOptions,
  CoordinatorPart,
  Exchanged,
  Governed,
  Override,
  RecordWrite,
  StoredRecord,
} from './contract.js';
import { directiveOf } from './directive.js';
import { endpointsOut } from './ejection.js';
import { evaluated, isCalm, type Look, partsOf, recordId, wouldOpen } from './evaluation.js';
import { Listening } from './listening.js';
import type { ClusterDirective, ClusterRecord, Heard } from './model.js';
import { Panic } from './panic.js';
import { plainHeard } from './plain-heard.js';
import { Ranks } from './ranks.js';
import { decodeRecord, encodeRecord } from './record-text.js';
import { circuitViews } from './show.js';
import { Watched } from './watched.js';
import { ALL, type Held, type Turned, type Wanted, type WatchedCircuit } from './watched-circuit.js';

const LOOKS_EVERY_MS = 50;
/** Sooner, where that part of a replica's agents has turned bad since: all of them may fail within one millisecond, and say no more. */
const LOOKS_PER_FLEET = 4;

export class Coordinator implements CoordinatorPart {
  readonly #circuits = new Watched();
  readonly #ranks: Ranks;
  readonly #panic = new Panic();
  readonly #listening = new Listening();
  /** Circuits with traffic and their callees, as of the last tick. */
  #active: ReadonlyMap<string, string> = new Map();
  /** Why no circuit may open, as of the last time that was decided. */
  #frozen = '';

  constructor(private readonly options: CoordinatorOptions) {
    this.#ranks = new Ranks(options.replica);
  }

  heard(circuit: string, heard: Heard, now: number): boolean {
    const governed = this.#governed(circuit);
    const plain = plainHeard(heard);
    const watched = governed && plain && this.#circuits.watch(circuit, now);
    if (!watched) return false;
    const turned = watched.heard(plain, governed.spec, now);
    const state = watched.recordOf(ALL)?.state ?? 'closed';
    if (state !== 'closed' && state !== 'ramping') return false;
    if (!this.#matters(watched, governed, turned, now)) return false;
    watched.flagged = true;
    watched.unpublished = true;
    return true;
  }

  probed(circuit: string, agent: string, permit: number, ok: boolean, _now: number): void {
    this.#circuits.get(circuit)?.probed(agent, permit, ok);
  }

  left(agent: string): void {
    for (const circuit of this.#circuits) circuit.left(agent);
  }

  setReplicas(replicas: readonly string[], _now: number): void {
    this.#ranks.set(replicas);
  }

  accounts(now: number, urgent: boolean): ReadonlyMap<string, string> {
    return new Map(this.eachAccount(now, urgent));
  }

  *eachAccount(now: number, urgent: boolean): Generator<readonly [string, string]> {
    this.#listening.asking(now);
    for (const circuit of this.#circuits) {
      if (urgent && !circuit.unpublished) continue;
      circuit.unpublished = false;
      const governed = this.#governed(circuit.id);
      const body = governed && circuit.account(governed.spec, now);
      if (body !== undefined) yield [circuit.id, body];
    }
  }

  learn({ accounts, records }: Exchanged, now: number, askedAt?: number): readonly ClusterTransition[] {
    const isFirst = !this.#listening.hasLearnt;
    this.#listening.answered(now, askedAt);
    for (const { circuit, replica, body } of accounts)
      if (replica !== this.options.replica && this.#governed(circuit))
        this.#circuits.watch(circuit, now)?.learn(replica, body, now);
    const transitions: ClusterTransition[] = [];
    for (const stored of records) {
      const { circuit, zone } = partsOf(stored.circuit);
      if (!this.#governed(circuit)) continue;
      const watched = this.#circuits.watch(circuit, now);
      if (!watched || stored.seq <= (watched.records.get(zone)?.seq ?? 0)) continue;
      const made = this.#hold(watched, zone, heldOf(stored, now), now);
      // What is there already when a replica starts is no news.
      if (made && !isFirst) transitions.push(made);
    }
    return transitions;
  }

  decide(now: number, urgent: boolean): readonly RecordWrite[] {
    this.#listening.wake(now);
    for (const circuit of this.options.overridden?.() ?? [])
      if (this.#governed(circuit)) this.#circuits.watch(circuit, now);
    if (!urgent) this.#tidy(now);
    if (this.#listening.isFrozen) return [];
    const due = [...this.#circuits].filter(
      (circuit) => this.#isUrgent(circuit, now) || !(urgent || circuit.isAtRest(now)),
    );
    // All of them before any: too many at once is a fault of ours, and then none may open.
    for (const circuit of due) this.#count(circuit, now);
    this.#frozen = this.options.frozen() || this.#panic.reason(this.#active, now);
    return due.flatMap((circuit) => this.#writes(circuit, this.#frozen, now));
  }

  wrote(write: RecordWrite, present: StoredRecord | undefined, now: number): ClusterTransition | undefined {
    const { circuit, zone } = partsOf(write.circuit);
    const watched = this.#circuits.get(circuit);
    if (!watched) return undefined;
    const decidedAt = watched.answered(zone, write) ?? now;
    if (present) return this.#hold(watched, zone, heldOf(present, now), now);
    if (write.seq <= (watched.records.get(zone)?.seq ?? 0)) return undefined;
    return this.#hold(watched, zone, heldOf(write, decidedAt), now);
  }

  freeze(now: number): void {
    this.#listening.freeze(now);
  }

  directives(
    agent: string,
    service: string,
    zone: string,
    callees: ReadonlySet<string>,
    now: number,
  ): readonly ClusterDirective[] {
    if (!this.#listening.isFresh(now)) return [];
    const directives: ClusterDirective[] = [];
    for (const callee of callees)
      for (const circuit of this.#circuits.of(callee)) {
        if (circuit.records.size === 0) continue;
        const governed = this.#enforced(circuit.id);
        if (!governed || (governed.from ?? service) !== service) continue;
        const directive = this.#directive(circuit, governed, agent, zone, now);
        if (directive) directives.push(directive);
      }
    return directives;
  }

  ejected(callee: string, now: number): ReadonlySet<string> {
    const out = new Set<string>();
    for (const circuit of this.#circuits.of(callee)) {
      const held = circuit.records.get(ALL);
      if (!held?.record || !this.#enforced(circuit.id)) continue;
      for (const endpoint of endpointsOut(held.record, now - held.seenAt)) out.add(endpoint);
    }
    return out;
  }

  views(now: number): readonly ClusterView[] {
    return [...this.#circuits].flatMap((circuit) => {
      const governed = this.#governed(circuit.id);
      return governed ? circuitViews(circuit, governed, this.#override(circuit.id, now), now) : [];
    });
  }

  forget(gone: (circuit: string) => boolean, policies?: Iterable<string>): void {
    const asked = policies
      ? [...policies].flatMap((name) => [...this.#circuits.ofPolicy(name)])
      : this.#circuits;
    for (const circuit of [...asked]) if (gone(circuit.id)) this.#circuits.drop(circuit);
  }

  /** Undefined: it is no circuit of the mesh (any more). */
  #governed(circuit: string): Governed | undefined {
    const governed = this.options.governed(circuit);
    return governed?.spec.scope === 'cluster' ? governed : undefined;
  }

  /** Undefined for one in shadow too: nobody hears of it. */
  #enforced(circuit: string): Governed | undefined {
    const governed = this.#governed(circuit);
    return governed?.shadow ? undefined : governed;
  }

  #override(circuit: string, now: number): Override | undefined {
    const override = this.options.override(circuit);
    return override && override.endsAt > now ? override : undefined;
  }

  #look(governed: Governed, frozen: string, now: number): Look {
    const { random } = this.options;
    const listeningSince = this.#listening.since;
    const override = (record: string) => this.#override(record, now);
    return { governed, override, frozen, listeningSince, random, now };
  }

  /**
   * A bad report is urgent if its agent was well before, unless all agents together are: in a large fleet somebody always has a failure.
   * And so is the one with which the whole crosses the threshold, whoever it is of.
   */
  #matters(circuit: WatchedCircuit, governed: Governed, turned: Turned, now: number): boolean {
    // While nothing may open, nothing is in a hurry.
    if (turned === 'well' || this.#frozen !== '') return false;
    if (turned === 'bad') circuit.turnedBad++;
    const many = circuit.calm && circuit.turnedBad * LOOKS_PER_FLEET >= circuit.lookedOver;
    if (now - circuit.lookedAt < LOOKS_EVERY_MS && !many) return turned === 'bad' && !circuit.calm;
    const { spec } = governed;
    const own = circuit.ownView(spec, now);
    circuit.lookedAt = now;
    circuit.lookedOver = own.spans.at(-1)?.agents ?? 0;
    circuit.turnedBad = 0;
    circuit.calm = isCalm(spec, circuit.view(spec, now), own);
    if (turned === 'bad') return !circuit.calm;
    return wouldOpen(circuit, this.#look(governed, '', now));
  }

  /** Flagged, or with something to write that needn't wait for its turn. */
  #isUrgent(circuit: WatchedCircuit, now: number): boolean {
    if (circuit.flagged || circuit.hasOutcomes) return true;
    return circuit.recordOf(ALL)?.override !== this.#override(circuit.id, now)?.revision;
  }

  #count(circuit: WatchedCircuit, now: number): void {
    const governed = this.#governed(circuit.id);
    if (governed && wouldOpen(circuit, this.#look(governed, this.options.frozen(), now)))
      this.#panic.wants(circuit.id, now);
  }

  #writes(circuit: WatchedCircuit, frozen: string, now: number): readonly RecordWrite[] {
    const governed = this.#governed(circuit.id);
    if (!governed) return [];
    const isMine = this.#isUrgent(circuit, now);
    circuit.flagged = false;
    const wanted = evaluated(circuit, this.#look(governed, frozen, now));
    const patienceMs = isMine ? 0 : this.#ranks.patienceMs(circuit.id);
    return circuit
      .due(wanted, patienceMs, now)
      .filter(({ zone }) => !circuit.waits(zone, now))
      .map((each) => this.#send(circuit, each, now));
  }

  #send(circuit: WatchedCircuit, { zone, expected, record }: Wanted, now: number): RecordWrite {
    const id = recordId(circuit.id, zone);
    const write = { circuit: id, expected, seq: record.seq, body: encodeRecord(record) };
    circuit.sending(zone, write, now);
    return write;
  }

  #hold(circuit: WatchedCircuit, zone: string, held: Held, now: number): ClusterTransition | undefined {
    const before = circuit.recordOf(zone);
    circuit.hold(zone, held);
    const after = held.record;
    if (!after || !isChange(before, after)) return undefined;
    if ((before?.state ?? 'closed') === 'closed' && after.state === 'open')
      this.#panic.wants(circuit.id, now);
    return { before, after };
  }

  #directive(
    circuit: WatchedCircuit,
    { spec }: Governed,
    agent: string,
    agentZone: string,
    now: number,
  ): ClusterDirective | undefined {
    const override = this.#override(circuit.id, now);
    const zone = override ? ALL : circuit.rulingZone(agentZone);
    const record = circuit.recordOf(zone);
    if (!record) return undefined;
    const ageMs = circuit.ageMs(zone, now);
    const { ramp } = spec.cluster;
    const outcomes = circuit.outcomesOf(zone);
    return directiveOf(record, { circuit: circuit.id, agent, ageMs, ramp, override, outcomes, now });
  }

  #tidy(now: number): void {
    for (const circuit of [...this.#circuits])
      if (!this.#governed(circuit.id) || circuit.isOver(now)) this.#circuits.drop(circuit);
    this.#active = new Map(
      [...this.#circuits].filter((each) => !each.idle(now)).map((each) => [each.id, each.callee]),
    );
  }
}

function heldOf({ circuit, seq, body }: StoredRecord, seenAt: number): Held {
  const record = decodeRecord(circuit, body);
  return { record: record?.seq === seq ? record : undefined, seq, seenAt };
}

/** What others want to hear of: a transition, or instances that went or came back. */
function isChange(before: ClusterRecord | undefined, after: ClusterRecord): boolean {
  if ((before?.epoch ?? 0) !== after.epoch) return true;
  // Some of those that were out may be back by now, and one of them may go again.
  const goneBy = before ? Math.max(0, after.ageMs - before.ageMs) : 0;
  const out = (record: ClusterRecord, byMs: number) => endpointsOut(record, byMs).sort().join();
  return (before ? out(before, goneBy) : '') !== out(after, 0);
}
