/**
 * What a service needs to be protected from its first call on though the control plane is away: policies, endpoints, open
 * circuits and callees, as text for the disk. The first line says what the rest must be (schema version, length, SHA-256), so a
 * file cut in half, edited or of another release is told apart before anything of it is used.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';

const VERSION = 1;
const FORMAT = 'switchgear-snapshot';

const text = z.string();
const count = z.int().nonnegative();

const revisionSchema = z.object({ revision: count, document: text, hash: text });

/** `previous`: of a staged rollout, and absent in snapshots of older releases. */
const documentSchema = revisionSchema.extend({ name: text, previous: revisionSchema.nullish() });

const endpointSchema = z.object({
  instance: text,
  address: text,
  zone: text,
  version: text,
  protocol: text,
  weight: count,
});

const snapshotSchema = z.object({
  service: text,
  /** Wall-clock milliseconds, to tell how long the process was away. */
  savedAt: z.number().nonnegative(),
  /** Of the process that wrote it. */
  boot: count,
  session: z.object({ dataset: text, revision: count, policies: z.array(documentSchema) }),
  endpoints: z.record(text, z.array(endpointSchema)),
  /** Open ones, by id. */
  circuits: z.record(text, z.object({ remainingMs: z.number().nonnegative(), openings: count })),
  callees: z.array(text),
  /** Agents among whom limits of the mesh are divided, by id. Absent in snapshots of older releases. */
  rates: z.record(text, count).optional(),
  /** Absent: everything ran. Snapshots of older releases have none. */
  brownout: z
    .object({
      level: count,
      features: z.array(z.object({ name: text, level: count })),
      /** Left when it was saved; 0: it has no end. */
      ttlMs: count,
      reason: text,
      revision: count,
    })
    .optional(),
});

export type Snapshot = Readonly<z.output<typeof snapshotSchema>>;

const headSchema = z.object({ format: z.literal(FORMAT), version: z.int(), bytes: count, sha256: text });

export function encodeSnapshot(snapshot: Snapshot): string {
  const body = JSON.stringify(snapshot);
  const head = { format: FORMAT, version: VERSION, bytes: Buffer.byteLength(body), sha256: digest(body) };
  return `${JSON.stringify(head)}\n${body}\n`;
}

/** Throws an Error that says what is wrong, whatever the text. */
export function decodeSnapshot(content: string, service: string): Snapshot {
  const end = content.indexOf('\n');
  const head = headSchema.safeParse(json(content.slice(0, Math.max(0, end))));
  if (!head.success) throw corrupt('it is no snapshot of Switchgear');
  const { version, bytes, sha256 } = head.data;
  if (version !== VERSION) throw corrupt(`it has version ${version}, this release reads ${VERSION}`);
  const body = content.slice(end + 1, -1);
  if (Buffer.byteLength(body) !== bytes)
    throw corrupt(`it is cut: ${Buffer.byteLength(body)} of ${bytes} bytes`);
  if (digest(body) !== sha256) throw corrupt('its checksum is wrong');
  const snapshot = snapshotSchema.safeParse(json(body));
  if (!snapshot.success) throw corrupt('its content has another shape');
  if (snapshot.data.service !== service)
    throw corrupt(`it belongs to the service ${snapshot.data.service.slice(0, 200)}; give each its own file`);
  return snapshot.data;
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
