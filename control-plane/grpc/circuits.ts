/**
 * The circuits of one agent as it reports them: the last word about each. Bounded; where there are too many, those that are
 * closed go first, since they say least.
 */
import type { CircuitState } from '../../proto/messages.js';
import type { CircuitChange, CircuitRow } from '../ports.js';

const CIRCUITS_MAX = 1000;
const REASON_LENGTH_MAX = 500;

interface Entry {
  readonly said: CircuitState;
  readonly atMs: number;
}

/** Of all agents that have reported none; nothing is ever put into it. */
const noEntries = new Map<string, Entry>();

export class ReportedCircuits {
  readonly #agent: string;
  #entries = noEntries;

  /** `before`: what the same process said on a stream before this one, so that its first report is no news. */
  constructor(agent: string, before?: ReportedCircuits) {
    this.#agent = agent;
    if (before && before.#entries.size > 0) this.#entries = new Map(before.#entries);
  }

  /**
   * Takes a report; `whole` if it names all there are. Answers what changed its state, and how much of it was left out
   * because the circuit can't be, or because there are too many.
   */
  report(
    states: readonly CircuitState[],
    { whole, possible, now }: { whole: boolean; possible: (state: CircuitState) => boolean; now: number },
  ): { readonly changes: readonly CircuitChange[]; readonly ignored: number } {
    const before = this.#entries;
    if (whole) this.#entries = noEntries;
    const changes: CircuitChange[] = [];
    let ignored = 0;
    for (const state of states) {
      if (!wellFormed(state) || !possible(state) || !this.#roomFor(state)) {
        ignored++;
        continue;
      }
      const was = before.get(state.id)?.said.state ?? 'closed';
      const entry = { said: { ...state, reason: state.reason.slice(0, REASON_LENGTH_MAX) }, atMs: now };
      // No policy asks for it any more: that is news, and then it is nothing.
      if (state.state === 'disabled') this.#entries.delete(state.id);
      else this.#own().set(state.id, entry);
      if (was !== state.state) changes.push({ agent: this.#agent, before: was, row: this.#row(entry, now) });
    }
    return { changes, ignored };
  }

  /** Those policies are gone, and their circuits with them. */
  drop(gone: (policy: string) => boolean): void {
    for (const [id, { said }] of this.#entries) if (gone(said.policy)) this.#entries.delete(id);
  }

  rows(now: number): CircuitRow[] {
    return [...this.#entries.values()].map((entry) => this.#row(entry, now));
  }

  /** Adds them up by state. */
  count(byState: Map<string, number>): void {
    for (const { said } of this.#entries.values())
      byState.set(said.state, (byState.get(said.state) ?? 0) + 1);
  }

  /** Those that are not closed. */
  notable(now: number): readonly CircuitRow[] {
    if (this.#allClosed) return none;
    return this.rows(now).filter(({ state }) => state !== 'closed');
  }

  get #allClosed(): boolean {
    for (const { said } of this.#entries.values()) if (said.state !== 'closed') return false;
    return true;
  }

  #own(): Map<string, Entry> {
    if (this.#entries === noEntries) this.#entries = new Map();
    return this.#entries;
  }

  #row({ said, atMs }: Entry, now: number): CircuitRow {
    const { id, callee, method, policy, revision, state, epoch, retryAfterMs, reason } = said;
    const ageMs = now - atMs;
    return {
      id,
      callee,
      method,
      policy,
      revision,
      agent: this.#agent,
      state,
      epoch,
      // A duration as of now: what the agent said has been running out since.
      retryAfterMs: Math.max(0, Math.round(retryAfterMs - ageMs)),
      reason,
      ageMs,
    };
  }

  #roomFor(state: CircuitState): boolean {
    if (this.#entries.size < CIRCUITS_MAX || this.#entries.has(state.id)) return true;
    if (state.state === 'closed') return false;
    for (const [id, { said }] of this.#entries) {
      if (said.state !== 'closed') continue;
      this.#entries.delete(id);
      return true;
    }
    return false;
  }
}

const none: readonly CircuitRow[] = [];

/** Whether the id is made of what the rest of the report says. */
function wellFormed({ id, callee, policy, method }: CircuitState): boolean {
  return id === `${callee}|${policy}` || (method !== '' && id === `${callee}|${policy}|${method}`);
}
