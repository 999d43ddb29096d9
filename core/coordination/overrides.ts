/**
 * What operators have decided of circuits: overrides, which force one open or closed, and the kill switch, under which no circuit of
 * the mesh opens. They are one document, kept like a policy under a name that no policy can have; this is its one parser, for what
 * people send and for what the store holds, and its one writer. Never throws. At most 1,000 overrides and 256 KiB.
 *
 * Each decision carries a number that grows with every change of the document: all replicas know the same one for the same decision,
 * whenever they came to read it.
 */
import type { Issue } from '../errors.js';
import { type Form, mapOf } from '../policy/form.js';
import { addIssues } from '../policy/issues.js';
import {
  choice,
  count,
  DAY_MS,
  duration,
  HOUR_MS,
  must,
  number,
  reason,
  record,
  sense,
  text,
} from '../policy/leaves.js';
import { canonical, type Plain, plainCopy } from '../policy/plain.js';
import { formatDuration } from '../policy/units.js';

/** Its place in the store; no policy's name begins with a tilde. */
export const circuitsName = '~circuits';

export const OVERRIDES_MAX = 1_000;
export const OVERRIDE_TTL_MS = HOUR_MS;
const BYTES_MAX = 262_144;
const REASON_LENGTH_MAX = 500;

/** `<callee>|<policy>` or `<callee>|<policy>|<method>`: of all zones, since an override is of all agents. */
export const circuitIdPattern =
  /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\|[a-z0-9][a-z0-9._-]{0,127}(?:\|[A-Za-z_][A-Za-z0-9_.]{0,254}\/[A-Za-z_][A-Za-z0-9_]{0,254})?$/;

/** What somebody has said, and for how long it holds. */
export interface Decision {
  readonly reason: string;
  /** Whose token it was. */
  readonly author: string;
  /** Undefined: until somebody says otherwise. */
  readonly ttlMs: number | undefined;
  /** Wall-clock milliseconds at which it was said. */
  readonly setAt: number;
  /** Of the change of the document that it came with. */
  readonly change: number;
}

export interface ForcedState extends Decision {
  readonly state: 'open' | 'closed';
}

export interface CircuitsSetting {
  /** By circuit. */
  readonly overrides: ReadonlyMap<string, ForcedState>;
  /** Undefined: circuits may open. */
  readonly frozen: Decision | undefined;
  /** How often it was changed. */
  readonly changes: number;
  /** As it is stored, in canonical JSON. */
  readonly document: string;
}

type Result<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly issues: readonly Issue[] };

export type CircuitsSettingResult = Result<{ readonly setting: CircuitsSetting }>;

function why() {
  const right = must('a text that says why, for everybody who looks');
  return reason(REASON_LENGTH_MAX, right).describe('Why, for everybody who looks.');
}

const ttl = () => duration(1000, 7 * DAY_MS);

function makeSchemas() {
  const forced = choice(['open', 'closed']).describe(
    'open: no call goes through; closed: the mesh keeps no call away, agents go by their own circuits.',
  );
  const stored = {
    reason: text(),
    author: text(),
    ttl: ttl().optional(),
    setAt: number(),
    change: count(),
  };
  return {
    override: record({
      state: forced,
      reason: why(),
      ttl: ttl().usually('1h').describe('After which it counts no more, from 1s to 7 days.'),
    }),
    freeze: record({
      reason: why(),
      ttl: ttl()
        .optional()
        .describe('After which circuits may open again; absent: when somebody thaws them.'),
    }),
    document: record({
      overrides: mapOf(record({ state: forced, ...stored }), must('an object')).check(
        sense((entries, fault) => {
          const circuits = Object.keys(entries);
          if (circuits.length > OVERRIDES_MAX) fault([], `must be at most ${OVERRIDES_MAX}`);
          for (const circuit of circuits.slice(0, OVERRIDES_MAX))
            if (!circuitIdPattern.test(circuit))
              fault([circuit], 'is no circuit: <callee>|<policy>[|<method>]');
        }),
      ),
      frozen: record(stored).optional(),
      changes: count(),
    }),
  };
}

let made: ReturnType<typeof makeSchemas> | undefined;

/** Built at first use. */
function schemas() {
  made ??= makeSchemas();
  return made;
}

/** Of what people send, for OpenAPI. */
export function overrideSchema() {
  return schemas().override;
}

export function freezeSchema() {
  return schemas().freeze;
}

/** An override as somebody sends it. */
export interface OverrideFields {
  readonly state: 'open' | 'closed';
  readonly reason: string;
  readonly ttlMs: number;
}

export interface FreezeFields {
  readonly reason: string;
  /** Undefined: until somebody says otherwise. */
  readonly ttlMs: number | undefined;
}

/** Checks what a person sends; all faults at once. */
export function parseOverride(input: unknown): Result<{ readonly fields: OverrideFields }> {
  const read = readWith(schemas().override, input);
  if (!read.ok) return read;
  const { state, reason: why, ttl: ttlMs } = read.data;
  return { ok: true, fields: { state, reason: why, ttlMs } };
}

export function parseFreeze(input: unknown): Result<{ readonly fields: FreezeFields }> {
  const read = readWith(schemas().freeze, input);
  if (!read.ok) return read;
  const { reason: why, ttl: ttlMs } = read.data;
  return { ok: true, fields: { reason: why, ttlMs } };
}

function readWith<T>(form: Form<T>, input: unknown): Result<{ readonly data: T }> {
  const issues: Issue[] = [];
  const plain = plainCopy(input, issues);
  if (plain === undefined) return { ok: false, issues };
  const { value: data, wrong } = form.read(plain);
  addIssues(wrong, issues);
  if (data === undefined || issues.length > 0) return { ok: false, issues: issues.slice(0, 100) };
  return { ok: true, data };
}

/** A stored document, or one about to be. */
export function parseCircuitsSetting(document: string): CircuitsSettingResult {
  if (Buffer.byteLength(document) > BYTES_MAX)
    return { ok: false, issues: [{ path: '', message: `is too large; at most ${BYTES_MAX / 1024} KiB` }] };
  let input: unknown;
  try {
    input = JSON.parse(document);
  } catch {
    return { ok: false, issues: [{ path: '', message: 'is no JSON' }] };
  }
  const read = readWith(schemas().document, input);
  if (!read.ok) return read;
  const { overrides, frozen, changes } = read.data;
  return {
    ok: true,
    setting: {
      overrides: new Map(
        Object.entries(overrides).map(([circuit, { state, ...rest }]) => [
          circuit,
          { state, ...decision(rest) },
        ]),
      ),
      frozen: frozen && decision(frozen),
      changes,
      document,
    },
  };
}

type StoredDecision = Omit<Decision, 'ttlMs'> & { readonly ttl?: number };

function decision({ ttl: ttlMs, ...rest }: StoredDecision): Decision {
  return { ...rest, ttlMs };
}

/** One circuit's override, or the kill switch: `put` undefined takes it away. */
export type CircuitsChange =
  | { readonly circuit: string; readonly put: OverrideFields | undefined }
  | { readonly circuit: undefined; readonly put: FreezeFields | undefined };

/**
 * The document after a change, as text for the store, without what is over by then. The same text as before, or undefined where there
 * was none: there is nothing to change. One that can't be read is written anew. `isOver`: of the decision of that change.
 */
export function changedSetting(
  before: string | undefined,
  { circuit, put }: CircuitsChange,
  { author, wallNow, isOver }: { author: string; wallNow: number; isOver: (change: number) => boolean },
): string | undefined {
  const read = before === undefined ? undefined : parseCircuitsSetting(before);
  const old = read?.ok ? read.setting : undefined;
  const change = (old?.changes ?? 0) + 1;
  const overrides = new Map(old?.overrides);
  for (const [id, { change: made }] of overrides) if (isOver(made)) overrides.delete(id);
  let frozen = old?.frozen && !isOver(old.frozen.change) ? old.frozen : undefined;
  if (circuit === undefined) frozen = put && { ...put, author, setAt: wallNow, change };
  else if (put) overrides.set(circuit, { ...put, author, setAt: wallNow, change });
  else overrides.delete(circuit);
  const same = !put && overrides.size === (old?.overrides.size ?? 0) && frozen === old?.frozen;
  if (same && (before === undefined || old)) return before;
  return canonical({
    changes: change,
    overrides: Object.fromEntries(
      [...overrides].map(([id, entry]) => [id, { state: entry.state, ...written(entry) }]),
    ),
    ...(frozen && { frozen: written(frozen) }),
  });
}

function written({ reason: why, author, ttlMs, setAt, change }: Decision): { readonly [key: string]: Plain } {
  return { reason: why, author, setAt, change, ...(ttlMs !== undefined && { ttl: formatDuration(ttlMs) }) };
}
