/**
 * This replica's copy of the store in memory. It loads everything once, follows the store's one watch from there, and answers
 * all reads itself, so that a store that is away takes nothing from the agents. From time to time, and whenever the store has
 * been away, it loads everything again and compares, because a push that is never checked is how stale data lives for ever.
 * It writes nothing of its own: what the store has lost is shown to an operator, not restored in silence.
 */
import { brownoutName, parseSetting } from '../core/brownout/setting.js';
import { type Clock, systemClock, type Timer, wait } from '../core/clock.js';
import { circuitsName, parseCircuitsSetting } from '../core/coordination/overrides.js';
import { type Issue, messageOf } from '../core/errors.js';
import { type Random, systemRandom } from '../core/random.js';
import { MirrorEmitter } from './mirror/emitter.js';
import { MirroredHalts } from './mirror/halts.js';
import { MirroredInstances, type RegistryChange } from './mirror/instances.js';
import { type Lost, MirroredPolicies } from './mirror/policies.js';
import { MirroredSetting } from './mirror/setting.js';
import { readStaged } from './mirror/staged.js';
import { MirrorWriter } from './mirror/writer.js';
import type { Mirror, MirrorEvents, MirrorHealth } from './ports.js';
import { reasonOf } from './store/reason.js';
import type { Snapshot, Store, Watch, WatchListener, WriteResult } from './store/store.js';
import { type Logger, silentLogger } from './telemetry/logger.js';

const RELOAD_INTERVAL_MS = 300_000;
/** A comparison needs both sides at the same place; under steady change it is tried again. */
const COMPARE_TRIES = 10;
const COMPARE_PAUSE_MS = 1000;
const BACKOFF = { baseMs: 100, maxMs: 5000 };
/** Resets that follow each other faster than this are slowed down, each twice as long as the one before, up to the cap. */
const CALM_MS = 60_000;
const RESET_PAUSE_MAX_MS = 30_000;

export interface MirrorOptions {
  /** Named in what is shown of lost revisions. */
  readonly replica: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
}

/**
 * Resolves after the first attempt to load, whether it succeeded or not: with a store that is away the mirror is there, empty,
 * with `dataset` "" and `health.up` false, and goes on trying. Closing it leaves the store open. Never rejects.
 */
export async function openMirror(store: Store, options: MirrorOptions): Promise<Mirror> {
  const mirror = new StoreMirror(store, options);
  await mirror.start();
  return mirror;
}

class StoreMirror implements Mirror {
  readonly #store: Store;
  readonly #replica: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #emitter: MirrorEmitter;
  readonly #policies = new MirroredPolicies();
  readonly #brownout = new MirroredSetting({
    name: brownoutName,
    what: 'brownout setting',
    parse: parseSetting,
  });
  readonly #overrides = new MirroredSetting({
    name: circuitsName,
    what: 'list of overrides',
    parse: parseCircuitsSetting,
  });
  readonly #halts = new MirroredHalts();
  readonly #instances = new MirroredInstances();
  readonly #closing = new AbortController();
  readonly #writer: MirrorWriter;
  readonly #reloads: Timer;
  #health: MirrorHealth = { up: false, reason: 'the store has not been read yet' };
  /** What was last told of it; undefined: nothing yet. */
  #told: boolean | undefined;
  #storeFaults: readonly Issue[] = [];
  #registryFaults: readonly Issue[] = [];
  #watch: Watch | undefined;
  #loading: Promise<void> | undefined;
  #stale = false;
  #comparing: Promise<void> | undefined;
  #lastReset = Number.NEGATIVE_INFINITY;
  #resetPauseMs = 0;

  constructor(
    store: Store,
    { replica, clock = systemClock, random = systemRandom, logger = silentLogger }: MirrorOptions,
  ) {
    this.#store = store;
    this.#replica = replica;
    this.#clock = clock;
    this.#random = random;
    this.#logger = logger;
    this.#emitter = new MirrorEmitter(logger);
    this.#writer = new MirrorWriter({
      ...{ store, clock, random, closing: this.#closing.signal },
      place: () => ({ dataset: this.dataset, revision: this.revision, reason: this.#health.reason }),
    });
    this.#reloads = clock.every(RELOAD_INTERVAL_MS, () => this.#compare());
  }

  async start(): Promise<void> {
    try {
      await this.#loadAll();
    } catch (error) {
      this.#failed(error);
      this.#reload();
    }
  }

  get dataset(): string {
    return this.#policies.dataset;
  }
  get revision(): number {
    return this.#policies.revision;
  }
  get health(): MirrorHealth {
    return this.#health;
  }
  get faults(): readonly Issue[] {
    return [
      ...this.#policies.faults,
      ...this.#brownout.faults,
      ...this.#overrides.faults,
      ...this.#halts.faults,
      ...this.#storeFaults,
      ...this.#registryFaults,
    ];
  }

  policy(name: string) {
    return this.#policies.get(name);
  }
  policies() {
    return this.#policies.all();
  }
  policiesTo(to: string) {
    return this.#policies.to(to);
  }
  get brownout() {
    return this.#brownout.present;
  }
  get overrides() {
    return this.#overrides.present;
  }
  get halts() {
    return { halts: this.#halts.present, revision: this.#halts.revision };
  }
  changesSince(revision: number) {
    return this.#policies.changesSince(revision);
  }
  services() {
    return this.#instances.services();
  }
  instances(service: string) {
    return this.#instances.of(service);
  }
  interests() {
    return this.#instances.interests();
  }
  history(name: string, options: { before?: number; limit: number }) {
    return this.#store.history(name, options);
  }
  historic(name: string, revision: number) {
    return this.#store.revision(name, revision);
  }
  audit(options: { before?: string; limit: number }) {
    return this.#store.audit(options);
  }
  on<E extends keyof MirrorEvents>(event: E, listener: MirrorEvents[E]): () => void {
    return this.#emitter.on(event, listener);
  }

  write(request: Parameters<Mirror['write']>[0]): Promise<WriteResult> {
    return this.#writer.write(request);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#reloads.cancel();
    this.#writer.wake();
    await Promise.allSettled([this.#loading, this.#comparing]);
    await this.#watch?.close();
  }

  /** Loads everything and follows from there; what happened meanwhile comes with the watch. */
  async #loadAll(): Promise<void> {
    await this.#watch?.close();
    this.#watch = undefined;
    const { dataset, revision } = this;
    if (dataset !== '') await this.#store.settleDataset({ dataset, revision });
    const snapshot = await this.#store.load();
    const stages = await this.#stages(snapshot);
    const registry = await this.#store.loadRegistry();
    if (this.#closing.signal.aborted) return;
    const { changed, lost } = this.#policies.adopt(snapshot, stages);
    const brownout = this.#brownout.adopt(snapshot);
    const overrides = this.#overrides.adopt(snapshot);
    const halts = this.#halts.adopt(snapshot);
    this.#storeFaults = snapshot.faults;
    this.#registryFaults = registry.faults;
    this.#conflict([...lost, ...brownout.lost, ...overrides.lost], snapshot.dataset);
    const registryChange = this.#instances.adopt(registry);
    this.#setHealth(true, '');
    if (changed) this.#emitter.emit('reset');
    if (brownout.changed) this.#emitter.emit('brownout', 'loaded');
    if (overrides.changed) this.#emitter.emit('overrides', 'loaded');
    if (halts) this.#emitter.emit('rollouts');
    this.#emitRegistry(registryChange);
    this.#writer.wake();
    const from = { dataset: this.dataset, revision: this.revision, cursor: this.#instances.cursor };
    this.#watch = this.#store.watch(from, this.#listener());
  }

  #listener(): WatchListener {
    return {
      log: (entries) => {
        const changes = this.#policies.apply(entries);
        // A write that lets a rollout go on is both, and whoever hears of the one asks for the other.
        const halts = this.#halts.apply(entries);
        if (changes.length > 0) this.#emitter.emit('policies', changes);
        if (halts) this.#emitter.emit('rollouts');
        if (this.#brownout.apply(entries)) this.#emitter.emit('brownout', 'told');
        if (this.#overrides.apply(entries)) this.#emitter.emit('overrides', 'told');
        this.#writer.wake();
      },
      registry: (events, cursor) => this.#emitRegistry(this.#instances.apply(events, cursor)),
      reset: (reason) => {
        this.#logger.warn(
          { reason, revision: this.revision },
          'the store changed under this replica: loading anew',
        );
        void this.#reset();
      },
      health: (up, reason) => {
        const returned = up && !this.#health.up;
        this.#setHealth(up, reason);
        if (returned) this.#compare();
      },
    };
  }

  /** Loads until it succeeds; one at a time, and once more if asked for meanwhile. */
  #reload(): void {
    this.#stale = true;
    this.#loading ??= this.#retryLoad();
  }

  async #retryLoad(): Promise<void> {
    for (let attempt = 0; this.#stale && !this.#closing.signal.aborted; attempt += 1) {
      this.#stale = false;
      try {
        await this.#loadAll();
        attempt = -1;
      } catch (error) {
        this.#stale = true;
        this.#failed(error);
        await this.#pause(attempt);
      }
    }
    this.#loading = undefined;
  }

  /** A store whose watch ends at once, again and again, costs a load each time: at last one every half minute. */
  async #reset(): Promise<void> {
    const now = this.#clock.now();
    const calm = now - this.#lastReset > CALM_MS;
    this.#resetPauseMs = calm ? 0 : Math.min(RESET_PAUSE_MAX_MS, Math.max(100, this.#resetPauseMs * 2));
    this.#lastReset = now + this.#resetPauseMs;
    if (this.#resetPauseMs > 0) await wait(this.#clock, this.#resetPauseMs, this.#closing.signal);
    if (!this.#closing.signal.aborted) this.#reload();
  }

  #compare(): void {
    if (this.#comparing || this.#loading || this.dataset === '') return;
    this.#comparing = this.#compareAll()
      .catch((error) =>
        this.#logger.warn({ error: messageOf(error) }, 'the comparison with the store failed'),
      )
      .finally(() => {
        this.#comparing = undefined;
      });
  }

  async #compareAll(): Promise<void> {
    let open = { policies: true, registry: true };
    for (let tries = 0; tries < COMPARE_TRIES && (open.policies || open.registry); tries += 1) {
      if (tries > 0) await wait(this.#clock, COMPARE_PAUSE_MS, this.#closing.signal);
      if (this.#closing.signal.aborted || this.#loading) return;
      open = {
        policies: open.policies && !(await this.#comparePolicies()),
        registry: open.registry && !(await this.#compareRegistry()),
      };
    }
  }

  /** False: the two were not at the same revision. */
  async #comparePolicies(): Promise<boolean> {
    const snapshot = await this.#store.load();
    const stages = await this.#stages(snapshot);
    // A watch that finds another dataset says so itself.
    if (snapshot.dataset !== this.dataset || snapshot.head !== this.revision || this.#loading) return false;
    this.#storeFaults = snapshot.faults;
    const brownout = this.#brownout.adopt(snapshot).changed;
    const overrides = this.#overrides.adopt(snapshot).changed;
    const halts = this.#halts.adopt(snapshot);
    if (brownout) this.#emitter.emit('brownout', 'loaded');
    if (overrides) this.#emitter.emit('overrides', 'loaded');
    if (halts) this.#emitter.emit('rollouts');
    const policies = this.#policies.adopt(snapshot, stages).changed;
    if (!(policies || brownout || overrides || halts)) return true;
    this.#logger.warn(
      { revision: this.revision },
      'this replica differed from the store and has been set right',
    );
    this.#emitter.emit('reset');
    return true;
  }

  /** What is known of this dataset is not read again. */
  #stages(snapshot: Snapshot): ReturnType<typeof readStaged> {
    return readStaged(this.#store, snapshot, ({ name, revision, document }) => {
      const present = snapshot.dataset === this.dataset ? this.policy(name) : undefined;
      return present?.revision === revision && present.policy.document === document
        ? present.staged
        : undefined;
    });
  }

  async #compareRegistry(): Promise<boolean> {
    const registry = await this.#store.loadRegistry();
    if (registry.cursor !== this.#instances.cursor || this.#loading) return false;
    this.#registryFaults = registry.faults;
    this.#emitRegistry(this.#instances.adopt(registry));
    return true;
  }

  #emitRegistry({ services, interests, circuits }: RegistryChange): void {
    if (services.size > 0) this.#emitter.emit('instances', services);
    for (const { service, callees } of interests) this.#emitter.emit('interest', service, callees);
    if (circuits.length > 0) this.#emitter.emit('circuits', circuits);
  }

  /** What this replica knows and the store has lost is an operator's to decide: the log keeps the documents. */
  #conflict(lost: readonly Lost[], dataset: string): void {
    if (lost.length === 0) return;
    this.#policies.raise(lost, this.#replica);
    this.#logger.error({ dataset, count: lost.length }, 'the store has lost acknowledged revisions');
    for (const one of lost) this.#logger.error(one, 'lost: apply it again if it is still wanted');
  }

  #failed(error: unknown): void {
    this.#setHealth(false, reasonOf(error));
  }

  #setHealth(up: boolean, reason: string): void {
    if (up === this.#health.up && reason === this.#health.reason) return;
    const told = this.#told;
    this.#health = { up, reason };
    this.#told = up;
    // Once for each outage; the reasons of further attempts are for whoever looks closely.
    if (told === up) {
      this.#logger.debug({ reason }, 'the store still does not answer');
      return;
    }
    if (!up) this.#logger.warn({ reason }, 'the store does not answer');
    else if (told === false) this.#logger.info({}, 'the store answers');
    this.#emitter.emit('health', this.#health);
  }

  /** After a failed load. */
  #pause(attempt: number): Promise<void> {
    const ceilingMs = Math.min(BACKOFF.maxMs, BACKOFF.baseMs * 2 ** Math.min(attempt, 30));
    return wait(this.#clock, ceilingMs * (0.5 + this.#random.next() / 2), this.#closing.signal);
  }
}
