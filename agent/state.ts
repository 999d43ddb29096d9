/**
 * All that an agent knows, whether or not anybody is connected: the policies and what they compile to, the endpoints, the names
 * it calls, the circuits. The stream changes it, the snapshot keeps it, calls are decided by it; it has no socket and no file.
 */
import type { Clock } from '../core/clock.js';
import type { OutlierSpec } from '../core/policy/model.js';
import { reaches } from '../core/policy/rollout.js';
import type { Random } from '../core/random.js';
import { AgentSession } from '../core/sync/session.js';
import type { Ack, Delta, Endpoints, Hello } from '../proto/messages.js';
import { Brownout } from './brownout.js';
import { Callees } from './callees.js';
import { capabilities } from './capabilities.js';
import type { DecisionListener } from './decisions.js';
import type { AgentStatus, BrownoutEvent, PolicyEvent } from './events.js';
import { Instances } from './instances.js';
import type { Logger } from './logger.js';
import { PolicyCache } from './policy-cache.js';
import type { Snapshot } from './snapshot.js';
import type { Target } from './target.js';
import { type CircuitChange, Targets } from './targets.js';

export interface StateOptions {
  readonly service: string;
  /** By its name a staged rollout is for it or not; absent: each is. */
  readonly instance?: string;
  readonly callees: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  onCircuit(change: CircuitChange): void;
  /** As `TargetsOptions` has them. */
  onProbe?(circuit: string, permit: number, ok: boolean): void;
  onBad?(): void;
  /** There are new callees; called once for all of a tick. */
  onCallees(): void;
  /** Instances changed although nobody said anything new: what had been held back holds now. */
  onInstances(): void;
  onBrownout(event: BrownoutEvent): void;
  /** A target has to make room for others. */
  onGone?(target: Target): void;
  readonly decisions?: DecisionListener;
}

type HelloPart = Pick<Hello, 'boot' | 'capabilities' | 'dataset' | 'revision' | 'hashes' | 'callees'>;
type StatusPart = Pick<
  AgentStatus,
  | 'dataset'
  | 'revision'
  | 'digest'
  | 'policies'
  | 'refused'
  | 'callees'
  | 'instances'
  | 'circuits'
  | 'brownout'
>;

export class State {
  readonly targets: Targets;
  readonly callees: Callees;
  readonly instances: Instances;
  readonly brownout: Brownout;
  readonly #options: StateOptions;
  readonly #session: AgentSession;
  readonly #cache: PolicyCache;
  /** Grows with each start of the same instance name. */
  #boot: number;

  constructor(options: StateOptions) {
    const { service, clock, random, logger, onCircuit, onCallees, onInstances, onBrownout } = options;
    this.#options = options;
    this.#boot = Math.max(1, Math.floor(clock.wallNow()));
    this.#cache = new PolicyCache(service);
    const { instance } = options;
    this.#session = new AgentSession({
      capabilities,
      ...(instance === undefined ? {} : { reaches: (policy) => reaches(policy, instance) }),
    });
    this.instances = new Instances({ clock, onChange: onInstances });
    this.brownout = new Brownout({ clock, onChange: onBrownout });
    this.callees = new Callees({ logger, onFresh: onCallees });
    for (const name of options.callees) this.callees.add(name);
    const { decisions, onGone, onProbe, onBad } = options;
    this.targets = new Targets({
      service,
      clock,
      random,
      logger,
      onCircuit,
      effective: (to, method) => this.#cache.effective(to, method),
      shadowed: (to, method) => this.#cache.shadowed(to, method),
      onNewCallee: (to) => void this.callees.add(to),
      ...(onGone === undefined ? {} : { onGone }),
      ...(onProbe === undefined ? {} : { onProbe }),
      ...(onBad === undefined ? {} : { onBad }),
      ...(decisions === undefined ? {} : { decisions }),
    });
  }

  /** What it says of itself when it connects. */
  hello(): HelloPart {
    return { boot: this.#boot, capabilities, ...this.#session.hello(), callees: this.callees.since(0) };
  }

  /** Policies of the control plane: from the next call on they hold. Answers the acknowledgement, and what there is to tell. */
  apply(delta: Delta): { readonly ack: Ack; readonly changed: boolean; readonly event: PolicyEvent } {
    const before = [...this.#session.policies().keys()];
    const datasetBefore = this.#session.dataset;
    const { applied, rejected, refusedNow, changed } = this.#session.apply(delta);
    const held = this.#session.policies();
    if (datasetBefore !== '' && this.#session.dataset !== datasetBefore) this.instances.settle();
    if (changed) {
      this.#cache.use(held);
      this.targets.refresh();
      // How instances are balanced may follow from a policy; whoever watches looks whether it does.
      this.instances.wake();
    }
    for (const { name: policy, revision, reason } of refusedNow)
      this.#options.logger.warn(
        { policy, revision, reason },
        'a policy was refused; the last good one of its name stays',
      );
    const { revision, dataset } = this.#session;
    this.targets.directions.use(dataset);
    const removed = before.filter((name) => !held.has(name));
    const event = { revision, dataset, applied, removed, refused: refusedNow.map(refusedPolicy) };
    return { ack: { nonce: delta.nonce, applied, rejected }, changed, event };
  }

  /** The policy for leaving out single instances of a callee. */
  outlier(callee: string): OutlierSpec | undefined {
    return this.#cache.effective(callee, '').outlier?.value;
  }

  /** Answers whether they say anything new. */
  setEndpoints({ service, instances }: Endpoints): boolean {
    return this.instances.set(service, instances);
  }

  /** For the disk; undefined: there never was a complete state. */
  save(): Snapshot | undefined {
    if (!this.#session.complete) return undefined;
    const { dataset, revision, policies } = this.#session.save();
    return {
      service: this.#options.service,
      savedAt: Math.max(0, this.#options.clock.wallNow()),
      boot: this.#boot,
      session: { dataset, revision, policies: [...policies] },
      endpoints: Object.fromEntries(
        Array.from(this.instances.entries(), ([name, list]) => [name, [...list]]),
      ),
      circuits: this.targets.save(),
      callees: [...this.callees.since(0)],
      brownout: this.brownout.save(),
      rates: this.targets.rateShares.save(),
    };
  }

  /** Goes on from what a former process saved, before the first delta. */
  restore({ session, endpoints, circuits, callees, brownout, rates, savedAt, boot }: Snapshot): void {
    const { clock, logger } = this.#options;
    for (const { name: policy, reason } of this.#session.restore(session))
      logger.warn({ policy, reason }, 'a policy of the snapshot can not be used any more');
    this.#cache.use(this.#session.policies());
    const awayMs = Math.max(0, clock.wallNow() - savedAt);
    if (rates) this.targets.rateShares.restore(rates);
    this.targets.restore(circuits, awayMs);
    if (brownout) this.brownout.restore(brownout, awayMs);
    for (const [service, instances] of Object.entries(endpoints)) this.instances.set(service, instances);
    for (const name of callees) this.callees.add(name);
    // A wall clock that was set back must not make this process look older than the one before.
    this.#boot = Math.max(this.#boot, Math.min(boot + 1, Number.MAX_SAFE_INTEGER));
  }

  status(): StatusPart {
    const { dataset, revision } = this.#session;
    return {
      dataset,
      revision,
      digest: this.#session.digest(),
      policies: this.#session.policies().size,
      refused: this.#session.refused().map(refusedPolicy),
      callees: this.callees.since(0),
      instances: Object.fromEntries(
        Array.from(this.instances.entries(), ([name, list]) => [name, list.length]),
      ),
      circuits: this.targets.circuits().map(({ from: _from, to, ...circuit }) => ({ ...circuit, state: to })),
      brownout: this.brownout.status(),
    };
  }
}

function refusedPolicy({ name, revision, reason }: { name: string; revision: number; reason: string }) {
  return { policy: name, revision, reason };
}
