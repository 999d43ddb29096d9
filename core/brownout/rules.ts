/**
 * Rules that raise the level by themselves, as one pure function of what is seen and when. A rule turns on once its condition
 * has held for `forMs` without a break, and off once it has not held for `clearAfterMs` without one: so it changes no faster
 * than these two allow, however its figures jump. Two rules that say the same share their state; memory is one entry a rule.
 *
 * A circuit that probes is neither: it keeps nobody away, so it holds no rule up, else a rule on the callee of the very feature that it
 * dims would wait for ever for calls that it prevents itself; and it has not recovered, so it breaks no wait that has begun.
 */
import { formatRate } from '../policy/units.js';
import type { Rule, When } from './setting.js';

/** What the mesh looks like at a moment. */
export interface Signals {
  /** Of all agents, those that keep calls away. */
  readonly openCircuits: readonly SeenCircuit[];
  /** Those that would let a probe through, and have not recovered yet. */
  readonly probingCircuits: readonly SeenCircuit[];
  /** Calls to a service over the last ten seconds. */
  calls(service: string): { readonly calls: number; readonly failed: number; readonly slow: number };
  /** How long they took, of those that were timed. */
  latency(service: string): Latency;
}

export interface SeenCircuit {
  readonly id: string;
  readonly callee: string;
  readonly agent: string;
}

export interface Latency {
  /** Calls that were timed, whatever each stands for. */
  readonly samples: number;
  /** Milliseconds that the fraction `p` of the calls did not exceed; undefined: none was timed. */
  percentile(p: number): number | undefined;
}

/** Below so many the 95th percentile would be the slowest call alone. */
const SAMPLES_MIN = 20;

export interface RuleState {
  readonly on: boolean;
  /** Since when the condition has been other than `on` says; undefined: it is not. */
  readonly sinceMs: number | undefined;
  /** What was seen when it turned on; empty while off. */
  readonly evidence: string;
}

/** By the rule's key. */
export type RuleStates = ReadonlyMap<string, RuleState>;

export interface Verdict {
  /** The highest of the rules that are on; 0: none is. */
  readonly level: number;
  /** Of that rule; empty at level 0. */
  readonly reason: string;
  readonly states: RuleStates;
}

const off: RuleState = { on: false, sinceMs: undefined, evidence: '' };

export const noStates: RuleStates = new Map();

/** `now`: monotonic milliseconds. States of rules that are gone go with them. */
export function evaluate(rules: readonly Rule[], signals: Signals, now: number, before: RuleStates): Verdict {
  const states = new Map<string, RuleState>();
  const { openCircuits, probingCircuits } = signals;
  const unrecovered = { ...signals, openCircuits: [...openCircuits, ...probingCircuits] };
  for (const rule of rules) {
    if (states.has(rule.key)) continue;
    const state = before.get(rule.key) ?? off;
    const evidence = evidenceFor(rule.when, signals);
    const waits = !state.on && state.sinceMs !== undefined && evidence === undefined;
    const keeps = waits && evidenceFor(rule.when, unrecovered) !== undefined;
    states.set(rule.key, keeps ? state : next(rule, state, evidence, now));
  }
  return { ...highest(rules, states), states };
}

/** What the states say of these rules without another look at the mesh: after a change of the setting. */
export function standing(rules: readonly Rule[], before: RuleStates): Verdict {
  const states = new Map(rules.map(({ key }) => [key, before.get(key) ?? off]));
  return { ...highest(rules, states), states };
}

/** The one place where a rule turns. `evidence`: why its condition holds; undefined: it doesn't. */
function next(
  { forMs, clearAfterMs }: Rule,
  state: RuleState,
  evidence: string | undefined,
  now: number,
): RuleState {
  const holds = evidence !== undefined;
  if (holds === state.on) return state.sinceMs === undefined ? state : { ...state, sinceMs: undefined };
  const sinceMs = state.sinceMs ?? now;
  if (now - sinceMs < (state.on ? clearAfterMs : forMs)) return { ...state, sinceMs };
  return holds ? { on: true, sinceMs: undefined, evidence } : off;
}

function highest(rules: readonly Rule[], states: RuleStates): { level: number; reason: string } {
  let level = 0;
  let reason = '';
  for (const rule of rules) {
    const state = states.get(rule.key);
    if (!state?.on || rule.level <= level) continue;
    level = rule.level;
    reason = state.evidence;
  }
  return { level, reason };
}

/** Why the condition holds, in words; undefined: it doesn't. */
function evidenceFor(when: When, signals: Signals): string | undefined {
  const parts = [ofCircuits(when, signals), ofCallee(when, signals), ...ofCalls(when, signals)];
  if (parts.includes(undefined)) return undefined;
  return parts.filter((part) => part !== '').join(', and ');
}

function ofCircuits({ openCircuits: least }: When, { openCircuits }: Signals): string | undefined {
  if (least === undefined) return '';
  const open = new Set(openCircuits.map(({ id }) => id)).size;
  return open < least ? undefined : `${plural(open, 'circuit')} open (the rule says ${least})`;
}

function ofCallee({ circuit, agents: least = 1 }: When, { openCircuits }: Signals): string | undefined {
  if (circuit === undefined) return '';
  const agents = new Set(openCircuits.flatMap(({ callee, agent }) => (callee === circuit ? [agent] : [])))
    .size;
  return agents < least
    ? undefined
    : `${circuit} is open at ${plural(agents, 'agent')} (the rule says ${least})`;
}

function ofCalls(when: When, signals: Signals): readonly (string | undefined)[] {
  const { callee, minimumCalls } = when;
  if (callee === undefined) return [];
  const counts = signals.calls(callee);
  if (counts.calls < minimumCalls) return [undefined];
  return [ofRates(callee, when, counts), ...ofLatency(callee, when, signals)];
}

function ofRates(
  callee: string,
  { slowRate, failureRate }: When,
  { calls, slow, failed }: ReturnType<Signals['calls']>,
): string | undefined {
  if (slowRate === undefined && failureRate === undefined) return '';
  if (slowRate !== undefined && slow / calls < slowRate) return undefined;
  if (failureRate !== undefined && failed / calls < failureRate) return undefined;
  const seen = [
    ...(slowRate === undefined
      ? []
      : [`${formatRate(slow / calls)} slow (the rule says ${formatRate(slowRate)})`]),
    ...(failureRate === undefined
      ? []
      : [`${formatRate(failed / calls)} failed (the rule says ${formatRate(failureRate)})`]),
  ];
  return `of ${calls} calls to ${callee} ${seen.join(' and ')}`;
}

function ofLatency(
  callee: string,
  { latency: limits = [] }: When,
  signals: Signals,
): readonly (string | undefined)[] {
  if (limits.length === 0) return [];
  const latency = signals.latency(callee);
  if (latency.samples < SAMPLES_MIN) return [undefined];
  return limits.map(({ name, p, limitMs }) => {
    const ms = latency.percentile(p);
    return ms === undefined || ms < limitMs
      ? undefined
      : `${name} of ${callee} is ${formatMs(ms)} over ${latency.samples} sampled calls (the rule says ${formatMs(limitMs)})`;
  });
}

/** No more digits than a histogram knows. */
function formatMs(ms: number): string {
  return `${Number(ms.toPrecision(3))} ms`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
