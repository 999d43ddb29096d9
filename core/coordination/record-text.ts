/**
 * A circuit's record as the text that the store holds: JSON, so that an operator can read it where it lies. What comes back may be
 * anything (another version wrote it, or somebody's hand): it is a record in bounds, or it is none.
 */
import type { ClusterRecord, ClusterState, Ejection, ProbePermit } from './model.js';

const BODY_MAX = 65_536;
const NAME_MAX = 1_024;
const REASON_MAX = 1_000;
/** `epoch * 256 + 255` is still a whole number to the bit. */
const EPOCH_MAX = 2 ** 44;
const PERMITS_MAX = 255;
const EJECTIONS_MAX = 512;
/** A year: no duration of ours is longer, and sums of such stay exact. */
const DURATION_MAX_MS = 31_536_000_000;
const COUNT_MAX = 1_000_000;
const STEPS_MAX = 20;

const states: readonly ClusterState[] = ['closed', 'open', 'half-open', 'ramping'];

export function encodeRecord(record: ClusterRecord): string {
  const ejections = record.ejections.slice(0, EJECTIONS_MAX);
  return JSON.stringify({ ...record, reason: record.reason.slice(0, REASON_MAX), ejections });
}

/** Undefined: this is no record of this circuit. */
export function decodeRecord(circuit: string, body: string): ClusterRecord | undefined {
  if (body.length > BODY_MAX) return undefined;
  const read = parsed(body);
  if (!isObject(read) || read.id !== circuit) return undefined;
  const { state, policy } = read;
  const epoch = whole(read.epoch, EPOCH_MAX);
  const seq = whole(read.seq, Number.MAX_SAFE_INTEGER - 1);
  const ageMs = duration(read.ageMs);
  const openMs = duration(read.openMs);
  const openings = whole(read.openings, COUNT_MAX);
  const step = whole(read.step, STEPS_MAX - 1);
  const reason = text(read.reason, REASON_MAX);
  const permits = listOf(read.permits, PERMITS_MAX, permit);
  const ejections = listOf(read.ejections, EJECTIONS_MAX, ejection);
  if (!isObject(policy)) return undefined;
  const source = { policy: text(policy.policy, NAME_MAX), revision: whole(policy.revision) };
  if (epoch === undefined || seq === undefined || seq === 0 || ageMs === undefined) return undefined;
  if (openMs === undefined || openings === undefined || step === undefined) return undefined;
  if (reason === undefined || !permits || !ejections) return undefined;
  if (source.policy === undefined || source.revision === undefined) return undefined;
  if (!states.includes(state as ClusterState) || !ofEpoch(permits, epoch)) return undefined;
  const permitMs = optional(read.permitMs, duration);
  const override = optional(read.override, whole);
  if (permitMs === false || override === false) return undefined;
  return {
    id: circuit,
    state: state as ClusterState,
    epoch,
    seq,
    ageMs,
    openMs,
    openings,
    step,
    permits,
    ejections,
    reason,
    policy: { policy: source.policy, revision: source.revision },
    ...(permitMs === undefined ? {} : { permitMs }),
    ...(override === undefined ? {} : { override }),
  };
}

/** Each once, and none of a period that hasn't been. */
function ofEpoch(permits: readonly ProbePermit[], epoch: number): boolean {
  const numbers = new Set(permits.map((each) => each.permit));
  return numbers.size === permits.length && permits.every((each) => Math.floor(each.permit / 256) <= epoch);
}

function permit(read: Record<string, unknown>): ProbePermit | undefined {
  const { outcome } = read;
  const number = whole(read.permit);
  const agent = text(read.agent, NAME_MAX);
  if (number === undefined || !agent) return undefined;
  if (outcome === undefined) return { permit: number, agent };
  if (outcome !== 'ok' && outcome !== 'failed' && outcome !== 'lost') return undefined;
  return { permit: number, agent, outcome };
}

/** `leftMs` goes on below 0 for a while: the instance is back, and how often it was out is still remembered. */
function ejection(read: Record<string, unknown>): Ejection | undefined {
  const { leftMs } = read;
  const endpoint = text(read.endpoint, NAME_MAX);
  const times = whole(read.times, COUNT_MAX);
  if (typeof leftMs !== 'number' || !(Math.abs(leftMs) <= DURATION_MAX_MS)) return undefined;
  return endpoint && times !== undefined ? { endpoint, leftMs, times } : undefined;
}

function listOf<T>(
  read: unknown,
  max: number,
  item: (read: Record<string, unknown>) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(read) || read.length > max) return undefined;
  const items: T[] = [];
  for (const each of read as readonly unknown[]) {
    const made = isObject(each) ? item(each) : undefined;
    if (made === undefined) return undefined;
    items.push(made);
  }
  return items;
}

/** False: it is there, and wrong. */
function optional<T>(read: unknown, form: (read: unknown) => T | undefined): T | undefined | false {
  return read === undefined ? undefined : (form(read) ?? false);
}

function whole(read: unknown, max = Number.MAX_SAFE_INTEGER): number | undefined {
  return Number.isSafeInteger(read) && (read as number) >= 0 && (read as number) <= max
    ? (read as number)
    : undefined;
}

function duration(read: unknown): number | undefined {
  return typeof read === 'number' && read >= 0 && read <= DURATION_MAX_MS ? read : undefined;
}

/** Without control characters: it ends up in logs and on terminals. */
function text(read: unknown, max: number): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return typeof read === 'string' && read.length <= max && !/[\u0000-\u001f\u007f-\u009f]/.test(read)
    ? read
    : undefined;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function isObject(read: unknown): read is Record<string, unknown> {
  return typeof read === 'object' && read !== null && !Array.isArray(read);
}
