/**
 * One agent that has said Hello: takes what it says, and at its turns of the pump writes what it lacks. Everything it may do
 * follows from the subscription and from two places in its group's logs, so its memory is the same however slow it is: what it
 * refuses and the circuits it reports, both bounded. It never writes while the stream takes no more.
 */
import { MeshError, messageOf } from '../../core/errors.js';
import { serviceNamePattern } from '../../core/policy/names.js';
import type { Holdings } from '../../core/sync/delta.js';
import { ackTimeoutMs, Subscription } from '../../core/sync/subscription.js';
import type { Ack, AgentMessage, Hello, Lease } from '../../proto/messages.js';
import type { AgentRow } from '../ports.js';
import { instanceOf } from '../registry/instance.js';
import type { LeaseAnswer } from '../registry/leases.js';
import type { DeltaBody } from './bodies.js';
import { BrownoutFeed } from './brownout-feed.js';
import { DirectiveLane } from './directive-lane.js';
import { EndpointFeed } from './endpoint-feed.js';
import type { Group, Member } from './group.js';
import type { Introduction } from './hello.js';
import { heartbeatMs, silentAfterMs, slowAfterMs } from './intervals.js';
import type { EndReason } from './metrics.js';
import type { Outlet } from './outlet.js';
import { type Entry, pageOf } from './pages.js';
import { RateLane } from './rate-lane.js';
import { RateSharesFeed } from './rate-shares.js';
import { Reports } from './reports.js';
import type { Room } from './room.js';

/** An agent that is ahead of this replica is looked after this often. */
const AHEAD_MS = 100;
/** Of what an agent says about a refusal, so much is kept. */
const REASON_LENGTH_MAX = 500;

export interface Line {
  readonly outlet: Outlet;
  readonly peer: string;
  /** Ends the stream and counts why. */
  end(reason: EndReason, error?: MeshError): void;
}

export class ConnectedAgent implements Member {
  readonly hello: Introduction;
  readonly reports: Reports;
  /** For a person to see beside this agent. */
  notice: string | undefined;
  /** On which other replicas are told of it. */
  readonly page: number;
  readonly #room: Room;
  readonly #line: Line;
  readonly #group: Group;
  readonly #subscription = new Subscription();
  /** What it brought along, until it is known what it lacks. */
  #holdings: Holdings | undefined;
  readonly #connectedAtMs: number;
  #heardAtMs: number;
  readonly #endpoints: EndpointFeed;
  readonly #brownout: BrownoutFeed;
  readonly #rates: RateLane;
  readonly #shares: RateSharesFeed;
  readonly #directives: DirectiveLane;
  /** The dataset of the last push; undefined: there was none. */
  #dataset: string | undefined;
  /** The one that it was welcomed with. */
  readonly #firstDataset: string;
  #left = false;

  constructor(hello: Hello, line: Line, room: Room, before: ConnectedAgent | undefined) {
    const { agent, service, instance, boot, zone, version, protocol, concurrency, hashes } = hello;
    const capabilities = room.lists.shared(hello.capabilities);
    this.hello = { agent, service, instance, boot, zone, version, protocol, capabilities, concurrency };
    this.page = pageOf(hello.agent);
    this.#holdings = { dataset: hello.dataset, revision: hello.revision, hashes };
    this.#line = line;
    this.#room = room;
    const now = room.clock.now();
    this.#connectedAtMs = now;
    this.#heardAtMs = now;
    this.#firstDataset = room.mirror.dataset;
    this.reports = new Reports(
      this.hello,
      room,
      before?.hello.boot === hello.boot ? before.reports : undefined,
    );
    this.#group = room.fanOut.join(hello.service, this);
    this.#use(hello.callees);
    this.#endpoints = new EndpointFeed(this.#group, room.fanOut.endpoints);
    this.#brownout = new BrownoutFeed(room.brownout, hello.protocol.minor);
    this.#rates = new RateLane(this, line.outlet, room);
    this.#shares = new RateSharesFeed(room.rateShares, this.#group, hello.protocol.minor);
    this.#directives = new DirectiveLane(room.directives, this.hello, this.#group);
    room.rateShares.came();
  }

  get callees(): ReadonlySet<string> {
    return this.#group.interest.callees;
  }

  forgetRevisions(): void {
    this.#subscription.forgetRevisions();
  }

  /** Everything but the Hello. */
  hear(message: Exclude<AgentMessage, { message: 'hello' }>): void {
    const now = this.#room.clock.now();
    this.#heardAtMs = now;
    if (message.message === 'ack') this.#ack(message.ack, now);
    else if (message.message === 'report') {
      if (this.reports.take(message.report, now)) this.#rates.hear(message.report.rates, now);
    } else if (message.message === 'subscribe') this.#use(message.subscribe.callees);
    else if (message.message === 'lease') this.#lease(message.lease);
  }

  /** Whether time alone asks for a turn: everything else wakes it. */
  isDue(now: number): boolean {
    const { outlet } = this.#line;
    return (
      outlet.quietMs(now) >= heartbeatMs ||
      this.#directives.isDue(now) ||
      now - this.#heardAtMs >= silentAfterMs ||
      this.#subscription.overdue(now) ||
      outlet.blockedMs(now) >= slowAfterMs
    );
  }

  /** A turn of the pump. A failure of ours ends this stream, not the process. */
  work(now: number): number | undefined {
    try {
      return this.#work(now);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** A turn for directives alone. */
  hasten(now: number): void {
    if (this.#left || this.#line.outlet.blocked) return;
    try {
      this.#direct(now);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#room.logger.error({ agent: this.hello.agent, error: messageOf(error) }, 'a push failed');
    this.end('internal', new MeshError('internal', 'the control plane failed at a push; its log says why'));
  }

  #work(now: number): number | undefined {
    if (this.#left || this.#verdict(now) || this.#line.outlet.blocked) return undefined;
    // Before the policies that it is about.
    this.#shares.write(this.#line.outlet);
    // Before policies and instances, so that its first call already goes by them.
    this.#direct(now);
    // A replica that has not seen the store yet knows nothing, which is not the same as knowing that there is nothing.
    const untilMs = this.#room.mirror.dataset === '' ? undefined : this.#writeNews(now);
    this.#rates.write(now);
    if (this.#line.outlet.quietMs(now) >= heartbeatMs) this.#line.outlet.write(this.#room.welcomes.heartbeat);
    return untilMs;
  }

  /**
   * The stream is gone or given up: nothing here is renewed or written any more. The lease lives on until it lapses. `over`: the
   * agent itself has ended it in good order.
   */
  leave(over: boolean): void {
    if (this.#left) return;
    this.#left = true;
    this.#rates.leave(over);
    const { fanOut, leases, events, clock } = this.#room;
    fanOut.leave(this.hello.service, this);
    leases.drop(this.hello.agent, this.hello.boot);
    events.agent(this.row(clock.now()), 'disconnected');
  }

  end(reason: EndReason, error?: MeshError): void {
    this.#line.end(reason, error);
  }

  row(now: number): AgentRow {
    return Object.assign(this.#lasting(), {
      replica: this.#room.replica,
      staleMs: Math.round(this.#subscription.unackedMs(now)),
      connectedMs: Math.round(now - this.#connectedAtMs),
    });
  }

  /** For a page. */
  entry(): Entry {
    return {
      boot: this.hello.boot,
      row: this.#lasting(),
      connectedAtMs: this.#connectedAtMs,
      unackedSinceMs: this.#subscription.unackedSinceMs,
    };
  }

  /** Of its row, what stays as it is while time passes. */
  #lasting(): Entry['row'] {
    const { agent, service, instance, zone, version, protocol, capabilities } = this.hello;
    const { sent, acked, applied, refused } = this.#subscription;
    const row: Entry['row'] = {
      agent,
      service,
      instance,
      zone,
      version,
      protocol: `${protocol.major}.${protocol.minor}`,
      capabilities,
      callees: this.#group.callees,
      dataset: this.#room.mirror.dataset,
      sent,
      acked,
      applied,
      refused:
        refused.size === 0
          ? nothingRefused
          : [...refused.values()].map(({ name, revision, reason }) => ({ policy: name, revision, reason })),
    };
    return this.notice === undefined ? row : { ...row, notice: this.notice };
  }

  /** Directives of the data that it knows of. */
  #direct(now: number): void {
    const { dataset } = this.#room.mirror;
    if (dataset !== '' && dataset === (this.#dataset ?? this.#firstDataset))
      this.#directives.write(this.#line.outlet, now);
  }

  /** Ends the stream if nobody is at its other end. */
  #verdict(now: number): boolean {
    const seconds = (ms: number) => Math.round(ms / 1000);
    if (now - this.#heardAtMs >= silentAfterMs)
      this.end('silent', unavailable(`nothing was heard for ${seconds(silentAfterMs)} s`));
    else if (this.#subscription.overdue(now))
      this.end(
        'unacknowledged',
        unavailable(
          `revision ${this.#subscription.sent} was not acknowledged within ${seconds(ackTimeoutMs)} s`,
        ),
      );
    else if (this.#line.outlet.blockedMs(now) >= slowAfterMs)
      this.end('slow', unavailable(`nothing was read for ${seconds(slowAfterMs)} s`));
    else return false;
    return true;
  }

  #writeNews(now: number): number | undefined {
    // First, since it is small and there is an overload.
    this.#brownout.write(this.#line.outlet);
    const policiesAtMs = this.#writePolicies(now);
    // No list of a dataset before its name: an agent takes an empty one for a registry that fills only if it knows of the change.
    if (this.#dataset !== undefined && this.#dataset !== this.#room.mirror.dataset) return policiesAtMs;
    const endpointsAtMs = this.#endpoints.write(this.#line.outlet, now);
    return earlier(policiesAtMs, endpointsAtMs);
  }

  #writePolicies(now: number): number | undefined {
    const { interest, deltas } = this.#group;
    const next = this.#subscription.next(interest.log.position, now);
    if (next.kind === 'idle') return undefined;
    if (next.kind === 'wait') return next.untilMs;
    const body = next.from === undefined ? this.#firstBody() : deltas.since(next.from);
    if (!body) return now + AHEAD_MS;
    this.#line.outlet.write(body.bytes);
    this.#subscription.pushed(body, now);
    this.#dataset = this.#room.mirror.dataset;
    this.#room.metrics.push(body.bytes.length);
    this.#room.events.touched(this.page);
    return undefined;
  }

  /** For an agent that has just come; undefined while it has seen more than this replica. */
  #firstBody(): DeltaBody | undefined {
    const holdings = this.#holdings ?? { dataset: '', revision: 0, hashes: [] };
    const resumption = this.#group.interest.resume(holdings, this.#room.mirror);
    if (resumption.kind === 'ahead') return undefined;
    this.#holdings = undefined;
    return this.#group.deltas.selected(resumption);
  }

  #ack({ nonce, rejected }: Ack, now: number): void {
    const { metrics, events, pump, logger } = this.#room;
    const refusals = rejected.map((one) => ({ ...one, reason: one.reason.slice(0, REASON_LENGTH_MAX) }));
    const outcome = this.#subscription.ack(nonce, refusals, now);
    if (outcome.kind === 'unknown') {
      metrics.ignored('ack');
      return;
    }
    metrics.ack(outcome.delayMs);
    events.touched(this.page);
    for (const { name, revision, reason } of outcome.refusedNow) {
      metrics.refusal();
      logger.warn({ agent: this.hello.agent, policy: name, revision, reason }, 'an agent refuses a policy');
    }
    if (outcome.refusedNow.length > 0) events.agent(this.row(now), 'refused');
    if (this.#subscription.lacks(this.#group.interest.log.position)) pump.wake(this);
  }

  #use(callees: readonly string[]): void {
    const { fanOut, learner, metrics, mirror, rateShares, events } = this.#room;
    const { service } = this.hello;
    const added = fanOut.add(
      service,
      callees.filter((callee) => serviceNamePattern.test(callee)),
    );
    if (added.length > 0) {
      rateShares.came();
      events.touchedAll();
    }
    const stored = mirror.interests().get(service);
    learner.learn(
      service,
      callees.filter((callee) => this.callees.has(callee) && !stored?.has(callee)),
    );
    const left = callees.filter((callee) => callee !== '*' && !this.callees.has(callee));
    for (const _ of left) metrics.ignored('callee');
    if (left.length > 0)
      this.#room.logger.warn(
        { agent: this.hello.agent, callees: left.slice(0, 10) },
        'callees left out: they are no names, or the service uses too many; they stay under the policies of *',
      );
  }

  #lease(lease: Lease): void {
    const { leases, replica, clock } = this.#room;
    const { agent, boot } = this.hello;
    const answer = (given: LeaseAnswer) => {
      const error = 'error' in given ? given.error : undefined;
      this.#line.outlet.write({
        message: 'lease',
        lease: {
          requestId: lease.requestId,
          ttlMs: 'ttlMs' in given ? given.ttlMs : 0,
          error: error?.message ?? '',
          code: error?.code ?? '',
        },
      });
    };
    if (lease.release) {
      void leases.release(agent, boot, answer);
      return;
    }
    try {
      const surroundings = { peer: this.#line.peer, replica, registeredAt: clock.wallNow() };
      leases.hold(instanceOf(this.hello, lease, surroundings), answer);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      answer({ error });
    }
  }
}

const nothingRefused: AgentRow['refused'] = [];

function unavailable(text: string): MeshError {
  return new MeshError('unavailable', `${text}; connect again`);
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
