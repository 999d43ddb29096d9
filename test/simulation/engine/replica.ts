/**
 * One replica of the control plane around the real coordinator: its rounds with the store, what it tells its agents and when, as
 * `control-plane/coordination/room.ts`, its pacer and `control-plane/grpc/directive-lane.ts` do, over a network that takes time. It
 * can be killed, stopped for a while as by SIGSTOP, and cut off from the store or from its agents.
 */
import type {
  ClusterTransition,
  CoordinatorPart,
  Exchanged,
  RecordWrite,
  StoredRecord,
} from '../../../core/coordination/contract.js';
import type { AgentReport } from './agent-report.js';
import { DirectiveLanes, type Listener } from './directive-lanes.js';
import type { Loop, Pending } from './loop.js';
import type { Meter } from './meter.js';
import type { Network } from './network.js';
import type { Store } from './store.js';

const TICK_MS = 1_000;
/** From the beginning of one exchange to that of the next. */
const APART_MS = 50;
/** A command that isn't answered by then is given up; whether it was carried out is unknown. */
const COMMAND_MS = 1_000;
/** So long after the question that was answered last, nothing that the store said counts any more. */
const AWAY_MS = 2_000;

/** What the mesh's circuits are made of. */
export interface Mesh {
  readonly loop: Loop;
  readonly network: Network;
  readonly store: Store;
  readonly meter: Meter;
  /** A new one, for a replica that starts. */
  coordinator(replica: string): CoordinatorPart;
  readonly idOf: (callee: number) => string;
  readonly calleeNames: ReadonlySet<string>;
  /** The store passes a word on that records have changed: to all other replicas. */
  hint(from: number): void;
}

type Extent = 'all' | 'urgent';

interface Answer {
  readonly dataset: string;
  readonly exchanged: Exchanged;
  readonly replicas: readonly string[];
}

/** One life of the process. */
interface Life {
  readonly coordinator: CoordinatorPart;
  readonly lanes: DirectiveLanes;
  dataset: string;
  learnt: boolean;
  /** When the question was asked that was answered last. */
  settledAt: number;
  startedAt: number;
  wanted: Extent | undefined;
  busy: boolean;
  timer: Pending | undefined;
}

export class Replica {
  readonly name: string;
  stopped = false;
  /** What arrives while it is stopped. */
  #arrived: (() => void)[] = [];
  #life: Life | undefined;
  #beat: Pending | undefined;

  constructor(
    readonly index: number,
    private readonly mesh: Mesh,
  ) {
    this.name = `replica-${index + 1}`;
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  /** It knows which circuits are open, and takes agents. */
  get knows(): boolean {
    return this.#life?.learnt === true;
  }

  start(): void {
    if (this.#life) return;
    const { loop, store, calleeNames } = this.mesh;
    const coordinator = this.mesh.coordinator(this.name);
    this.#life = {
      coordinator,
      lanes: new DirectiveLanes(coordinator, calleeNames),
      dataset: store.dataset,
      learnt: false,
      settledAt: loop.now,
      startedAt: Number.NEGATIVE_INFINITY,
      wanted: undefined,
      busy: false,
      timer: undefined,
    };
    this.#beat = loop.every(TICK_MS, loop.random.next() * TICK_MS, () =>
      this.#now((life) => this.#tick(life)),
    );
    this.#ask(this.#life, 'all');
  }

  /** Its process is gone; whoever had a stream notices by themselves. */
  kill(): void {
    this.#beat?.cancel();
    this.#life = undefined;
    this.stopped = false;
    this.#arrived = [];
  }

  stop(): void {
    this.stopped = true;
  }

  /** All that arrived meanwhile is there at once. */
  proceed(): void {
    this.stopped = false;
    const arrived = this.#arrived;
    this.#arrived = [];
    for (const fn of arrived) fn();
  }

  /** An agent's stream is there: it gets what holds with the first word. */
  welcome(agent: number, listener: Listener): void {
    this.#life?.lanes.add(agent, listener, this.#life.dataset, this.mesh.loop.now);
  }

  left(agent: number, name: string): void {
    this.#now(({ lanes, coordinator }) => {
      if (lanes.remove(agent)) coordinator.left(name);
    });
  }

  report(report: AgentReport): void {
    if (this.stopped) this.#now((life) => this.#hear(life, report));
    else if (this.#life) this.#hear(this.#life, report);
  }

  /** Another replica has changed a record. */
  hinted(): void {
    this.#now((life) => this.#ask(life, 'urgent'));
  }

  #hear(life: Life, { rows, probes, agent }: AgentReport): void {
    const { loop, idOf } = this.mesh;
    const { coordinator } = life;
    const name = life.lanes.nameOf(agent);
    if (name === undefined) return;
    let urgent = probes.length > 0;
    for (const { callee, heard } of rows) if (coordinator.heard(idOf(callee), heard, loop.now)) urgent = true;
    for (const { callee, permit, ok } of probes) coordinator.probed(idOf(callee), name, permit, ok, loop.now);
    if (urgent) this.#ask(life, 'urgent');
  }

  /** Runs it if this process runs, or once it does again; not if it has ended. */
  #now(fn: (life: Life) => void): void {
    const life = this.#life;
    if (!life) return;
    if (!this.stopped) {
      fn(life);
      return;
    }
    this.#arrived.push(() => {
      if (this.#life === life) fn(life);
    });
  }

  #tick(life: Life): void {
    const { now } = this.mesh.loop;
    if (now - life.settledAt > AWAY_MS) life.coordinator.freeze(now);
    life.lanes.publish(life.dataset, now);
    this.#ask(life, 'all');
  }

  // --- rounds, one at a time

  #ask(life: Life, extent: Extent): void {
    life.wanted = life.wanted === 'all' ? 'all' : extent;
    this.#next(life);
  }

  #next(life: Life): void {
    const { loop } = this.mesh;
    if (life.busy || life.timer || !life.wanted) return;
    const waitMs = life.startedAt + APART_MS - loop.now;
    if (waitMs <= 0) {
      this.#round(life, life.wanted);
      return;
    }
    life.timer = loop.after(waitMs, () =>
      this.#now(() => {
        life.timer = undefined;
        if (life.wanted) this.#round(life, life.wanted);
      }),
    );
  }

  #round(life: Life, extent: Extent): void {
    const { loop, store } = this.mesh;
    const { coordinator } = life;
    const askedAt = loop.now;
    Object.assign(life, { wanted: undefined, busy: true, startedAt: askedAt });
    const accounts = coordinator.accounts(askedAt, extent === 'urgent');
    this.#command<Answer>(
      life,
      () => ({
        dataset: store.dataset,
        exchanged: store.exchange(this.name, accounts, loop.now),
        replicas: store.replicas(loop.now),
      }),
      (answer) => {
        if (!answer && loop.now - life.settledAt > AWAY_MS) coordinator.freeze(loop.now);
        if (answer && this.#learn(life, answer, askedAt))
          this.#write(life, coordinator.decide(loop.now, extent === 'urgent'));
        else this.#ended(life);
      },
    );
  }

  /** False: it is of other data than what is known here. */
  #learn(life: Life, { dataset, exchanged, replicas }: Answer, askedAt: number): boolean {
    const { loop } = this.mesh;
    const { coordinator } = life;
    if (dataset !== life.dataset) {
      Object.assign(life, { dataset, learnt: false });
      coordinator.forget(() => true);
      life.lanes.forget();
      this.#ask(life, 'all');
      return false;
    }
    life.settledAt = Math.max(life.settledAt, askedAt);
    coordinator.setReplicas(replicas, loop.now);
    const transitions = coordinator.learn(exchanged, loop.now, askedAt);
    if (!life.learnt) life.lanes.forget();
    life.learnt = true;
    this.#changed(life, transitions);
    return true;
  }

  /** All at once; then the others are hinted, if anything changed by it. */
  #write(life: Life, writes: readonly RecordWrite[]): void {
    let waiting = writes.length;
    let made = false;
    if (waiting === 0) this.#ended(life);
    for (const write of writes)
      this.#command(
        life,
        () => this.#compareAndSet(write),
        (answer) => {
          if (answer) {
            const transition = life.coordinator.wrote(write, answer.present, this.mesh.loop.now);
            if (transition) this.#changed(life, [transition]);
            if (transition && !answer.present) made = true;
          }
          waiting--;
          if (waiting > 0) return;
          if (made) this.#hint();
          this.#ended(life);
        },
      );
  }

  #compareAndSet(write: RecordWrite): { present: StoredRecord | undefined } {
    const { store, meter } = this.mesh;
    const present = store.compareAndSet(write);
    if (present) meter.lostRaces++;
    else meter.recorded(write.circuit, write.body);
    return { present };
  }

  #hint(): void {
    const { loop, network, hint } = this.mesh;
    loop.after(network.storeDelay(), () => {
      if (this.#reachesStore()) hint(this.index);
    });
  }

  #ended(life: Life): void {
    life.busy = false;
    this.#next(life);
  }

  #changed(life: Life, transitions: readonly ClusterTransition[]): void {
    if (transitions.length === 0) return;
    life.lanes.changed(transitions.map(({ after }) => after));
    life.lanes.publish(life.dataset, this.mesh.loop.now);
  }

  #reachesStore(): boolean {
    return !this.mesh.store.away && !this.mesh.network.cutFromStore.has(this.index);
  }

  /** There and back; undefined once it has waited too long. */
  #command<T>(life: Life, question: () => T, then: (answer: T | undefined) => void): void {
    const { loop, network } = this.mesh;
    let open = true;
    const end = (answer: T | undefined) =>
      this.#now((present) => {
        if (!open || present !== life) return;
        open = false;
        then(answer);
      });
    const timeout = loop.after(COMMAND_MS, () => end(undefined));
    loop.after(network.storeDelay(), () => {
      if (!this.#reachesStore()) return;
      const answer = question();
      loop.after(network.storeDelay(), () => {
        if (!this.#reachesStore()) return;
        timeout.cancel();
        end(answer);
      });
    });
  }
}
