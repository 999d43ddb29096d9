/**
 * What became of the calls of a mesh, for a person to look at: counts since the process began, by callee and by method, with the
 * policies in force and what each revision of them did. Put together when asked; the counts are the tallies that calls keep anyway.
 *
 * Bound: the callees and methods in use, 10,000 together. What had to make room for others isn't in it.
 */
import { LatencyHistogram } from '../core/resilience/latency.js';
import type { CircuitStatus } from './events.js';
import type { Counts, Tally } from './tally.js';
import type { Target } from './target.js';
import type { BulkheadView, Targets } from './targets.js';

export interface CallStats {
  /** Policies in force, each with its revision. */
  readonly policies: { readonly [policy: string]: number };
  /** That began and have ended; each retry and hedge is one of its own. `slow`: of the circuit's `slowCall`, or longer. */
  readonly calls: {
    readonly ok: number;
    readonly failed: number;
    /** Said nothing of the callee, such as those that their caller cancelled. */
    readonly neutral: number;
    readonly slow: number;
  };
  /** That never began, by code. */
  readonly rejected: { readonly [code: string]: number };
  readonly retries: number;
  readonly hedges: number;
  /** Ended by a limit of time of a policy. */
  readonly timeouts: number;
  /** Answered by a fallback, by its kind; `caller`: the application's own. */
  readonly degraded: { readonly [kind: string]: number };
  /** Calls that waited in line for a slot and got one. */
  readonly queue: { readonly calls: number; readonly meanMs: number };
  /** Of a sample that is true of all calls, about one in sixteen where there are many; undefined: none was timed. */
  readonly latency: { readonly p50Ms: number; readonly p99Ms: number } | undefined;
  /** What policies in shadow would have done, by kind. */
  readonly would: { readonly [kind: string]: number };
  /** `inventory-default@7` → `reject circuit_open` → how often; without a revision: by earlier ones. `(no policy)`: the caller's own limits and fallbacks. */
  readonly decisions: { readonly [policy: string]: { readonly [what: string]: number } };
}

/** Of a callee: all its methods together. */
export interface CalleeStats extends CallStats {
  readonly circuits: readonly CircuitStatus[];
  readonly bulkheads: readonly BulkheadView[];
  /** Those that were called, and keys of guarded calls. */
  readonly methods: { readonly [method: string]: CallStats };
}

/** By callee. */
export interface MeshStats {
  readonly [callee: string]: CalleeStats;
}

/** What decided where no policy did. */
const NO_POLICY = '(no policy)';

export function statsOf(targets: Targets): MeshStats {
  const sums = new Map<string, { whole: Sum; methods: Map<string, CallStats> }>();
  for (const target of targets.bound()) {
    let entry = sums.get(target.callee);
    if (!entry) {
      entry = { whole: new Sum(), methods: new Map() };
      sums.set(target.callee, entry);
    }
    entry.whole.add(target);
    if (target.method === '') continue;
    const own = new Sum();
    own.add(target);
    entry.methods.set(target.method, own.stats());
  }
  const circuits = grouped(
    targets.circuits().map(({ from: _from, to, ...circuit }) => ({ ...circuit, state: to })),
  );
  const bulkheads = grouped(targets.bulkheads());
  const rows = Array.from(sums, ([callee, { whole, methods }]): [string, CalleeStats] => [
    callee,
    {
      ...whole.stats(),
      circuits: circuits.get(callee) ?? [],
      bulkheads: bulkheads.get(callee) ?? [],
      methods: Object.fromEntries(methods),
    },
  ]);
  return Object.fromEntries(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function grouped<T extends { readonly callee: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.callee);
    if (group) group.push(row);
    else groups.set(row.callee, [row]);
  }
  return groups;
}

class Sum {
  readonly #policies = new Map<string, number>();
  readonly #calls = { ok: 0, failed: 0, neutral: 0, slow: 0 };
  readonly #more = { retries: 0, hedges: 0, timeouts: 0 };
  readonly #rejected = new Map<string, number>();
  readonly #degraded = new Map<string, number>();
  readonly #would = new Map<string, number>();
  readonly #decisions = new Map<string, Map<string, number>>();
  readonly #latency = new LatencyHistogram();
  #queued = 0;
  #queuedMs = 0;

  add({ tally, effective }: Target): void {
    for (const { source } of Object.values(effective)) this.#policies.set(source.policy, source.revision);
    for (const name of ['ok', 'failed', 'neutral', 'slow'] as const) this.#calls[name] += tally[name];
    for (const name of ['retries', 'hedges', 'timeouts'] as const) this.#more[name] += tally[name];
    addUp(this.#rejected, tally.rejections);
    addUp(this.#degraded, tally.degraded);
    addUp(this.#would, tally.would);
    this.#queued += tally.queued;
    this.#queuedMs += tally.queuedMs;
    if (tally.latency) this.#latency.merge(tally.latency.histogram());
    this.#addDecisions(tally);
  }

  stats(): CallStats {
    const p50Ms = this.#latency.percentile(0.5);
    const p99Ms = this.#latency.percentile(0.99);
    return {
      policies: Object.fromEntries(this.#policies),
      calls: { ...this.#calls },
      rejected: Object.fromEntries(this.#rejected),
      ...this.#more,
      degraded: Object.fromEntries(this.#degraded),
      queue: { calls: this.#queued, meanMs: this.#queued === 0 ? 0 : this.#queuedMs / this.#queued },
      latency: p50Ms === undefined || p99Ms === undefined ? undefined : { p50Ms, p99Ms },
      would: Object.fromEntries(this.#would),
      decisions: Object.fromEntries(
        Array.from(this.#decisions, ([policy, did]) => [policy, Object.fromEntries(did)]),
      ),
    };
  }

  #addDecisions({ book }: Tally): void {
    for (const { kind, code, policy, revision, count } of book.entries) {
      const name = policy === '' ? NO_POLICY : revision === 0 ? policy : `${policy}@${revision}`;
      const did = this.#decisions.get(name) ?? new Map<string, number>();
      this.#decisions.set(name, did);
      const what = `${kind} ${code}`;
      did.set(what, (did.get(what) ?? 0) + count);
    }
  }
}

function addUp(sum: Map<string, number>, counts: Counts): void {
  for (const [word, count] of Object.entries(counts)) sum.set(word, (sum.get(word) ?? 0) + count);
}
