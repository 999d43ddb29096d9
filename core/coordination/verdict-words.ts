/**
 * Why a verdict is what it is, in words for people: the figures, what they were held against, who says so and over how long. At
 * most 600 characters where names are as long as names of services and instances are; records cut what is longer.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Counts, Group, NamedGroup, Span } from './model.js';
import { type Fault, faultOf } from './thresholds.js';

const NAMES_MAX = 4;

/** A group that meets the whole rule. */
export interface Case {
  readonly span: Span;
  readonly group: Group;
  /** As they weigh. */
  readonly counts: Counts;
  readonly fault: Fault;
  readonly needed: number;
}

export function opened(spec: CircuitSpec, found: Case, agents: number): string {
  return `${figures(spec, found)}; ${reporters(found, agents)}`;
}

export function opensZone(spec: CircuitSpec, found: Case, agents: number, zone: string, rest: Group): string {
  const elsewhere = `elsewhere ${part(spec, found.fault, rest)}, ${rest.agents} reporters`;
  return `zone ${zone}: ${figures(spec, found)}; ${reporters(found, agents)}; ${elsewhere}`;
}

export function ejected(
  spec: CircuitSpec,
  span: Span,
  sick: readonly NamedGroup[],
  known: number,
  rest: Counts,
): string {
  const shown = sick.slice(0, NAMES_MAX).map((each) => {
    const what = part(spec, faultOf(spec, each) ?? 'failed', each);
    return `${each.name} (${what}, ${each.over} of ${each.agents} reporters over it)`;
  });
  if (sick.length > NAMES_MAX) shown.push(`${sick.length - NAMES_MAX} more`);
  const fault = (sick[0] && faultOf(spec, sick[0])) ?? 'failed';
  const over = `in the last ${duration(span.ms)} (threshold ${threshold(spec, fault)})`;
  return `${sick.length} of ${known} endpoints ${over}: ${shown.join(', ')}; elsewhere ${part(spec, fault, rest)}`;
}

function figures(spec: CircuitSpec, { span, group, counts, fault }: Case): string {
  const cut = counts.calls < group.calls ? `, cut from ${plain(group.calls)} as one reporter weighs` : '';
  const last = `in the last ${duration(span.ms)}`;
  return `${part(spec, fault, counts)}${cut} ${last} (opens at ${threshold(spec, fault)})`;
}

function reporters({ group, needed }: Case, agents: number): string {
  return `${group.over} of ${agents} reporters over it (${needed} needed)`;
}

function part({ slowCallMs }: CircuitSpec, fault: Fault, { calls, failed, slow }: Counts): string {
  if (fault === 'failed') return `${plain(failed)} of ${plain(calls)} calls failed`;
  return `${plain(slow)} of ${plain(calls)} calls took ${slowCallMs} ms or more`;
}

function threshold(spec: CircuitSpec, fault: Fault): string {
  const rate = fault === 'failed' ? spec.failureRate : spec.slowRate;
  return `${Math.round(rate * 100_000) / 1_000} %`;
}

function plain(count: number): string {
  return String(Math.round(count * 10) / 10);
}

function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${Number((ms / 1_000).toFixed(2))} s`;
}
