/**
 * Reads `agents.proto` and makes the control plane's wire of it, on first use and once for each process. The file lies beside this
 * one, in source and in the built package alike. Agents have `agent-session.ts`, which needs no loader.
 */
import { fileURLToPath } from 'node:url';
import { CONVERSION, createWire, type RawSession, type Wire } from './codec.js';

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
  const definitions = await loader.load(protoFile, CONVERSION);
  const agents = definitions['switchgear.v1.Agents'] as unknown as { Session: RawSession } | undefined;
  if (!agents) throw new Error(`${protoFile} has no service switchgear.v1.Agents`);
  return createWire(agents.Session, definitions);
}
