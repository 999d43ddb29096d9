/**
 * What agents and replicas say, made by the encoders that they use, with names as long as they are in a cluster: for `docs/scaling.md`,
 * whose bytes are these, and for `npm run bench:exchange`, which has a real Redis carry them.
 */
import { type Entry, encodePage, PAGES } from '../../control-plane/grpc/pages.js';
import { encodeSummary } from '../../control-plane/grpc/summary.js';
import type { CircuitRow } from '../../control-plane/ports.js';
import type { Instance } from '../../control-plane/store/store.js';
import { LatencyHistogram } from '../../core/resilience/latency.js';
import { agentSession } from '../../proto/agent-session.js';
import type { AgentMessage } from '../../proto/messages.js';
import { CircuitMirror, CircuitStore, moveOn, testRoom } from './circuit-rooms.js';
import { clusterPolicy } from './cluster-mesh.js';
import { VirtualClock } from './virtual-clock.js';

export const AGENTS_EACH = 10_000;
const LIFE = '0123456789abcdef';
const CALLEES = ['inventory', 'payments', 'customers', 'mail'];
const CALLS = 12;

/** HTTP/2's header of a frame and gRPC's prefix of a message; TCP, IP and TLS come to it. */
export const FRAMING_BYTES = 9 + 5;

/** `<host>-<pid>-<random>`, as `sdk/settings.ts` makes it in a pod. */
export const instanceName = (i: number) =>
  `checkout-7d9f8b6c5d-x${String(i).padStart(4, '0')}-1-${(i * 7919).toString(16).padStart(6, '0').slice(-6)}`;

const bytesOf = (message: AgentMessage) => agentSession.requestSerialize(message).length;

/** Of a report with four cells, each of a dozen calls and how long they took. */
export function reportBytes(): number {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < CALLS; i++) histogram.record(4 + i);
  const latency = histogram.encode();
  const none = { method: '', endpoint: '', failed: 0, slow: 0, rejected: 0, blocked: 0 };
  const cells = CALLEES.map((callee) => ({ ...none, callee, ok: CALLS, latency }));
  const report = { seq: 3_600, elapsedMs: 1_000, cells, probes: [], circuits: [], rates: [] };
  return bytesOf({ message: 'report', report });
}

export function heartbeatBytes(): number {
  return bytesOf({ message: 'heartbeat', heartbeat: {} });
}

function entryOf(i: number): Entry {
  const instance = instanceName(i);
  return {
    boot: 1_764_237_600_000 + i,
    connectedAtMs: 5_000_000 + 17 * i,
    unackedSinceMs: undefined,
    row: {
      ...{
        agent: `checkout/${instance}`,
        service: 'checkout',
        instance,
        zone: 'eu-central-1a',
        version: '1.42.0',
      },
      ...{ protocol: '1.2', dataset: LIFE, sent: 12_345, acked: 12_345, applied: 12_345, refused: [] },
      ...{ capabilities: shared, callees: CALLEES },
    },
  };
}

const shared: readonly string[] = ['circuit', 'bulkhead', 'timeout', 'retry', 'rateLimit', 'fallback'];

/** The 64 pages of a replica with 10,000 agents. */
export function pageBodies(): string[] {
  const pages = Array.from({ length: PAGES }, (): Entry[] => []);
  for (let i = 0; i < AGENTS_EACH; i++) pages[i % PAGES]?.push(entryOf(i));
  return pages.map((entries) => encodePage({ life: LIFE, version: 1_000, entries }));
}

/** As a replica registers it. */
export function instanceOf(i: number): Instance {
  const instance = instanceName(i);
  return {
    ...{ id: `checkout/${instance}`, service: 'checkout', instance, boot: 1_764_237_600_000 + i },
    ...{
      address: `10.0.${i >> 8}.${i & 255}:50051`,
      protocol: 'grpc',
      zone: 'eu-central-1a',
      version: '1.42.0',
    },
    ...{ weight: 1, registeredAt: 1_764_237_601_000 + i, replica: 'switchgear-6c5d7d9f8b-x0' },
  };
}

const openRow = (i: number): CircuitRow => ({
  ...{ id: 'inventory|inventory-default', callee: 'inventory', method: '', policy: 'inventory-default' },
  ...{ revision: 12_345, agent: `checkout/${instanceName(i)}`, state: 'open', epoch: 3, retryAfterMs: 5_000 },
  ...{ reason: '52.0 % of 25 calls failed, the threshold is 50 %', ageMs: 1_200 },
});

/** A replica's, with 20 callees; `open`: circuits of its agents that are. */
export function summaryBody(replica: string, open = 0): string {
  const counts = { calls: 180_000, failed: 12, slow: 3, rejected: 0 };
  return encodeSummary({
    ...{ replica, life: LIFE, nowMs: 86_400_000, agents: AGENTS_EACH },
    pages: new Array(PAGES).fill(1_000),
    circuits: Array.from({ length: open }, (_, i) => openRow(i)),
    health: new Map(Array.from({ length: 20 }, (_, i) => [`callee-${i}`, counts])),
    latencies: new Map(),
  });
}

/** A replica's account of a circuit that 1,000 of its agents use, in three zones, each calling one of ten instances. */
export async function accountBody(): Promise<string> {
  const clock = new VirtualClock(100_000);
  const mirror = new CircuitMirror();
  const store = new CircuitStore(clock, [mirror]);
  const { room, agent } = testRoom({ clock, store, mirror });
  mirror.put(clusterPolicy());
  await moveOn(clock, 1_000, 100);
  const agents = Array.from({ length: 1_000 }, (_, i) =>
    agent(instanceName(i), { zone: `eu-central-1${'abc'[i % 3]}` }),
  );
  for (let step = 0; step < 40; step++) {
    for (let i = step % 10; i < agents.length; i += 10)
      agents[i]?.say([{ endpoint: `10.0.3.${100 + (((i / 10) | 0) % 10)}:50051`, ok: CALLS }]);
    await moveOn(clock, 100, 100);
  }
  const body = [...(store.exchanges.at(-1)?.accounts.values() ?? [])][0] ?? '';
  const closed = room.close();
  await moveOn(clock, 2_000, 100);
  await closed;
  return body;
}
