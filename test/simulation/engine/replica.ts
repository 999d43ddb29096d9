/**
 * One replica of the control plane around the real coordinator: its tick, its urgent flush, its exchange with the store and its
 * comparisons, as `control-plane/coordination` does them, over a network that takes time. It can be killed, stopped for a while as
 * by SIGSTOP, and cut off from the store or from its agents.
 */
import type { CoordinatorPart, RecordWrite } from '../../../core/coordination/contract.js';
import type { ClusterDirective } from '../../../core/coordination/model.js';
import type { AgentReport } from './agent-report.js';
import type { Loop, Pending } from './loop.js';
import type { Meter } from './meter.js';
import type { Network } from './network.js';
import type { Store } from './store.js';

const TICK_MS = 1_000;
/** What is urgent waits so long for more of it. */
const URGENT_MS = 50;
/** A command that isn't answered by then is given up; whether it was carried out is unknown. */
const COMMAND_MS = 1_000;
/** Without an answer of the store for so long, nothing that it said before counts any more. */
const FROZEN_MS = 3_000;

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
  /** The store has told of a change: all other replicas are hinted. */
  hint(from: number): void;
}

/** An agent's stream, as its replica sees it. */
export interface Listener {
  readonly agent: string;
  readonly service: string;
  readonly zone: string;
  told(
    dataset: string,
    directives: readonly ClusterDirective[],
    ejected: readonly ReadonlySet<string>[],
  ): void;
}

export class Replica {
  readonly name: string;
  running = false;
  stopped = false;
  /** What arrives while it is stopped. */
  #arrived: (() => void)[] = [];
  readonly listeners = new Map<number, Listener>();
  #coordinator: CoordinatorPart | undefined;
  /** Grows with each life, so that what belongs to a former one is dropped. */
  #life = 0;
  #timer: Pending | undefined;
  #busy = false;
  #urgent: Pending | undefined;
  #urgentAt = Number.NEGATIVE_INFINITY;
  #again = false;
  #answeredAt = 0;
  /** Agents have been told something that isn't `closed` and must be told when it is over. */
  #telling = false;
  #ejected: readonly ReadonlySet<string>[] = [];

  constructor(
    readonly index: number,
    private readonly mesh: Mesh,
  ) {
    this.name = `replica-${index + 1}`;
  }

  start(): void {
    const { loop } = this.mesh;
    if (this.running) return;
    this.#life++;
    this.running = true;
    this.stopped = false;
    this.#coordinator = this.mesh.coordinator(this.name);
    this.#answeredAt = loop.now;
    this.#busy = false;
    this.#telling = false;
    this.#timer = loop.every(TICK_MS, loop.random.next() * TICK_MS, () => this.#now(() => this.#tick()));
    this.#exchange(false);
  }

  /** Its process is gone; whoever had a stream notices by themselves. */
  kill(): void {
    this.running = false;
    this.stopped = false;
    this.#life++;
    this.#timer?.cancel();
    this.#urgent?.cancel();
    this.#urgent = undefined;
    this.#arrived = [];
    this.listeners.clear();
    this.#coordinator = undefined;
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
    this.listeners.set(agent, listener);
    this.#tell(listener);
  }

  left(agent: number, name: string): void {
    this.#now(() => {
      if (this.listeners.delete(agent)) this.#coordinator?.left(name);
    });
  }

  report(report: AgentReport): void {
    if (this.stopped) this.#now(() => this.#hear(report));
    else if (this.running) this.#hear(report);
  }

  /** Another replica has changed a record. */
  hinted(): void {
    this.#now(() => this.#flushSoon());
  }

  #hear({ rows, probes, agent }: AgentReport): void {
    const { loop, idOf } = this.mesh;
    const coordinator = this.#coordinator as CoordinatorPart;
    const name = this.listeners.get(agent)?.agent;
    if (name === undefined) return;
    let urgent = probes.length > 0;
    for (const { callee, heard } of rows) if (coordinator.heard(idOf(callee), heard, loop.now)) urgent = true;
    for (const { callee, permit, ok } of probes) coordinator.probed(idOf(callee), name, permit, ok, loop.now);
    if (urgent) this.#flushSoon();
  }

  /** Runs it if this process runs, or once it does again; not if it has ended. */
  #now(fn: () => void): void {
    const life = this.#life;
    const run = () => {
      if (this.running && this.#life === life) fn();
    };
    if (this.stopped) this.#arrived.push(run);
    else run();
  }

  #tick(): void {
    const { loop } = this.mesh;
    if (loop.now - this.#answeredAt > FROZEN_MS) this.#coordinator?.freeze(loop.now);
    this.#exchange(false);
    this.#publish(false);
  }

  #flushSoon(): void {
    const { loop } = this.mesh;
    if (this.#urgent) return;
    const waitMs = Math.max(0, this.#urgentAt + URGENT_MS - loop.now);
    this.#urgent = loop.after(waitMs, () =>
      this.#now(() => {
        this.#urgent = undefined;
        this.#urgentAt = loop.now;
        if (this.#busy) this.#again = true;
        else this.#exchange(true);
      }),
    );
  }

  #exchange(urgent: boolean): void {
    const { loop, store } = this.mesh;
    if (this.#busy) return;
    this.#busy = true;
    const coordinator = this.#coordinator as CoordinatorPart;
    const askedAt = loop.now;
    const accounts = coordinator.accounts(askedAt, urgent);
    this.#ask(
      () => ({
        exchanged: store.exchange(this.name, accounts, loop.now),
        replicas: store.replicas(loop.now),
      }),
      (answer) => {
        this.#busy = false;
        if (answer) {
          this.#answeredAt = loop.now;
          coordinator.setReplicas(answer.replicas, loop.now);
          const transitions = coordinator.learn(answer.exchanged, loop.now, askedAt);
          this.#decide(urgent);
          if (transitions.length > 0) this.#publish(true);
        }
        if (!this.#again) return;
        this.#again = false;
        this.#exchange(true);
      },
    );
  }

  #decide(urgent: boolean): void {
    const { loop } = this.mesh;
    const coordinator = this.#coordinator as CoordinatorPart;
    for (const write of coordinator.decide(loop.now, urgent)) this.#write(write);
  }

  #write(write: RecordWrite): void {
    const { loop, store, meter } = this.mesh;
    const coordinator = this.#coordinator as CoordinatorPart;
    this.#ask(
      () => {
        const present = store.compareAndSet(write);
        if (present) {
          meter.lostRaces++;
        } else {
          meter.recorded(write.circuit, write.body);
          this.mesh.hint(this.index);
        }
        return { present };
      },
      (answer) => {
        if (!answer) return;
        this.#answeredAt = loop.now;
        coordinator.wrote(write, answer.present, loop.now);
        this.#publish(true);
      },
    );
  }

  /** There and back; undefined once it has waited too long. */
  #ask<T>(question: () => T, then: (answer: T | undefined) => void): void {
    const { loop, network, store } = this.mesh;
    const reaches = () => !store.away && !network.cutFromStore.has(this.index);
    let open = true;
    const end = (answer: T | undefined) =>
      this.#now(() => {
        if (!open) return;
        open = false;
        then(answer);
      });
    const timeout = loop.after(COMMAND_MS, () => end(undefined));
    loop.after(network.storeDelay(), () => {
      if (!reaches()) return;
      const answer = question();
      loop.after(network.storeDelay(), () => {
        if (!reaches()) return;
        timeout.cancel();
        end(answer);
      });
    });
  }

  /** To all of its agents; each tick renews what holds. */
  #publish(changed: boolean): void {
    const { loop, calleeNames } = this.mesh;
    const coordinator = this.#coordinator as CoordinatorPart;
    const ejected = [...calleeNames].map((callee) => coordinator.ejected(callee, loop.now));
    const moved = ejected.some((set, i) => !same(set, this.#ejected[i]));
    if (moved) this.#ejected = ejected;
    if (!changed && !moved && !this.#telling) return;
    let telling = false;
    for (const listener of this.listeners.values()) if (this.#tell(listener)) telling = true;
    this.#telling = telling;
  }

  #tell(listener: Listener): boolean {
    const { loop, calleeNames, store } = this.mesh;
    const coordinator = this.#coordinator as CoordinatorPart;
    const { agent, service, zone } = listener;
    const directives = coordinator.directives(agent, service, zone, calleeNames, loop.now);
    listener.told(store.dataset, directives, this.#ejected);
    return directives.length > 0;
  }
}

function same(a: ReadonlySet<string>, b: ReadonlySet<string> | undefined): boolean {
  return a.size === (b?.size ?? 0) && [...a].every((each) => b?.has(each));
}
