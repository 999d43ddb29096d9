/**
 * The streams' part of a control plane in this process: a store in memory, its mirror, and the gRPC face on a free port of
 * 127.0.0.1. A test may stop its clock, which the store and the mirror don't share.
 */

import type { EndReason, GrpcMetrics, Ignored } from '../../../control-plane/grpc/metrics.js';
import { type GrpcFace, type GrpcOptions, startGrpc } from '../../../control-plane/grpc/server.js';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Mirror } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Operation, Store } from '../../../control-plane/store/store.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { systemClock } from '../../../core/clock.js';
import { seededRandom, systemRandom } from '../../../core/random.js';
import { type PolicySketch, policyRevision } from '../policies.js';

/** Counts what the streams tell. */
export class Tally implements GrpcMetrics {
  pushes = 0;
  bytes = 0;
  acks = 0;
  reports = 0;
  refusals = 0;
  readonly ends: EndReason[] = [];
  readonly ignoredThings: Ignored[] = [];
  readonly sentElsewhereFor: ('age' | 'share')[] = [];
  limits = { limits: 0, grantedPerSecond: 0 };

  push(bytes: number): void {
    this.pushes++;
    this.bytes += bytes;
  }
  ack(): void {
    this.acks++;
  }
  report(): void {
    this.reports++;
  }
  refusal(): void {
    this.refusals++;
  }
  streamEnd(reason: EndReason): void {
    this.ends.push(reason);
  }
  ignored(what: Ignored): void {
    this.ignoredThings.push(what);
  }
  sentElsewhere(why: 'age' | 'share'): void {
    this.sentElsewhereFor.push(why);
  }
  rates(limits: number, grantedPerSecond: number): void {
    this.limits = { limits, grantedPerSecond };
  }
}

export interface Plane {
  readonly face: GrpcFace;
  readonly address: string;
  readonly mirror: Mirror;
  readonly store: Store;
  readonly tally: Tally;
  put(...sketches: PolicySketch[]): Promise<number>;
  remove(name: string): Promise<number>;
  close(): Promise<void>;
}

/** A store that is given is left open at the end. */
export async function startPlane(options: Partial<GrpcOptions> = {}): Promise<Plane> {
  const replica = options.replica ?? 'r1';
  const store = options.store ?? (await openStore('memory', { mesh: 'test', replica }));
  const mirror = options.mirror ?? (await openMirror(store, { replica }));
  const tally = new Tally();
  const face = await startGrpc({
    listen: '127.0.0.1:0',
    mirror,
    store,
    mesh: 'test',
    replica,
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    metrics: tally,
    ...options,
  });
  const write = async (operations: Operation[]) => {
    const requestId = systemRandom.hex(8);
    return (await mirror.write({ requestId, author: 'test', action: 'put', operations })).head;
  };
  return {
    face,
    address: face.address,
    mirror,
    store,
    tally,
    put: (...sketches) =>
      write(
        sketches.map((sketch) => ({
          kind: 'put',
          name: sketch.name,
          document: policyRevision(sketch, 0).policy.document,
          expected: 'any',
        })),
      ),
    remove: (name) => write([{ kind: 'delete', name, expected: 'any' }]),
    async close() {
      await face.close();
      await mirror.close();
      if (!options.store) await store.close();
    },
  };
}
