/** Policies as they are at present, the way answers show them. */
import { MeshError } from '../../core/errors.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import { inFieldOrder } from '../../core/policy/order.js';
import type { Mirror } from '../ports.js';

/** Throws `not_found`. */
export function presentPolicy(mirror: Mirror, name: string): PolicyRevision {
  const present = mirror.policy(name);
  if (present) return present;
  throw new MeshError('not_found', `there is no policy ${name}; GET /v1/policies lists them`);
}

const TIME_MAX_MS = 8.64e15;

/** Wall-clock milliseconds as people read them. What a foreign hand wrote into the store is bent to the nearest date there is. */
export function isoTime(ms: number): string {
  return new Date(Math.max(-TIME_MAX_MS, Math.min(TIME_MAX_MS, ms))).toISOString();
}

/** A stored document as a value, its fields in the order in which people write them. */
export function documentOf(canonical: string): Record<string, unknown> {
  return inFieldOrder(JSON.parse(canonical)) as Record<string, unknown>;
}
