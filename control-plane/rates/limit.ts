/**
 * Which limit of the whole mesh an id stands for, and in which measure it is granted. What an agent says is only ever a name:
 * rate and scope come from the policy in the mirror, so that nobody can talk a limit up. Pure: no state, no clock.
 *
 * A grant is a rate in whole tokens, `tokens` in each `intervalMs`, and an agent saves up one interval's worth at most. The
 * interval is therefore as short as whole tokens allow: a second, or long enough for two tokens for each agent.
 */
import type { PolicyRevision, RateLimitSpec } from '../../core/policy/model.js';
import { exactMethodPattern, serviceNamePattern } from '../../core/policy/names.js';

export interface ClusterLimit {
  readonly callee: string;
  /** The only caller it is for; undefined: all callers. */
  readonly from: string | undefined;
  readonly spec: RateLimitSpec;
}

/** At most `tokens` in each `intervalMs`, of all agents together. */
export interface Measure {
  readonly tokens: number;
  readonly intervalMs: number;
}

interface Policies {
  policy(name: string): PolicyRevision | undefined;
}

const INTERVAL_MIN_MS = 1000;
/** Beyond it whole tokens for everybody would come too late to be of any use: they take turns. */
const INTERVAL_MAX_MS = 3_600_000;
/** Below two, an agent that has much to do could be given nothing of what the others leave over. */
const TOKENS_EACH = 2;
/** Of the wire. */
const TOKENS_MAX = 2 ** 32 - 1;

/** `<callee>|<policy>`, and `|<method>` where the policy says `by: method`. Undefined: no policy in force has such a limit. */
export function clusterLimit(id: string, policies: Policies): ClusterLimit | undefined {
  const [callee = '', name = '', method, ...rest] = id.split('|');
  if (rest.length > 0 || !serviceNamePattern.test(callee)) return undefined;
  const policy = policies.policy(name)?.policy;
  const spec = policy?.spec.rateLimit;
  if (policy?.mode !== 'enforce' || spec?.scope !== 'cluster') return undefined;
  const { match } = policy;
  if (match.to !== '*' && match.to !== callee) return undefined;
  if (method !== undefined && (spec.by !== 'method' || !fits(method, match.method))) return undefined;
  return { callee, from: match.from, spec };
}

export function tokensPerSecond({ rate, perMs }: RateLimitSpec): number {
  return (rate * 1000) / perMs;
}

/** Never more than the limit; less by no more than a millisecond in each interval. */
export function measureOf(spec: RateLimitSpec, agents: number): Measure {
  const { rate, perMs } = spec;
  const intervalFor = (tokens: number) => Math.ceil((tokens * perMs) / rate);
  const short = Math.ceil(tokensPerSecond(spec) * (INTERVAL_MIN_MS / 1000));
  // In powers of two, so that the measure stays the same while agents come and go.
  const each = TOKENS_EACH * 2 ** Math.ceil(Math.log2(Math.max(1, agents)));
  const tokens = Math.min(TOKENS_MAX, Math.max(short, each));
  const longestMs = Math.max(perMs, INTERVAL_MAX_MS);
  if (intervalFor(tokens) <= longestMs) return { tokens, intervalMs: intervalFor(tokens) };
  return { tokens: Math.floor((rate * longestMs) / perMs), intervalMs: longestMs };
}

function fits(method: string, pattern: string | undefined): boolean {
  if (!exactMethodPattern.test(method)) return false;
  if (pattern === undefined || pattern === method) return true;
  return pattern.endsWith('/*') && method.startsWith(pattern.slice(0, -1));
}
