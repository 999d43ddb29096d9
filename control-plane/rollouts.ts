/**
 * Halts staged rollouts: as soon as an agent that has one refuses it, and where a circuit opens at agents that have it while it
 * stays closed at all that don't. A halt is written to the store, so that it outlives every replica and holds at each; it freezes the
 * percentage and takes nothing back. Each replica watches the agents whose streams it holds and compares with those of all.
 *
 * Bounds: at most 100 openings are looked into at a time, 10 s each; one write under way for each halted policy, repeated once a
 * second while the store is away.
 */
import { type Clock, type Timer, wait } from '../core/clock.js';
import { MeshError, messageOf } from '../core/errors.js';
import { formatHalts, type Halts, haltInForce, haltOf, haltsName } from '../core/policy/halts.js';
import type { Match, PolicyRevision } from '../core/policy/model.js';
import { reaches, targetsOf } from '../core/policy/rollout.js';
import type { Random } from '../core/random.js';
import { concerns } from '../core/sync/interest.js';
import type {
  AgentRow,
  CircuitChange,
  CircuitRow,
  Mirror,
  RolloutChange,
  Rollouts,
  Roster,
} from './ports.js';
import type { Logger } from './telemetry/logger.js';

/** A circuit that opens so soon after its agent got the revision may have opened because of it. */
export const watchMs = 600_000;
/** If the callee is down, the agents without the revision notice within so long. */
export const compareAfterMs = 10_000;
const RETRY_MS = 1000;
const OPENINGS_MAX = 100;

const openStates: ReadonlySet<string> = new Set(['open', 'half-open', 'ramping']);

export interface RolloutOptions {
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export function createRollouts(options: RolloutOptions): Rollouts {
  return new RolloutKeeper(options);
}

type Watched = Pick<Roster, 'agents' | 'agent' | 'circuits' | 'on'>;

class RolloutKeeper implements Rollouts {
  readonly #options: RolloutOptions;
  readonly #changes = new Set<(change: RolloutChange) => void>();
  readonly #stops: (() => void)[];
  readonly #closing = new AbortController();
  /** When this replica has seen the present revision of each staged policy. */
  readonly #since = new Map<string, number>();
  readonly #openings = new Set<Timer>();
  readonly #halting = new Set<string>();
  #known: Halts;

  constructor(options: RolloutOptions) {
    const { mirror, clock } = options;
    this.#options = options;
    this.#known = mirror.halts.halts;
    this.#reset();
    this.#stops = [
      mirror.on('reset', () => this.#reset()),
      mirror.on('policies', (changes) => {
        for (const { name, after } of changes)
          if (after?.staged) this.#since.set(name, clock.now());
          else this.#since.delete(name);
      }),
      mirror.on('rollouts', () => this.#tell()),
    ];
  }

  onChange(listener: (change: RolloutChange) => void): () => void {
    this.#changes.add(listener);
    return () => void this.#changes.delete(listener);
  }

  observe(roster: Watched): void {
    this.#stops.push(
      roster.on('agent', (row, kind) => {
        if (kind === 'refused') this.#refused(row);
      }),
      roster.on('circuit', (change) => this.#opened(change, roster)),
    );
  }

  close(): void {
    this.#closing.abort();
    for (const stop of this.#stops) stop();
    for (const timer of this.#openings) timer.cancel();
    this.#openings.clear();
    this.#changes.clear();
  }

  #reset(): void {
    const { mirror, clock } = this.#options;
    this.#since.clear();
    for (const { policy, staged } of mirror.policies()) if (staged) this.#since.set(policy.name, clock.now());
  }

  #refused({ agent, service, instance, callees, refused }: AgentRow): void {
    const { mirror } = this.#options;
    for (const { policy, revision, reason } of refused) {
      const entry = mirror.policy(policy);
      if (!entry?.staged || entry.revision !== revision || !reaches(entry.policy, instance)) continue;
      if (!targetsOf(entry).some((match) => concerns(match, service, new Set(callees)))) continue;
      // Somebody has seen this one, and wants the rollout to go on all the same.
      if ((haltOf(mirror.halts.halts, entry)?.revision ?? 0) >= revision) continue;
      this.#halt(entry, `${agent} refuses it: ${reason}`);
    }
  }

  #opened({ before, row, found }: CircuitChange, roster: Watched): void {
    if (found || row.state !== 'open' || before !== 'closed') return;
    for (const name of this.#since.keys()) {
      const entry = this.#options.mirror.policy(name);
      if (entry?.staged && hasIt(entry, row))
        this.#lookInto(row, entry, roster).catch((error: unknown) => this.#failed(error));
    }
  }

  /** Whether the agent had the revision, and not for long, when its circuit opened; then the others are waited for. */
  async #lookInto(row: CircuitRow, entry: PolicyRevision, roster: Watched): Promise<void> {
    const { clock, logger } = this.#options;
    const { name } = entry.policy;
    const forMs = clock.now() - (this.#since.get(name) ?? 0);
    const agent = await roster.agent(row.agent);
    if (!agent || agent.acked < entry.revision || agent.refused.some(({ policy }) => policy === name)) return;
    if (Math.min(forMs, agent.connectedMs) > watchMs) return;
    if (this.#openings.size >= OPENINGS_MAX || this.#closing.signal.aborted) return;
    const timer = clock.after(compareAfterMs, () => {
      this.#openings.delete(timer);
      this.#compare(row, entry, roster).catch((error: unknown) => this.#failed(error));
    });
    this.#openings.add(timer);
    logger.debug({ policy: name, agent: row.agent, circuit: row.id }, 'a circuit opened under a rollout');
  }

  async #compare(row: CircuitRow, entry: PolicyRevision, roster: Watched): Promise<void> {
    const rows = await roster.circuits();
    const elsewhere = rows.find(
      (other) =>
        other.callee === row.callee &&
        openStates.has(other.state) &&
        isFor(entry.policy.match, other) &&
        !reaches(entry.policy, instanceOf(other.agent)),
    );
    if (elsewhere) {
      const { policy } = entry;
      this.#options.logger.info(
        { policy: policy.name, circuit: row.id, agent: row.agent, outside: elsewhere.agent },
        'a circuit is open under a rollout and without it: the rollout goes on',
      );
      return;
    }
    const why = row.reason === '' ? '' : ` (${row.reason})`;
    const text = `circuit ${row.id} opened at ${row.agent}${why}, and to ${row.callee} none is open at an agent without this revision`;
    this.#halt(entry, text);
  }

  /** Writes it, however long the store is away, unless it is halted meanwhile or another rollout has begun. */
  #halt(entry: PolicyRevision, reason: string): void {
    const { name } = entry.policy;
    if (this.#halting.has(name)) return;
    this.#halting.add(name);
    this.#write(entry, reason)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#halting.delete(name));
  }

  async #write({ policy: { name }, staged }: PolicyRevision, reason: string): Promise<void> {
    const { mirror, clock, random, logger } = this.#options;
    const at = clock.wallNow();
    while (!this.#closing.signal.aborted) {
      const present = mirror.policy(name);
      const { halts, revision } = mirror.halts;
      if (!present?.staged || present.staged.since !== staged?.since || haltInForce(halts, present)) return;
      const { percent } = present.policy.rollout;
      const halt = { policy: name, revision: present.revision, percent, reason, at };
      const document = formatHalts(halts, halt, (other) => mirror.policy(other));
      const put = { kind: 'put', name: haltsName, document, expected: revision || null } as const;
      try {
        const requestId = random.hex(16);
        await mirror.write({ requestId, author: 'switchgear', action: 'halt', operations: [put] });
      } catch (error) {
        // Another halt may have come between.
        if (!(error instanceof MeshError)) throw error;
        logger.debug({ policy: name, error: error.message }, 'a halt was not written; it is tried again');
        await wait(clock, RETRY_MS, this.#closing.signal);
      }
    }
  }

  /** Tells whoever listens what has been halted since the last time, and what goes on. */
  #tell(): void {
    const { mirror, logger } = this.#options;
    const [before, now] = [this.#known, mirror.halts.halts];
    this.#known = now;
    for (const [policy, halt] of now) {
      const known = before.get(policy);
      const same = known?.at === halt.at && known?.revision === halt.revision;
      if (same && known?.resumed?.at === halt.resumed?.at) continue;
      const { revision = halt.revision, policy: document } = mirror.policy(policy) ?? {};
      const percent = document?.rollout.percent ?? halt.percent;
      const change = halt.resumed ? 'resumed' : 'halted';
      const { reason } = halt;
      if (change === 'halted')
        logger.warn({ policy, revision, percent, reason }, 'a rollout is halted: its percentage is frozen');
      else
        logger.info({ policy, revision, percent, author: halt.resumed?.author }, 'a halted rollout goes on');
      for (const listener of this.#changes) listener({ policy, revision, percent, change, reason });
    }
  }

  #failed(error: unknown): void {
    this.#options.logger.error({ error: messageOf(error) }, 'a rollout could not be watched');
  }
}

/** Whether the agent of this circuit has the revision, and the circuit's callee is one that it is for. */
function hasIt({ policy }: PolicyRevision, row: CircuitRow): boolean {
  return isFor(policy.match, row) && reaches(policy, instanceOf(row.agent));
}

function isFor({ to, from }: Match, { agent, callee }: CircuitRow): boolean {
  return (to === '*' || to === callee) && (from === undefined || from === agent.slice(0, agent.indexOf('/')));
}

function instanceOf(agent: string): string {
  return agent.slice(agent.indexOf('/') + 1);
}
