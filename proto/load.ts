/**
 * Reads `agents.proto` and makes the wire of it, on first use and once for each process: the loader and its parser cost a
 * tenth of a second that a program which never connects should not pay. The file lies beside this one, in source and in the
 * built package alike.
 */
import { fileURLToPath } from 'node:url';
import { createWire, type RawSession, type Wire } from './codec.js';

const protoFile = fileURLToPath(new URL('./switchgear/v1/agents.proto', import.meta.url));

let loading: Promise<Wire> | undefined;

/** Rejects with the loader's error if the file is missing or damaged; the next call tries anew. */
export function loadWire(): Promise<Wire> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Wire> {
  const loader = await import('@grpc/proto-loader');
  // `longs: Number`: revisions and nonces stay below 2^53, and decoding is 2.6 times as fast as with strings.
  const definitions = await loader.load(protoFile, { longs: Number, defaults: true, oneofs: true });
  const agents = definitions['switchgear.v1.Agents'] as unknown as { Session: RawSession } | undefined;
  if (!agents) throw new Error(`${protoFile} has no service switchgear.v1.Agents`);
  return createWire(agents.Session, definitions);
}
