/**
 * Who has to hear of what has changed: streams of callees whose circuits changed, discovery where instances are taken out or are back,
 * people by events and the log. A listener's error is logged and goes no further.
 *
 * It remembers which agents hold probe permits, since what they are told is theirs alone, and which instances are out. Bounds: those
 * of the records, at most 16 holders and 256 instances each.
 */
import type { Clock } from '../../core/clock.js';
import type { CoordinatorPart } from '../../core/coordination/contract.js';
import type { ClusterRecord } from '../../core/coordination/model.js';
import { messageOf } from '../../core/errors.js';
import type { ClusterChange } from '../ports.js';
import type { Logger } from '../telemetry/logger.js';

type Listener = (change: ClusterChange) => void;
type DirectivesListener = (callees: ReadonlySet<string> | undefined) => void;
type EjectionsListener = (callees: ReadonlySet<string>) => void;

export interface NewsParts {
  readonly coordinator: Pick<CoordinatorPart, 'ejected' | 'views'>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export class News {
  readonly #parts: NewsParts;
  readonly #transitions = new Set<Listener>();
  readonly #directives = new Set<DirectivesListener>();
  readonly #ejections = new Set<EjectionsListener>();
  /** By record, while it is half-open. */
  readonly #holders = new Map<string, readonly string[]>();
  /** By callee; those of which none is out are not in it. */
  readonly #ejected = new Map<string, ReadonlySet<string>>();
  #version = 0;

  constructor(parts: NewsParts) {
    this.#parts = parts;
  }

  /** Grows with all that agents have to hear at once. */
  get version(): number {
    return this.#version;
  }

  /** Whether what this agent is told is its own. */
  isHolder(agent: string): boolean {
    if (this.#holders.size === 0) return false;
    for (const agents of this.#holders.values()) if (agents.includes(agent)) return true;
    return false;
  }

  ejected(callee: string): ReadonlySet<string> {
    return this.#ejected.get(callee) ?? none;
  }

  onTransition(listener: Listener): () => void {
    return added(this.#transitions, listener);
  }

  /** Agents of these callees have to hear; undefined: all have. */
  onDirectives(listener: DirectivesListener): () => void {
    return added(this.#directives, listener);
  }

  /** Of these callees other instances are out. */
  onEjections(listener: EjectionsListener): () => void {
    return added(this.#ejections, listener);
  }

  changed(changes: readonly ClusterChange[]): void {
    const callees = new Set<string>();
    for (const { after } of changes) {
      callees.add(calleeOf(after));
      this.#hold(after);
    }
    this.#version++;
    this.#call(this.#directives, (listener) => listener(callees));
    this.look(callees);
    for (const change of changes) {
      this.#log(change);
      this.#call(this.#transitions, (listener) => listener(change));
    }
  }

  /** Everything may be another: it is known for the first time, or of other data. */
  all(): void {
    this.#holders.clear();
    const callees = new Set(this.#ejected.keys());
    for (const { record } of this.#parts.coordinator.views(this.#parts.clock.now())) {
      this.#hold(record);
      callees.add(calleeOf(record));
    }
    this.#version++;
    this.#call(this.#directives, (listener) => listener(undefined));
    this.look(callees);
  }

  /** Whether other instances are out than a moment ago: of these callees, or of those of which any is. */
  look(callees: Iterable<string> = this.#ejected.keys()): void {
    const now = this.#parts.clock.now();
    const others = new Set<string>();
    for (const callee of [...callees]) {
      const before = this.ejected(callee);
      const out = this.#parts.coordinator.ejected(callee, now);
      if (before.size === out.size && [...out].every((endpoint) => before.has(endpoint))) continue;
      if (out.size > 0) this.#ejected.set(callee, new Set(out));
      else this.#ejected.delete(callee);
      others.add(callee);
    }
    if (others.size > 0) this.#call(this.#ejections, (listener) => listener(others));
  }

  close(): void {
    this.#transitions.clear();
    this.#directives.clear();
    this.#ejections.clear();
  }

  #hold({ id, state, permits }: ClusterRecord): void {
    if (state === 'half-open') this.#holders.set(id, [...new Set(permits.map(({ agent }) => agent))]);
    else this.#holders.delete(id);
  }

  #log({ before, after, shadow }: ClusterChange): void {
    const { id: circuit, state, epoch, seq, reason, policy } = after;
    const former = before?.state ?? 'closed';
    const entry = {
      circuit,
      before: former,
      state,
      epoch,
      seq,
      policy: policy.policy,
      revision: policy.revision,
      reason,
    };
    const text = `a circuit of the mesh ${words(former, state)}${shadow ? ', in shadow' : ''}`;
    if (state === 'open' && !shadow) this.#parts.logger.warn(entry, text);
    else this.#parts.logger.info(entry, text);
  }

  #call<L>(listeners: ReadonlySet<L>, call: (listener: L) => void): void {
    for (const listener of listeners) {
      try {
        call(listener);
      } catch (error) {
        this.#parts.logger.error(
          { error: messageOf(error) },
          'a listener of the circuits of the mesh failed',
        );
      }
    }
  }
}

const none: ReadonlySet<string> = new Set();

function words(before: string, state: string): string {
  return before === state
    ? `is ${state} as before, and something about it has changed`
    : `is ${state}, it was ${before}`;
}

function calleeOf({ id }: ClusterRecord): string {
  return id.slice(0, id.indexOf('|'));
}

function added<T>(set: Set<T>, item: T): () => void {
  set.add(item);
  return () => void set.delete(item);
}
