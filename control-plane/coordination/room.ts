/**
 * The circuits of the mesh (`circuit.scope: cluster`), this replica's part with everything around it. What agents report goes into the
 * coordinator; each second, and at once when something has turned bad, it exchanges accounts and records with the other replicas
 * through the store, decides, and writes what it has decided; what follows is told to agents, people and figures.
 *
 * A tick costs the store one exchange (`Store.exchangeHealth`), however many agents there are, and one write for each record that
 * changes. While no policy asks for a circuit of the mesh, and no operator says anything of another, nothing is read, written or
 * counted. Without an answer for 2 s it is frozen: nothing is decided, directives lapse, and with the next answer it goes on by itself.
 */
import { type Clock, type Timer, wait } from '../../core/clock.js';
import type {
  ClusterTransition,
  ClusterView,
  CoordinatorPart,
  Governed,
  Override,
  RecordWrite,
} from '../../core/coordination/contract.js';
import { Coordinator } from '../../core/coordination/coordinator.js';
import { partsOf } from '../../core/coordination/evaluation.js';
import type { ClusterDirective, ClusterRecord } from '../../core/coordination/model.js';
import { messageOf } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Circuits, ClusterChange, Mirror, PolicyChange } from '../ports.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { GovernedCircuits } from './governed.js';
import { Intake, type IntakeParts, type Introduced } from './intake.js';
import { type CircuitMetrics, noCircuitMetrics } from './metrics.js';
import { News } from './news.js';
import { type Extent, Pacer } from './pacer.js';

export interface CircuitRoomOptions {
  readonly mirror: Pick<Mirror, 'dataset' | 'policy' | 'policies' | 'policiesTo' | 'instances' | 'on'>;
  readonly store: Pick<Store, 'exchangeHealth' | 'putRecord' | 'hintCircuits'>;
  readonly replica: string;
  readonly clock: Clock;
  readonly random: Pick<Random, 'next'>;
  readonly logger: Logger;
  readonly metrics?: CircuitMetrics;
  /** What an operator says of this circuit at present; absent: nothing. */
  readonly override?: (circuit: string) => Override | undefined;
  /** Circuits of which an operator says something, or did a moment ago: also those that agents keep for themselves. */
  readonly overridden?: () => ReadonlySet<string>;
  /** The kill switch, in words; empty or absent: circuits may open. */
  readonly frozen?: () => string;
}

const none: ReadonlySet<string> = new Set();

const BEAT_MS = 1_000;
/** So long after the question that was answered last: the next beat is within 3 s of it. */
const AWAY_MS = 2_000;
/** As long as a coordinator believes what another replica has said. */
const ACCOUNT_TTL_MS = 5_000;
/** Open records are written anew long before; after that time no agent's fence remembers an epoch either. */
/** Of the loop. */
const SLICE_MS = 5;
const RECORD_TTL_MS = 3_600_000;
const WRITES_AT_ONCE = 64;
const CLOSE_MS = 1_000;

export class CircuitRoom implements Circuits {
  readonly news: News;
  readonly #options: CircuitRoomOptions;
  readonly #metrics: CircuitMetrics;
  readonly #governed: GovernedCircuits;
  readonly #coordinator: CoordinatorPart;
  readonly #pacer: Pacer;
  /** What all intakes share. */
  readonly #parts: IntakeParts;
  readonly #beat: Timer;
  readonly #stops: (() => void)[];
  #others: readonly string[] = [];
  #dataset: string;
  /** When the question was asked that the store answered last, or since when there is something to ask. */
  #settledAt: number;
  /** The answer that says what is there has come. */
  #learnt = false;
  readonly #knows = new AbortController();
  /** Hints of our own come back to us. */
  #hinted = new Set<string>();
  #closed = false;

  constructor(options: CircuitRoomOptions) {
    this.#options = options;
    const { mirror, replica, clock, random, logger, metrics = noCircuitMetrics } = options;
    const { override = () => undefined, overridden = () => none, frozen = () => '' } = options;
    this.#metrics = metrics;
    this.#governed = new GovernedCircuits(mirror);
    const governed = (circuit: string) => this.#governedBy(circuit);
    this.#coordinator = new Coordinator({ replica, random, governed, override, overridden, frozen });
    this.news = new News({ coordinator: this.#coordinator, clock, logger });
    this.#pacer = new Pacer(clock, (extent) => this.#round(extent));
    this.#parts = {
      governed: this.#governed,
      coordinator: this.#coordinator,
      discarded: () => this.#metrics.ignored('cell'),
      urgent: () => this.#pacer.ask('urgent'),
    };
    this.#dataset = mirror.dataset;
    this.#settledAt = clock.now();
    this.#beat = clock.every(BEAT_MS, () => this.#tick());
    this.#stops = [
      mirror.on('policies', (changes) => this.#policies(changes)),
      mirror.on('reset', () => this.#reset()),
      mirror.on('instances', (services) => this.#governed.moved(services)),
      mirror.on('circuits', (ids) => this.#hint(ids)),
    ];
    if (this.#active) this.#pacer.ask('all');
  }

  /**
   * Resolves once it is known which circuits are open, or there are none to know of, or so much time has passed: agents that come
   * then hear of them with their first message.
   */
  async known(withinMs: number): Promise<void> {
    if (this.#learnt || !this.#active) return;
    await wait(this.#options.clock, withinMs, this.#knows.signal);
  }

  get frozen(): string {
    if (this.#active && this.#isAway(this.#options.clock.now()))
      return 'the store does not answer: no circuit of the mesh changes, directives have lapsed, agents go by their own circuits';
    return this.#options.frozen?.() ?? '';
  }

  // --- what agents say

  /** For one connection; `hello`: its own. */
  intake(hello: Introduced): Intake {
    return new Intake(hello, this.#parts, this.#options.clock.now());
  }

  /** This agent's stream has ended, and no other stream of it is here. */
  left(agent: string): void {
    if (this.#governed.any) this.#coordinator.left(agent);
  }

  /** The other replicas that have agents. */
  others(replicas: readonly string[]): void {
    this.#others = replicas;
  }

  // --- what is told

  /** What this agent has to hear of these callees' circuits; without an agent: what all such agents have to hear. */
  directives(
    { agent = '', service, zone }: { agent?: string; service: string; zone: string },
    callees: ReadonlySet<string>,
  ): readonly ClusterDirective[] {
    return this.#coordinator.directives(agent, service, zone, callees, this.#options.clock.now());
  }

  views(): readonly ClusterView[] {
    return this.#coordinator.views(this.#options.clock.now());
  }

  ejected(callee: string): ReadonlySet<string> {
    return this.news.ejected(callee);
  }

  onTransition(listener: (change: ClusterChange) => void): () => void {
    return this.news.onTransition(listener);
  }

  wake(): void {
    if (this.#active) this.#pacer.ask('urgent');
  }

  /** Its accounts run out by themselves. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const stop of this.#stops) stop();
    this.#beat.cancel();
    const done = new AbortController();
    const over = this.#pacer.close().finally(() => done.abort());
    await Promise.race([over, wait(this.#options.clock, CLOSE_MS, done.signal)]);
    this.news.close();
  }

  // --- rounds

  get #active(): boolean {
    if (this.#options.mirror.dataset === '') return false;
    return this.#governed.any || (this.#options.overridden?.() ?? none).size > 0;
  }

  #governedBy(circuit: string): Governed | undefined {
    const found = this.#governed.governed(circuit);
    if (found || this.#options.overridden?.().has(circuit) !== true) return found;
    return this.#governed.overridden(circuit);
  }

  #isAway(now: number): boolean {
    return now - this.#settledAt > AWAY_MS;
  }

  #tick(): void {
    const now = this.#options.clock.now();
    if (!this.#active) {
      this.#settledAt = now;
      return;
    }
    if (this.#isAway(now)) this.#freeze(now);
    this.news.look();
    this.#pacer.ask('all');
  }

  #freeze(now: number): void {
    this.#coordinator.freeze(now);
    this.#metrics.frozen(true);
  }

  /** Never rejects. */
  async #round(extent: Extent): Promise<void> {
    const { clock, logger } = this.#options;
    if (!this.#active) return;
    const askedAt = clock.now();
    try {
      await this.#exchange(extent, askedAt);
      this.#metrics.exchange('done', clock.now() - askedAt);
    } catch (error) {
      this.#metrics.exchange('failed', clock.now() - askedAt);
      logger.debug({ error: messageOf(error) }, 'circuits of the mesh not exchanged');
      if (this.#isAway(clock.now())) this.#freeze(clock.now());
    }
  }

  /** Ten thousand agents of a few circuits take tens of milliseconds to add up: others have their turn in between. */
  async #accounts(extent: Extent, now: number): Promise<ReadonlyMap<string, string>> {
    const { clock } = this.#options;
    const accounts = new Map<string, string>();
    let endMs = clock.now() + SLICE_MS;
    for (const [circuit, body] of this.#coordinator.eachAccount(now, extent === 'urgent')) {
      accounts.set(circuit, body);
      if (clock.now() < endMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      endMs = clock.now() + SLICE_MS;
    }
    return accounts;
  }

  async #exchange(extent: Extent, askedAt: number): Promise<void> {
    const { store, replica, clock } = this.#options;
    const dataset = this.#dataset;
    const accounts = await this.#accounts(extent, askedAt);
    const exchanged = await store.exchangeHealth({ replica, ttlMs: ACCOUNT_TTL_MS, accounts });
    // Of other data by now: nothing of it can be compared.
    if (this.#closed || dataset !== this.#dataset) return;
    const now = clock.now();
    this.#settledAt = Math.max(this.#settledAt, askedAt);
    this.#metrics.frozen(false);
    this.#coordinator.setReplicas([replica, ...this.#others], now);
    const first = !this.#learnt;
    this.#learnt = true;
    this.#knows.abort();
    const learnt = this.#coordinator.learn(exchanged, now, askedAt);
    this.#changed(learnt);
    if (first) this.news.all();
    const made = await this.#write(this.#coordinator.decide(now, extent === 'urgent'), dataset);
    if (made.length > 0) await this.#tell(made);
  }

  /** Answers what has changed by it. */
  async #write(writes: readonly RecordWrite[], dataset: string): Promise<readonly ClusterTransition[]> {
    const { store, clock, logger } = this.#options;
    const made: ClusterTransition[] = [];
    const put = async (write: RecordWrite) => {
      try {
        const present = await store.putRecord(write, RECORD_TTL_MS);
        if (this.#closed || dataset !== this.#dataset) return;
        const transition = this.#coordinator.wrote(write, present, clock.now());
        if (!transition) return;
        this.#changed([transition]);
        if (!present) made.push(transition);
      } catch (error) {
        // Whether it was written the next exchange tells.
        logger.debug(
          { circuit: write.circuit, error: messageOf(error) },
          'a circuit of the mesh not written',
        );
      }
    };
    for (let at = 0; at < writes.length && !this.#closed; at += WRITES_AT_ONCE)
      await Promise.all(writes.slice(at, at + WRITES_AT_ONCE).map(put));
    return made;
  }

  #changed(changes: readonly ClusterTransition[]): void {
    for (const change of changes) this.#metrics.transition(change.after.state);
    const isShadow = ({ id }: ClusterRecord) => this.#governedBy(partsOf(id).circuit)?.shadow ?? false;
    if (changes.length > 0)
      this.news.changed(changes.map((change) => ({ ...change, shadow: isShadow(change.after) })));
  }

  /** The other replicas, so that they needn't wait for their next second. */
  async #tell(made: readonly ClusterTransition[]): Promise<void> {
    const ids = made.map(({ after }) => after.id);
    const { store, logger } = this.#options;
    this.#hinted = new Set(ids);
    try {
      await store.hintCircuits(ids);
    } catch (error) {
      logger.debug({ error: messageOf(error) }, 'no hint of changed circuits given');
    }
  }

  #hint(ids: readonly string[]): void {
    const foreign = ids.filter((id) => !this.#hinted.delete(id));
    if (foreign.length > 0 && this.#active) this.#pacer.ask('urgent');
  }

  // --- what there is

  /** Without changes: all may be others. */
  #policies(changes?: readonly PolicyChange[]): void {
    const before = this.#active;
    if (changes) this.#governed.changed(changes);
    else this.#governed.reset();
    const names = changes && new Set(changes.map(({ name }) => name));
    this.#coordinator.forget((circuit) => this.#governedBy(circuit) === undefined, names);
    if (this.#active && !before) this.#begin();
    // Agents drop the circuits of a policy with it; instances that it had taken out are to be called again.
    this.news.look();
  }

  #reset(): void {
    const { dataset } = this.#options.mirror;
    this.#governed.moved();
    if (dataset !== this.#dataset) {
      this.#dataset = dataset;
      this.#learnt = false;
      this.#coordinator.forget(() => true);
      this.news.all();
    }
    this.#policies();
    if (this.#active && !this.#learnt) this.#begin();
  }

  #begin(): void {
    this.#settledAt = this.#options.clock.now();
    this.#pacer.ask('all');
  }
}
