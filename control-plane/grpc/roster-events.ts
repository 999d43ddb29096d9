/**
 * Who listens to what happens among the agents. A listener's error is logged and goes no further. It also keeps what of the account
 * for the other replicas is no longer true: the summary, and which pages.
 */
import { messageOf } from '../../core/errors.js';
import type { AgentRow, CircuitChange } from '../ports.js';
import type { Logger } from '../telemetry/logger.js';
import { PAGES, pageOf } from './pages.js';

export type AgentEvent = 'connected' | 'disconnected' | 'refused';
export type CircuitListener = (change: CircuitChange) => void;
export type AgentListener = (row: AgentRow, kind: AgentEvent) => void;

export class RosterEvents {
  readonly #logger: Logger;
  readonly #circuit = new Set<CircuitListener>();
  readonly #agent = new Set<AgentListener>();
  #changed = false;
  readonly #touched = new Set<number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  onCircuit(listener: CircuitListener): () => void {
    this.#circuit.add(listener);
    return () => void this.#circuit.delete(listener);
  }

  onAgent(listener: AgentListener): () => void {
    this.#agent.add(listener);
    return () => void this.#agent.delete(listener);
  }

  circuit(change: CircuitChange): void {
    this.changed();
    for (const listener of this.#circuit) this.#tell(() => listener(change));
  }

  agent(row: AgentRow, kind: AgentEvent): void {
    this.touched(pageOf(row.agent));
    for (const listener of this.#agent) this.#tell(() => listener(row, kind));
  }

  /** What others know of calls and circuits is out of date. */
  changed(): void {
    this.#changed = true;
  }

  /** And what they know of the agents on this page. */
  touched(page: number): void {
    this.#changed = true;
    this.#touched.add(page);
  }

  touchedAll(): void {
    for (let page = 0; page < PAGES; page++) this.touched(page);
  }

  /** Whether anything has changed since the last time this was asked. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** The pages that have changed since the last time this was asked. */
  takeTouched(): ReadonlySet<number> {
    const touched = new Set(this.#touched);
    this.#touched.clear();
    return touched;
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'a listener of the roster failed');
    }
  }
}
