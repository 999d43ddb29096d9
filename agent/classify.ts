/**
 * What a status or a thrown error says of an attempt: whether it counts against the target, and what the rules of retries need to
 * know. A policy's `classify` comes first, then what the status means everywhere.
 */
import { MeshError } from '../core/errors.js';
import type { ClassifySpec } from '../core/policy/model.js';
import { statusNames } from '../core/policy/names.js';
import { type Outcome, outcomeOfStatus } from '../core/resilience/outcome.js';
import { noPushback, type Pushback, parsePushback, pushbackHeader } from '../core/resilience/pushback.js';
import type { AttemptFailure } from '../core/resilience/retry.js';
import { outcomeOfThrown } from './guarded-function.js';

/** Name of a gRPC status by its number; of a number outside gRPC's, UNKNOWN. */
export function statusName(code: number): string {
  return code === 0 ? 'OK' : (statusNames[code - 1] ?? 'UNKNOWN');
}

/** What a gRPC status counts as. OK is always a success. */
export function outcomeOfCode(code: number, classify: ClassifySpec | undefined): Outcome {
  if (classify === undefined || code === 0) return outcomeOfStatus(code);
  return classify[statusName(code)] ?? outcomeOfStatus(code);
}

export interface Reading {
  readonly outcome: Outcome;
  readonly failure: AttemptFailure;
}

/** Metadata of a gRPC error, as far as it is looked at. */
interface Headers {
  get(name: string): unknown[];
}

/** System errors that come before anything was sent. */
const unsentCodes: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * Of what a guarded function threw. An error of gRPC has its status; anything else reads as UNAVAILABLE, which is what the target
 * was to this call, so that `retry` without `on` tries it again. A rejection of another guarded call says nothing of this target.
 */
export function readThrown(
  error: unknown,
  classify: ClassifySpec | undefined,
  isFailure?: (error: unknown) => boolean,
): Reading {
  const { code, name, metadata, cause } = fieldsOf(error);
  const usual = outcomeOfThrown(error);
  const headers = headersOf(metadata);
  const shed = (headers?.get('switchgear-reject').length ?? 0) > 0;
  const status = error instanceof MeshError ? statusOfMeshError(error) : statusOf(code, headers);
  // Fetch keeps the network's own word in the cause.
  const words = [status.named, fieldsOf(cause).code, code, name];
  const moved = classify && words.map((word) => find(classify, word)).find((found) => found !== undefined);
  let outcome: Outcome = shed ? 'neutral' : usual;
  if (status.code !== undefined && outcome === 'failure') outcome = outcomeOfStatus(status.code);
  if (moved !== undefined && usual !== 'neutral' && !shed) outcome = moved;
  if (isFailure !== undefined && outcome !== 'neutral') outcome = asked(isFailure, error) ?? outcome;
  const unsent = unsentCodes.has(code) || unsentCodes.has(fieldsOf(cause).code);
  const failure = {
    status: status.name,
    unsent,
    shed,
    local: usual === 'neutral',
    pushback: pushbackOf(headers),
  };
  return { outcome, failure };
}

/** Undefined: the application's own predicate threw, and says nothing. */
function asked(isFailure: (error: unknown) => boolean, error: unknown): Outcome | undefined {
  try {
    return isFailure(error) ? 'failure' : 'success';
  } catch {
    return undefined;
  }
}

function find(classify: ClassifySpec, word: unknown): Outcome | undefined {
  return typeof word === 'string' && Object.hasOwn(classify, word) ? classify[word] : undefined;
}

function fieldsOf(error: unknown): { code?: unknown; name?: unknown; metadata?: unknown; cause?: unknown } {
  if (typeof error !== 'object' || error === null) return {};
  try {
    const { code, name, metadata, cause } = error as Record<string, unknown>;
    return { code, name, metadata, cause };
  } catch {
    // A getter of the application's own.
    return {};
  }
}

function headersOf(metadata: unknown): Headers | undefined {
  const read = (name: string) => (metadata as { get(name: string): unknown }).get(name);
  try {
    if (typeof (metadata as { get?: unknown } | null | undefined)?.get !== 'function') return undefined;
  } catch {
    return undefined;
  }
  return {
    get(name) {
      try {
        const found = read(name);
        return Array.isArray(found) ? found : [];
      } catch {
        return [];
      }
    },
  };
}

interface Status {
  readonly name: string;
  /** Of gRPC; undefined: it is no error of gRPC. */
  readonly code?: number;
  readonly named?: string;
}

function statusOf(code: unknown, headers: Headers | undefined): Status {
  if (typeof code !== 'number' || headers === undefined) return { name: 'UNAVAILABLE' };
  const name = statusName(code);
  return { name, code, named: name };
}

function statusOfMeshError(error: MeshError): Status {
  return { name: error.code === 'deadline_exceeded' ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE' };
}

function pushbackOf(headers: Headers | undefined): Pushback {
  return headers === undefined ? noPushback : parsePushback(headers.get(pushbackHeader));
}
