/**
 * Which policies hold for a call, and what they come to. Policies are kept by (callee, method) as they match, each list in
 * order, so a lookup reads at most six lists whose concatenation is already sorted from general to specific:
 *
 *     (*, none) (*, Service/*) (*, exact) (callee, none) (callee, Service/*) (callee, exact)
 *
 * Nothing is compiled or cached here: agents do that once per target.
 */
import {
  type Effective,
  type Policy,
  type PolicyRevision,
  type SectionName,
  type Sections,
  type Source,
  sectionNames,
} from './model.js';
import { SELF } from './names.js';

export interface Query {
  /** Caller service; absent: matched only by policies for every caller. */
  readonly from?: string | undefined;
  /** Callee service or guard resource. */
  readonly to: string;
  /** `pkg.Service/Method`, also as the path `/pkg.Service/Method`; absent or empty: matched only by policies for every method. */
  readonly method?: string | undefined;
}

export interface MergeOptions {
  /** Policies in shadow take part, as if they were enforced. */
  readonly shadow?: boolean;
}

type ByMethod = Map<string, PolicyRevision[]>;

/** Key of policies for every method; no method is called so. */
const EVERY = '';

export class PolicyIndex {
  readonly #byName = new Map<string, PolicyRevision>();
  readonly #byCallee = new Map<string, ByMethod>();

  constructor(list: Iterable<PolicyRevision> = []) {
    for (const entry of list) this.set(entry);
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): PolicyRevision | undefined {
    return this.#byName.get(name);
  }

  /** In the order they were first set. */
  all(): IterableIterator<PolicyRevision> {
    return this.#byName.values();
  }

  /** Adds it, or puts it in place of the one of its name. */
  set(entry: PolicyRevision): void {
    const { name, match } = entry.policy;
    this.#unlink(name);
    this.#byName.set(name, entry);
    let byMethod = this.#byCallee.get(match.to);
    if (!byMethod) {
      byMethod = new Map();
      this.#byCallee.set(match.to, byMethod);
    }
    const method = match.method ?? EVERY;
    const list = byMethod.get(method);
    if (!list) byMethod.set(method, [entry]);
    else list.splice(placeOf(entry.policy, list), 0, entry);
  }

  delete(name: string): boolean {
    this.#unlink(name);
    return this.#byName.delete(name);
  }

  clear(): void {
    this.#byName.clear();
    this.#byCallee.clear();
  }

  /** Whatever matches, of every mode, from general to specific. */
  matching({ from, to, method }: Query): PolicyRevision[] {
    const found: PolicyRevision[] = [];
    for (const callee of to === '*' ? ['*'] : to === SELF ? [SELF] : ['*', to]) {
      const byMethod = this.#byCallee.get(callee);
      if (!byMethod) continue;
      for (const key of methodKeys(method))
        for (const entry of byMethod.get(key) ?? [])
          if (entry.policy.match.from === undefined || entry.policy.match.from === from) found.push(entry);
    }
    return found;
  }

  /** Those whose `match.to` is this name (`*`: the general ones), in no particular order. */
  *to(name: string): IterableIterator<PolicyRevision> {
    for (const list of this.#byCallee.get(name)?.values() ?? []) yield* list;
  }

  #unlink(name: string): void {
    const former = this.#byName.get(name);
    if (!former) return;
    const { to, method = EVERY } = former.policy.match;
    const byMethod = this.#byCallee.get(to);
    const list = byMethod?.get(method);
    if (!byMethod || !list) return;
    list.splice(placeOf(former.policy, list), 1);
    if (list.length > 0) return;
    byMethod.delete(method);
    if (byMethod.size === 0) this.#byCallee.delete(to);
  }
}

/** What holds for this call: each section whole, from the most specific policy that speaks of it. */
export function effective(index: PolicyIndex, query: Query, options: MergeOptions = {}): Effective {
  return merge(index.matching(query), options);
}

/** Policies from general to specific → each section with its source. A section that is `null` removes it. */
export function merge(policies: Iterable<PolicyRevision>, { shadow = false }: MergeOptions = {}): Effective {
  const merged: { [S in SectionName]?: { value: Sections[S]; source: Source } } = {};
  for (const { policy, revision } of policies) {
    if (policy.mode === 'off' || (policy.mode === 'shadow' && !shadow)) continue;
    const source = { policy: policy.name, revision };
    for (const section of sectionNames) {
      const value = policy.spec[section];
      if (value === undefined) continue;
      if (value === null) delete merged[section];
      else Object.assign(merged, { [section]: { value, source } });
    }
  }
  return merged as Effective;
}

/** Among policies of one callee and method: no caller before a caller, then priority, then name. */
export function compare(a: Policy, b: Policy): number {
  return (
    Number(a.match.from !== undefined) - Number(b.match.from !== undefined) ||
    a.priority - b.priority ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  );
}

/** Where to insert, by halves. */
function placeOf(policy: Policy, list: readonly PolicyRevision[]): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = list[middle];
    if (there && compare(there.policy, policy) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The keys under which policies for this method are kept, from general to specific. */
function methodKeys(method = EVERY): string[] {
  const name = method.startsWith('/') ? method.slice(1) : method;
  if (name === EVERY) return [EVERY];
  const slash = name.indexOf('/');
  return slash < 0 ? [EVERY, name] : [EVERY, `${name.slice(0, slash)}/*`, name];
}
