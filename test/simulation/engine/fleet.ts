/**
 * All agents of a scenario: who calls whom, the real circuit of each, what it counts for its reports. What happens for each call
 * touches typed arrays and one circuit; an agent is a number, and one of its callees a lane.
 */
import type { CircuitSpec } from '../../../core/policy/model.js';
import { Circuit } from '../../../core/resilience/circuit.js';
import { NONE, Permits } from '../../../core/resilience/permits.js';
import { AgentProbes, type Row } from './agent-report.js';
import type { Callee } from './callee.js';
import type { Loop } from './loop.js';
import type { Meter } from './meter.js';
import type { Callers } from './scenario.js';

/** Kinds of events of the loop. */
const CALL = 1;
const END = 2;

const SECOND_MS = 1_000;
/** An agent that begins later waits so long at most for the first word of the mesh, as a service does that starts. */
const START_MS = 2_000;
/** Agents that share a slab of permits: none has more than a few calls under way. */
const SLAB_AGENTS = 1_000;
/** A liar's calls in a report. */
const LIES = 50;

const FAILED = 32;
const SLOW = 64;
const ENDPOINT = 31;
/** None of its calls has been bad; some have since the last report that was due; some had before: reports are early in between. */
const FINE = 0;
const TURNING = 1;
const BAD = 2;
/** Counts of a lane's endpoint. */
const FIELDS = 3;

export interface FleetOptions {
  readonly loop: Loop;
  readonly callers: readonly Callers[];
  readonly callees: readonly Callee[];
  readonly spec: CircuitSpec;
  readonly meter: Meter;
}

export class Fleet {
  readonly size: number;
  readonly callees: readonly Callee[];
  readonly names: string[] = [];
  readonly zones: string[] = [];
  readonly groups: Callers[] = [];
  readonly circuits: Circuit[] = [];
  /** By lane: the mesh's half-open period that it was told of, as `Store.periodOf` numbers it; -1: it wasn't. */
  readonly probing: Float64Array;
  /** By lane: when that lapses. */
  readonly probingEndsAt: Float64Array;
  /** By lane: endpoints out of discovery, a bit each. */
  readonly ejected: Int32Array;
  /** Called when something of an agent turned bad, or a probe came to something. */
  urgent: (agent: number) => void = () => {};
  readonly #loop: Loop;
  readonly #meter: Meter;
  readonly #slowCallMs: number;
  readonly #endpoints: number;
  readonly #counts: Uint16Array;
  readonly #blocked: Uint32Array;
  /** By lane, as `agent/target.ts` has it: FINE, TURNING or BAD. */
  readonly #fares: Uint8Array;
  /** By lane: its circuit doesn't let every call through. */
  readonly #shut: Uint8Array;
  readonly #probes = new AgentProbes();

  constructor({ loop, callers, callees, spec, meter }: FleetOptions) {
    this.#loop = loop;
    this.#meter = meter;
    this.callees = callees;
    this.#slowCallMs = spec.slowCallMs ?? Number.POSITIVE_INFINITY;
    this.size = callers.reduce((sum, { count }) => sum + count, 0);
    this.#endpoints = Math.max(...callees.map(({ endpoints }) => endpoints.length));
    const lanes = this.size * callees.length;
    this.probing = new Float64Array(lanes).fill(-1);
    this.probingEndsAt = new Float64Array(lanes);
    this.ejected = new Int32Array(lanes);
    this.#counts = new Uint16Array(lanes * this.#endpoints * FIELDS);
    this.#blocked = new Uint32Array(lanes);
    this.#fares = new Uint8Array(lanes);
    this.#shut = new Uint8Array(lanes);
    for (const group of callers) for (let i = 0; i < group.count; i++) this.#add(group, i, spec);
  }

  /** An agent begins to call: it has heard of the mesh, or waited long enough. Those of the first moment don't wait. */
  begin(agent: number): void {
    const { callsPerSecond, lying } = this.groups[agent] as Callers;
    if (lying) return;
    for (let callee = 0; callee < this.callees.length; callee++) {
      this.#meter.callers[callee] = (this.#meter.callers[callee] as number) + 1;
      const first = this.#loop.random.next() * (SECOND_MS / callsPerSecond);
      this.#loop.post(first, CALL, agent * this.callees.length + callee);
    }
  }

  get startMs(): number {
    return START_MS;
  }

  handle(kind: number, a: number, b: number, c: number): void {
    if (kind === CALL) this.#call(a);
    else if (kind === END) this.#end(a, b, c);
  }

  /** What an agent has to say since the last time; nothing: undefined. `urgent`: it isn't the time yet. */
  drain(agent: number, urgent: boolean): Row[] | undefined {
    const group = this.groups[agent] as Callers;
    const rows: Row[] = [];
    for (let callee = 0; callee < this.callees.length; callee++) {
      const lane = agent * this.callees.length + callee;
      if (group.lying) rows.push(this.#row(agent, callee, '', LIES, LIES, 0, 0));
      else this.#drainLane(agent, callee, lane, urgent, rows);
    }
    return rows.length > 0 ? rows : undefined;
  }

  /** What probes of an agent came to since the last time. */
  probes(agent: number): ReturnType<AgentProbes['drain']> {
    return this.#probes.drain(agent);
  }

  #drainLane(agent: number, callee: number, lane: number, urgent: boolean, rows: Row[]): void {
    const counts = this.#counts;
    let bad = false;
    let blocked = this.#blocked[lane] as number;
    this.#blocked[lane] = 0;
    const endpoints = (this.callees[callee] as Callee).endpoints;
    for (let endpoint = 0; endpoint < endpoints.length; endpoint++) {
      const at = (lane * this.#endpoints + endpoint) * FIELDS;
      const calls = counts[at] as number;
      if (calls === 0) continue;
      if ((counts[at + 1] as number) + (counts[at + 2] as number) > 0) bad = true;
      rows.push(
        this.#row(
          agent,
          callee,
          endpoints[endpoint] as string,
          calls,
          counts[at + 1] as number,
          counts[at + 2] as number,
          blocked,
        ),
      );
      counts[at] = counts[at + 1] = counts[at + 2] = 0;
      blocked = 0;
    }
    if (blocked > 0) rows.push(this.#row(agent, callee, '', 0, 0, 0, blocked));
    if (!bad) this.#fares[lane] = FINE;
    else if (!urgent) this.#fares[lane] = BAD;
  }

  #row(
    agent: number,
    callee: number,
    endpoint: string,
    calls: number,
    failed: number,
    slow: number,
    blocked: number,
  ): Row {
    const zone = this.zones[agent] as string;
    return {
      callee,
      heard: { agent: this.names[agent] as string, zone, endpoint, calls, failed, slow, blocked },
    };
  }

  #add(group: Callers, i: number, spec: CircuitSpec): void {
    const agent = this.names.length;
    this.names.push(`${group.service}/${group.service}-${agent}`);
    this.zones.push(group.zones[i % group.zones.length] as string);
    this.groups.push(group);
    if (agent % SLAB_AGENTS === 0) this.#slab = new Permits();
    for (let callee = 0; callee < this.callees.length; callee++) {
      const lane = agent * this.callees.length + callee;
      this.circuits.push(
        new Circuit(spec, {
          permits: this.#slab,
          random: this.#loop.random,
          now: 0,
          listener: {
            transition: ({ to }) => this.#changed(lane, callee, to !== 'closed'),
            probed: (permit, ok) => {
              this.#probes.add(agent, callee, permit, ok);
              this.urgent(agent);
            },
          },
        }),
      );
    }
  }
  #slab = new Permits();

  #call(lane: number): void {
    const { random, now } = this.#loop;
    const agent = Math.floor(lane / this.callees.length);
    const index = lane - agent * this.callees.length;
    const group = this.groups[agent] as Callers;
    if (now >= group.toMs) return;
    const gapMs = SECOND_MS / group.callsPerSecond;
    this.#loop.post(group.evenly ? gapMs : this.#loop.exponential(gapMs), CALL, lane);
    const circuit = this.circuits[lane] as Circuit;
    const handle = circuit.tryAcquire(now);
    if (handle === NONE) {
      this.#blocked[lane] = (this.#blocked[lane] as number) + 1;
      this.#meter.reject(index);
      return;
    }
    const probe = circuit.swift < 0 && circuit.state(now) === 'half-open';
    const callee = this.callees[index] as Callee;
    const endpoint = this.#pick(lane, callee, random.next());
    callee.answer(endpoint, this.zones[agent] as string);
    const { failed, tookMs } = callee;
    const slow = tookMs >= this.#slowCallMs;
    const byPermit = probe && now < (this.probingEndsAt[lane] as number);
    const period = byPermit ? (this.probing[lane] as number) : -1;
    this.#meter.attempt(index, probe, period, failed, failed || slow, group.fromMs > 0);
    this.#loop.post(tookMs, END, lane, handle, endpoint | (failed ? FAILED : 0) | (slow ? SLOW : 0));
  }

  #end(lane: number, handle: number, flags: number): void {
    const failed = (flags & FAILED) !== 0;
    const slow = (flags & SLOW) !== 0;
    (this.circuits[lane] as Circuit).end(handle, failed ? 'failure' : 'success', this.#loop.now);
    const counts = this.#counts;
    const at = (lane * this.#endpoints + (flags & ENDPOINT)) * FIELDS;
    counts[at] = (counts[at] as number) + 1;
    if (failed) counts[at + 1] = (counts[at + 1] as number) + 1;
    if (slow) counts[at + 2] = (counts[at + 2] as number) + 1;
    if ((failed || slow) && this.#fares[lane] !== BAD) {
      this.#fares[lane] = TURNING;
      this.urgent(Math.floor(lane / this.callees.length));
    }
  }

  /** By chance among those that are in discovery; among all, if none is. */
  #pick(lane: number, { endpoints }: Callee, chance: number): number {
    const out = this.ejected[lane] as number;
    const first = Math.floor(chance * endpoints.length);
    if (out === 0) return first;
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = (first + i) % endpoints.length;
      if ((out & (1 << endpoint)) === 0) return endpoint;
    }
    return first;
  }

  #changed(lane: number, callee: number, shut: boolean): void {
    if ((this.#shut[lane] === 1) === shut) return;
    this.#shut[lane] = shut ? 1 : 0;
    this.#meter.shutChanged(callee, shut ? 1 : -1);
  }
}
