/**
 * Where an agent's decisions go: to the span that is active, if the process traces, and to the application's listeners. While
 * there is neither, no decision is put into words for anybody.
 */
import type { Decision, DecisionListener } from './decisions.js';
import type { Emitter } from './emitter.js';
import type { AgentEvents } from './events.js';
import { addSpanEvent } from './telemetry/span-events.js';

export class DecisionFeed implements DecisionListener {
  /** Whether somebody registered tracing; kept up to date by telemetry. */
  tracing = false;
  readonly #emitter: Emitter<AgentEvents>;

  constructor(emitter: Emitter<AgentEvents>) {
    this.#emitter = emitter;
  }

  get listening(): boolean {
    return this.tracing || this.#emitter.hears('decision');
  }

  tell(decision: Decision, rpc: boolean): void {
    if (this.tracing) addSpanEvent(decision, rpc);
    this.#emitter.emit('decision', decision);
  }
}
