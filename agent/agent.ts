/**
 * The agent of one mesh in one process: it puts the parts together. The control plane's word comes in by the stream, changes the
 * state and is kept on disk; calls are decided by the state's targets alone and wait for nobody.
 *
 * The constructor does nothing but construct; `start` begins, `close` ends everything within two seconds and leaves no timer,
 * socket or listener behind. Nothing here ever throws into a call.
 */
import { type Clock, wait } from '../core/clock.js';
import { MeshError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import {
  type Brownout as BrownoutMessage,
  type ControlMessage,
  type Delta,
  type Hello,
  protocolVersion,
  type RateShares,
  type Welcome,
} from '../proto/messages.js';
import type { Address } from './addresses.js';
import type { ControlCredentials } from './control-channel.js';
import { DecisionFeed } from './decision-feed.js';
import { Emitter } from './emitter.js';
import type { AgentEvents, AgentStatus, BrownoutEvent } from './events.js';
import { type Logger, tolerant } from './logger.js';
import { type Place, Registration } from './registration.js';
import { Reporter } from './reporter.js';
import { type Directory, publish } from './resolver.js';
import { SnapshotFile } from './snapshot-file.js';
import { State } from './state.js';
import { type MeshStats, statsOf } from './stats.js';
import { printable } from './stats-text.js';
import { type Outlet, Stream } from './stream.js';
import { StreamClient } from './stream-client.js';
import type { CircuitChange, Targets } from './targets.js';
import { Telemetry } from './telemetry/telemetry.js';

export interface AgentOptions {
  /** Name of the calling service. */
  readonly service: string;
  /** Of this process's mesh; unique within the service. */
  readonly instance: string;
  readonly zone: string;
  readonly version: string;
  /** Names it is known to call; others are learnt as they are used. */
  readonly callees: readonly string[];
  /** Of the control plane's replicas; at least one. */
  readonly addresses: readonly Address[];
  readonly credentials: ControlCredentials;
  /** Bearer token; undefined: none. */
  readonly token: string | undefined;
  /** Path of the snapshot; undefined: none is kept. */
  readonly snapshot: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Calls that this agent says it can have in flight: far above what a process of Node keeps up with. Whoever reports more than follows
 * from it isn't believed by the mesh; its own circuits count them all the same.
 */
const CONCURRENCY = 10_000;
const RELEASE_MS = 1_000;
const CLOSE_MS = 1_500;

export class Agent {
  /** Names this mesh in the options of channels. */
  readonly id: string;
  /** Where the instances of its callees are. */
  readonly directory: Directory;
  readonly #options: AgentOptions;
  readonly #state: State;
  readonly #emitter: Emitter<AgentEvents>;
  readonly #registration: Registration;
  readonly #reporter: Reporter;
  readonly #client: StreamClient;
  readonly #telemetry: Telemetry;
  readonly #snapshot: SnapshotFile | undefined;
  #welcome: Welcome | undefined;
  /** Whether this stream has said all there is to know. */
  #level = false;
  #onLevel: (() => void)[] = [];
  #restored = false;
  /** Callees that the stream has been told of, and those that the Hello of the next one said. */
  #calleesTold = 0;
  #calleesInHello = 0;
  #unpublish: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: AgentOptions) {
    const { service, addresses, snapshot, clock, random } = options;
    const logger = tolerant(options.logger);
    this.#options = options;
    this.id = random.hex(8);
    this.#emitter = new Emitter(logger);
    const decisions = new DecisionFeed(this.#emitter);
    this.#registration = new Registration({ clock, random, logger });
    this.#state = new State({
      service,
      instance: options.instance,
      callees: options.callees,
      clock,
      random,
      logger,
      onCircuit: (change) => this.#circuitChanged(change),
      onProbe: (circuit, permit, ok) => this.#reporter.probed(circuit, permit, ok),
      onBad: () => this.#reporter.bad(),
      onCallees: () => this.#calleesChanged(),
      onInstances: () => this.#snapshot?.touch(),
      onBrownout: (event) => this.#brownoutChanged(event),
      onGone: (target) => this.#telemetry.gone(target),
      decisions,
    });
    const { targets } = this.#state;
    this.#telemetry = new Telemetry({ ...options, targets, decisions, logger });
    const { callees, instances } = this.#state;
    this.directory = {
      get: (name) => instances.get(name),
      outlier: (name) => this.#state.outlier(name),
      watch: (name, changed) => {
        callees.add(name);
        return instances.watch(name, changed);
      },
    };
    this.#reporter = new Reporter(clock, this.#state.targets);
    const content = () => this.#state.save();
    this.#snapshot =
      snapshot === undefined
        ? undefined
        : new SnapshotFile({ path: snapshot, service, clock, random, logger, content });
    this.#client = new StreamClient({
      addresses,
      clock,
      random,
      logger,
      open: (address, listener) => {
        const hello = () => this.#hello();
        const { credentials, token } = options;
        return new Stream({ address, credentials, token, clock, listener, hello });
      },
      listener: {
        connected: (outlet, welcome) => this.#connected(outlet, welcome),
        message: (message, outlet) => this.#received(message, outlet),
        disconnected: ({ details }, peer) => this.#disconnected(details, peer),
      },
    });
  }

  get service(): string {
    return this.#options.service;
  }

  get targets(): Targets {
    return this.#state.targets;
  }

  /** Reads the snapshot and begins to connect. Once. */
  async start(): Promise<void> {
    const saved = await this.#snapshot?.read();
    if (this.#closing) return;
    if (saved) this.#state.restore(saved);
    this.#restored = saved !== undefined;
    this.#unpublish = publish(this.id, this.directory);
    this.#reporter.start();
    this.#telemetry.start();
    this.#client.start();
  }

  /** Waits until the control plane has said all there is to know, `timeoutMs` at most; answers whether it has. */
  async level(timeoutMs: number): Promise<boolean> {
    if (this.#level) return true;
    const controller = new AbortController();
    this.#onLevel.push(() => controller.abort());
    await wait(this.#options.clock, timeoutMs, controller.signal);
    return this.#level;
  }

  /** A name that is going to be called: its policies and instances are asked for now. */
  learn(callee: string): void {
    this.#state.callees.add(callee);
  }

  /** Whether an optional feature should run. */
  runs(feature: string): boolean {
    return this.#state.brownout.runs(feature);
  }

  /** Resolves once the registration is stored; see `Registration.register`. */
  register(place: Place): Promise<void> {
    if (this.#closing) return Promise.reject(new MeshError('mesh_closed', 'the mesh is closed'));
    return this.#registration.register(place);
  }

  on<N extends keyof AgentEvents>(name: N, listener: (event: AgentEvents[N]) => unknown): () => void {
    return this.#emitter.on(name, listener);
  }

  status(): AgentStatus {
    const { service, instance } = this.#options;
    return {
      connected: this.#client.connected,
      stale: !this.#level,
      service,
      instance,
      controlPlane: this.#client.peer,
      replica: this.#welcome?.replica ?? '',
      mesh: this.#welcome?.mesh ?? '',
      ...this.#state.status(),
      registered: this.#registration.held ? this.#registration.address : undefined,
      snapshot: this.#snapshot && {
        path: this.#snapshot.path,
        ageMs: this.#snapshot.ageMs,
        restored: this.#restored,
      },
    };
  }

  /** What became of the calls so far. */
  stats(): MeshStats {
    return printable(statsOf(this.#state.targets));
  }

  /** Gives the lease back, writes the snapshot and ends the stream: within two seconds, whatever doesn't answer. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.targets.close();
    this.#unpublish?.();
    // Calls that wait for a first answer about instances hear that there will be none.
    this.#state.instances.wake();
    const controller = new AbortController();
    const orderly = Promise.all([this.#registration.release(RELEASE_MS), this.#snapshot?.close()]);
    await Promise.race([orderly, wait(this.#options.clock, CLOSE_MS, controller.signal)]);
    controller.abort();
    this.#reporter.close();
    this.#telemetry.close();
    await this.#client.close();
    this.#state.instances.disconnect();
    this.#state.brownout.close();
    this.#level = false;
    this.#tellLevel();
    this.#emitter.clear();
  }

  // --- the stream

  #hello(): Hello {
    const { service, instance, zone, version } = this.#options;
    this.#calleesInHello = this.#state.callees.size;
    const agent = `${service}/${instance}`;
    const identity = { agent, service, instance, zone, version, protocol: protocolVersion };
    return { ...identity, concurrency: CONCURRENCY, ...this.#state.hello() };
  }

  #connected(outlet: Outlet, welcome: Welcome): void {
    this.#welcome = welcome;
    this.#level = false;
    this.#calleesTold = this.#calleesInHello;
    this.#state.instances.settle();
    // One that has no word for it could never lift it.
    if (welcome.protocol.minor < 1) this.#state.brownout.lift();
    this.targets.rateShares.online(welcome.protocol.minor >= 1);
    this.#calleesChanged();
    this.#registration.use(outlet);
    this.targets.directions.use(welcome.dataset);
    this.#reporter.use(outlet, welcome.intervals, welcome.protocol.minor >= 2);
    const { replica } = welcome;
    this.#emitter.emit('connection', { connected: true, controlPlane: outlet.peer, replica, reason: '' });
  }

  #disconnected(reason: string, peer: string): void {
    this.#level = false;
    this.#state.instances.disconnect();
    this.targets.rateShares.online(false);
    this.#registration.use(undefined);
    this.#reporter.use(undefined);
    const replica = this.#welcome?.replica ?? '';
    this.#emitter.emit('connection', { connected: false, controlPlane: peer, replica, reason });
  }

  #received(message: ControlMessage, outlet: Outlet): void {
    if (message.message === 'delta') this.#apply(message.delta, outlet);
    else if (message.message === 'lease') this.#registration.result(message.lease);
    else if (message.message === 'brownout') this.#dim(message.brownout);
    else if (message.message === 'grants') this.targets.grantRates(message.grants);
    else if (message.message === 'shares') this.#share(message.shares);
    else if (message.message === 'directives') this.targets.directions.take(message.directives.directives);
    else if (message.message === 'endpoints' && this.#state.setEndpoints(message.endpoints))
      this.#snapshot?.touch();
  }

  #apply(delta: Delta, outlet: Outlet): void {
    this.#telemetry.settle();
    const { ack, changed, event } = this.#state.apply(delta);
    outlet.send({ message: 'ack', ack });
    if (changed) this.#reporter.refreshed();
    this.#snapshot?.touch();
    this.#level = true;
    this.#tellLevel();
    if (event.applied.length + event.removed.length + event.refused.length > 0)
      this.#emitter.emit('policy', event);
  }

  #tellLevel(): void {
    for (const tell of this.#onLevel.splice(0)) tell();
  }

  #calleesChanged(): void {
    const fresh = this.#state.callees.since(this.#calleesTold);
    if (fresh.length === 0) return;
    this.#snapshot?.touch();
    const { outlet } = this.#client;
    if (!outlet) return;
    this.#calleesTold += fresh.length;
    outlet.send({ message: 'subscribe', subscribe: { callees: fresh } });
  }

  #dim(brownout: BrownoutMessage): void {
    this.#state.brownout.take(brownout);
    // What is left of its time is in the snapshot.
    if (brownout.level > 0) this.#snapshot?.touch();
  }

  #share(shares: RateShares): void {
    this.targets.rateShares.take(shares);
    this.#snapshot?.touch();
  }

  #brownoutChanged(event: BrownoutEvent): void {
    this.#snapshot?.touch();
    this.#emitter.emit('brownout', event);
  }

  #circuitChanged(change: CircuitChange): void {
    this.#reporter.circuit(change);
    this.#snapshot?.touch();
    this.#emitter.emit('circuit', change);
  }
}
