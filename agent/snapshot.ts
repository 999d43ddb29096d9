/**
 * What a service needs to be protected from its first call on though the control plane is away: policies, endpoints, open
 * circuits and callees, as text for the disk. The first line says what the rest must be (schema version, length, SHA-256), so a
 * file cut in half, edited or of another release is told apart before anything of it is used.
 */
import { createHash } from 'node:crypto';
import { type Fields, type Form, fieldsOf, listOf, mapOf, type Read } from '../core/policy/form.js';
import { choice, count, number, text } from '../core/policy/leaves.js';

const VERSION = 1;
const FORMAT = 'switchgear-snapshot';

const right = () => 'is of another shape';
const fields = <const F extends Fields>(of: F) => fieldsOf(of, right);
const list = <T>(of: Form<T>) => listOf(of, right);
const map = <T>(of: Form<T>) => mapOf(of, right);

const perhaps = <T>(of: Form<T>): Form<T | undefined, true> => of.optional();

const revision = { revision: count(), document: text(), hash: text() };

const snapshotForm = fields({
  service: text(),
  /** Wall-clock milliseconds, to tell how long the process was away. */
  savedAt: number(0),
  /** Of the process that wrote it. */
  boot: count(),
  session: fields({
    dataset: text(),
    revision: count(),
    /** `previous`: of a staged rollout, and absent in snapshots of older releases. */
    policies: list(fields({ ...revision, name: text(), previous: perhaps(fields(revision).nullable()) })),
  }),
  endpoints: map(
    list(
      fields({
        instance: text(),
        address: text(),
        zone: text(),
        version: text(),
        protocol: text(),
        weight: count(),
      }),
    ),
  ),
  /** Open ones, by id. */
  circuits: map(fields({ remainingMs: number(0), openings: count() })),
  callees: list(text()),
  /** Agents among whom limits of the mesh are divided, by id. Absent in snapshots of older releases. */
  rates: perhaps(map(count())),
  /** Absent: everything ran. Snapshots of older releases have none. */
  brownout: perhaps(
    fields({
      level: count(),
      features: list(fields({ name: text(), level: count() })),
      /** Left when it was saved; 0: it has no end. */
      ttlMs: count(),
      reason: text(),
      revision: count(),
    }),
  ),
});

export type Snapshot = Readonly<Read<typeof snapshotForm>>;

const headForm = fields({ format: choice([FORMAT]), version: count(), bytes: count(), sha256: text() });

export function encodeSnapshot(snapshot: Snapshot): string {
  const body = JSON.stringify(snapshot);
  const head = { format: FORMAT, version: VERSION, bytes: Buffer.byteLength(body), sha256: digest(body) };
  return `${JSON.stringify(head)}\n${body}\n`;
}

/** Throws an Error that says what is wrong, whatever the text. */
export function decodeSnapshot(content: string, service: string): Snapshot {
  const end = content.indexOf('\n');
  const head = headForm.read(json(content.slice(0, Math.max(0, end)))).value;
  if (!head) throw corrupt('it is no snapshot of Switchgear');
  const { version, bytes, sha256 } = head;
  if (version !== VERSION) throw corrupt(`it has version ${version}, this release reads ${VERSION}`);
  const body = content.slice(end + 1, -1);
  if (Buffer.byteLength(body) !== bytes)
    throw corrupt(`it is cut: ${Buffer.byteLength(body)} of ${bytes} bytes`);
  if (digest(body) !== sha256) throw corrupt('its checksum is wrong');
  const snapshot = snapshotForm.read(json(body)).value;
  if (!snapshot) throw corrupt('its content has another shape');
  if (snapshot.service !== service)
    throw corrupt(`it belongs to the service ${snapshot.service.slice(0, 200)}; give each its own file`);
  return snapshot;
}

function corrupt(what: string): Error {
  return new Error(what);
}

function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
