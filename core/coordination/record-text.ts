/**
 * A circuit's record as the text that the store holds: JSON, so that an operator can read it where it lies. What comes back may be
 * anything (another version wrote it, or somebody's hand): it is a record in bounds, or it is none.
 *
 * A store takes bodies of 16 KiB; what is long is bounded and written short: permits as [permit, index of the agent, outcome],
 * ejections as [endpoint, leftMs, times].
 */
import type { ClusterRecord, ClusterState, Ejection, ProbePermit } from './model.js';

const BODY_MAX = 16_384;
const NAME_MAX = 1_024;
const REASON_MAX = 600;
/** `epoch * 256 + 255` is still a whole number to the bit. */
const EPOCH_MAX = 2 ** 44;
const PERMITS_MAX = 255;
const EJECTIONS_MAX = 64;
/** Distinct ones that hold permits. */
export const AGENTS_MAX = 16;
export const AGENT_NAME_MAX = 400;
/** A year: no duration of ours is longer, and sums of such stay exact. */
const DURATION_MAX_MS = 31_536_000_000;
const COUNT_MAX = 1_000_000;
const STEPS_MAX = 20;

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f]/g;
const outcomes = [undefined, 'ok', 'failed', 'lost'] as const;
const states: readonly ClusterState[] = ['closed', 'open', 'half-open', 'ramping'];

export function encodeRecord(record: ClusterRecord): string {
  const agents = [...new Set(record.permits.map(({ agent }) => agent))];
  const index = new Map(agents.map((agent, i) => [agent, i]));
  return JSON.stringify({
    ...record,
    reason: record.reason.slice(0, REASON_MAX).replace(controls, ' '),
    agents,
    permits: record.permits.map(({ permit, agent, outcome }) => [
      permit,
      index.get(agent),
      outcomes.indexOf(outcome),
    ]),
    ejections: record.ejections
      .slice(0, EJECTIONS_MAX)
      .map(({ endpoint, leftMs, times }) => [endpoint, leftMs, times]),
  });
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
  const agents = listOf(read.agents, AGENTS_MAX, (each) => text(each, AGENT_NAME_MAX));
  const permits = listOf(read.permits, PERMITS_MAX, (each) => permit(each, agents ?? []));
  const ejections = listOf(read.ejections, EJECTIONS_MAX, ejection);
  if (!isObject(policy)) return undefined;
  const source = { policy: text(policy.policy, NAME_MAX), revision: whole(policy.revision) };
  if (epoch === undefined || seq === undefined || seq === 0 || ageMs === undefined) return undefined;
  if (openMs === undefined || openings === undefined || step === undefined) return undefined;
  if (reason === undefined || !agents || !permits || !ejections) return undefined;
  if (source.policy === undefined || source.revision === undefined) return undefined;
  if (!states.includes(state as ClusterState) || !ofEpoch(permits, epoch)) return undefined;
  const permitMs = optional(read.permitMs, duration);
  const override = optional(read.override, (each) => whole(each));
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

function permit(read: unknown, agents: readonly string[]): ProbePermit | undefined {
  if (!Array.isArray(read)) return undefined;
  const [number, agent, outcome] = read as readonly unknown[];
  const permit = whole(number);
  const name = agents[whole(agent, AGENTS_MAX) ?? AGENTS_MAX];
  const index = whole(outcome, outcomes.length - 1);
  if (permit === undefined || !name || index === undefined) return undefined;
  const said = outcomes[index];
  return said === undefined ? { permit, agent: name } : { permit, agent: name, outcome: said };
}

/** `leftMs` goes on below 0 for a while: the instance is back, and how often it was out is still remembered. */
function ejection(read: unknown): Ejection | undefined {
  if (!Array.isArray(read)) return undefined;
  const [name, leftMs, count] = read as readonly unknown[];
  const endpoint = text(name, NAME_MAX);
  const times = whole(count, COUNT_MAX);
  if (typeof leftMs !== 'number' || !(Math.abs(leftMs) <= DURATION_MAX_MS)) return undefined;
  return endpoint && times !== undefined ? { endpoint, leftMs, times } : undefined;
}

function listOf<T>(
  read: unknown,
  max: number,
  item: (read: unknown) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(read) || read.length > max) return undefined;
  const items: T[] = [];
  for (const each of read as readonly unknown[]) {
    const made = item(each);
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
  return typeof read === 'string' && read.length <= max && read.search(controls) < 0 ? read : undefined;
}

/** Fit to be the name of an agent that holds a permit. */
export function isAgentName(agent: string): boolean {
  return agent !== '' && text(agent, AGENT_NAME_MAX) !== undefined;
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
