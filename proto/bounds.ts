/**
 * How large every field of every message may be. The figures are far above what an honest peer sends and far below what would
 * hurt; a message beyond them is refused whole, with the path of the field.
 */
import { namesMax } from '../core/sync/delta.js';
import { bytes, flag, integer, list, message, name, oneOf, optional, text } from './shape.js';

/** Bytes of one message to the control plane; grpc-js ends a stream with RESOURCE_EXHAUSTED beyond. */
export const toControlBytesMax = 4 * 1024 * 1024;
/** Bytes of one message to an agent: a complete state of some ten thousand policies. For `grpc.max_receive_message_length`. */
export const toAgentBytesMax = 64 * 1024 * 1024;

/** Callees that one service uses. */
export const calleesMax = 1000;
/** Limits of the whole mesh that an agent is told its share of by name; of further ones it hears how many agents there are. */
export const rateSharesMax = 1000;

const NAME = 256;
const VERSION = 256;
const REASON = 2000;
const DOCUMENT = 128 * 1024;

const version = message({ major: integer, minor: integer });

export const agentMessage = oneOf({
  hello: message({
    agent: name(2 * NAME + 1),
    service: name(NAME),
    instance: name(NAME),
    boot: integer,
    zone: text(NAME),
    version: text(VERSION),
    protocol: version,
    capabilities: list(200, name(NAME)),
    dataset: text(NAME),
    revision: integer,
    hashes: list(namesMax, message({ name: name(NAME), hash: text(64), revision: integer })),
    callees: list(calleesMax, name(NAME)),
    concurrency: integer,
  }),
  subscribe: message({ callees: list(calleesMax, name(NAME)) }),
  ack: message({
    nonce: integer,
    applied: list(namesMax, name(NAME)),
    rejected: list(namesMax, message({ name: name(NAME), reason: text(REASON), revision: integer })),
  }),
  report: message({
    seq: integer,
    elapsedMs: integer,
    cells: list(
      10_000,
      message({
        callee: name(NAME),
        method: text(2 * NAME),
        endpoint: text(NAME),
        ok: integer,
        failed: integer,
        slow: integer,
        rejected: integer,
        blocked: integer,
        latency: bytes(4096),
      }),
    ),
    probes: list(1000, message({ circuit: name(4 * NAME), permit: integer, ok: flag })),
    circuits: list(
      10_000,
      message({
        id: name(4 * NAME),
        callee: name(NAME),
        method: text(2 * NAME),
        state: name(32),
        policy: name(NAME),
        revision: integer,
        epoch: integer,
        retryAfterMs: integer,
        reason: text(REASON),
      }),
    ),
    rates: list(1000, message({ id: name(4 * NAME), asked: integer })),
  }),
  lease: message({
    requestId: text(NAME),
    release: flag,
    address: text(NAME + 6),
    protocol: text(32),
    version: text(VERSION),
    weight: integer,
  }),
  heartbeat: message({}),
});

export const controlMessage = oneOf({
  welcome: message({
    mesh: text(NAME),
    dataset: text(NAME),
    protocol: version,
    replica: text(NAME),
    intervals: message({ heartbeatMs: integer, reportMs: integer, urgentReportMs: integer }),
    error: text(REASON),
  }),
  delta: message({
    dataset: text(NAME),
    revision: integer,
    nonce: integer,
    complete: flag,
    upserts: list(
      30_000,
      message({
        name: name(NAME),
        revision: integer,
        document: text(DOCUMENT),
        hash: text(64),
        previous: optional(message({ revision: integer, document: text(DOCUMENT), hash: text(64) })),
      }),
    ),
    removals: list(30_000, name(NAME)),
  }),
  endpoints: message({
    service: name(NAME),
    instances: list(
      30_000,
      message({
        instance: name(2 * NAME + 1),
        address: text(NAME + 6),
        zone: text(NAME),
        version: text(VERSION),
        protocol: text(32),
        weight: integer,
      }),
    ),
  }),
  lease: message({ requestId: text(NAME), ttlMs: integer, error: text(REASON), code: text(64) }),
  directives: message({
    directives: list(
      10_000,
      message({
        circuit: name(4 * NAME),
        state: name(32),
        circuitEpoch: integer,
        seq: integer,
        admitPercent: integer,
        permits: list(1000, integer),
        ttlMs: integer,
        reason: text(REASON),
      }),
    ),
  }),
  drain: message({ afterMs: integer }),
  brownout: message({
    level: integer,
    features: list(1000, message({ name: name(NAME), level: integer })),
    ttlMs: integer,
    reason: text(REASON),
    revision: integer,
  }),
  grants: message({
    grants: list(
      1000,
      message({ id: name(4 * NAME), tokens: integer, intervalMs: integer, agents: integer }),
    ),
    ttlMs: integer,
  }),
  shares: message({
    shares: list(rateSharesMax, message({ id: name(4 * NAME), agents: integer })),
    agents: integer,
  }),
  heartbeat: message({}),
});
