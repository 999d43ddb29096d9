/** Made by tools/generate-shapes.mjs of switchgear/v1/agents.proto; `npm run generate` makes it anew. */
import { type Shape, shape } from '../wire.js';

export const sessionPath = '/switchgear.v1.Agents/Session';

export const Version: Shape = shape(() => ({ major: 0, minor: 0 }), [
  [1, 'major', 'uint32'],
  [2, 'minor', 'uint32'],
]);

export const PolicyHash: Shape = shape(() => ({ name: '', hash: '', revision: 0 }), [
  [1, 'name', 'string'],
  [2, 'hash', 'string'],
  [3, 'revision', 'uint64'],
]);

export const Hello: Shape = shape(() => ({ agent: '', service: '', instance: '', boot: 0, zone: '', version: '', protocol: null, capabilities: [], dataset: '', revision: 0, hashes: [], callees: [], concurrency: 0 }), [
  [1, 'agent', 'string'],
  [2, 'service', 'string'],
  [3, 'instance', 'string'],
  [4, 'boot', 'uint64'],
  [5, 'zone', 'string'],
  [6, 'version', 'string'],
  [7, 'protocol', Version],
  [8, 'capabilities', 'string', true],
  [9, 'dataset', 'string'],
  [10, 'revision', 'uint64'],
  [11, 'hashes', PolicyHash, true],
  [12, 'callees', 'string', true],
  [13, 'concurrency', 'uint32'],
]);

export const Subscribe: Shape = shape(() => ({ callees: [] }), [
  [1, 'callees', 'string', true],
]);

export const Rejected: Shape = shape(() => ({ name: '', reason: '', revision: 0 }), [
  [1, 'name', 'string'],
  [2, 'reason', 'string'],
  [3, 'revision', 'uint64'],
]);

export const Ack: Shape = shape(() => ({ nonce: 0, applied: [], rejected: [] }), [
  [1, 'nonce', 'uint64'],
  [2, 'applied', 'string', true],
  [3, 'rejected', Rejected, true],
]);

export const Cell: Shape = shape(() => ({ callee: '', method: '', endpoint: '', ok: 0, failed: 0, slow: 0, rejected: 0, blocked: 0, latency: Buffer.alloc(0) }), [
  [1, 'callee', 'string'],
  [2, 'method', 'string'],
  [3, 'endpoint', 'string'],
  [4, 'ok', 'uint32'],
  [5, 'failed', 'uint32'],
  [6, 'slow', 'uint32'],
  [7, 'rejected', 'uint32'],
  [8, 'blocked', 'uint32'],
  [9, 'latency', 'bytes'],
]);

export const ProbeResult: Shape = shape(() => ({ circuit: '', permit: 0, ok: false }), [
  [1, 'circuit', 'string'],
  [2, 'permit', 'uint64'],
  [3, 'ok', 'bool'],
]);

export const CircuitState: Shape = shape(() => ({ id: '', callee: '', method: '', state: '', policy: '', revision: 0, epoch: 0, retryAfterMs: 0, reason: '' }), [
  [1, 'id', 'string'],
  [2, 'callee', 'string'],
  [3, 'method', 'string'],
  [4, 'state', 'string'],
  [5, 'policy', 'string'],
  [6, 'revision', 'uint64'],
  [7, 'epoch', 'uint64'],
  [8, 'retryAfterMs', 'uint32'],
  [9, 'reason', 'string'],
]);

export const RateDemand: Shape = shape(() => ({ id: '', asked: 0 }), [
  [1, 'id', 'string'],
  [2, 'asked', 'uint32'],
]);

export const Report: Shape = shape(() => ({ seq: 0, elapsedMs: 0, cells: [], probes: [], circuits: [], rates: [] }), [
  [1, 'seq', 'uint64'],
  [2, 'elapsedMs', 'uint32'],
  [3, 'cells', Cell, true],
  [4, 'probes', ProbeResult, true],
  [5, 'circuits', CircuitState, true],
  [6, 'rates', RateDemand, true],
]);

export const Lease: Shape = shape(() => ({ requestId: '', release: false, address: '', protocol: '', version: '', weight: 0 }), [
  [1, 'requestId', 'string'],
  [2, 'release', 'bool'],
  [3, 'address', 'string'],
  [4, 'protocol', 'string'],
  [5, 'version', 'string'],
  [6, 'weight', 'uint32'],
]);

export const Heartbeat: Shape = shape(() => ({}), [

]);

export const AgentMessage: Shape = shape(() => ({}), [
  [1, 'hello', Hello],
  [2, 'subscribe', Subscribe],
  [3, 'ack', Ack],
  [4, 'report', Report],
  [5, 'lease', Lease],
  [6, 'heartbeat', Heartbeat],
]);

export const Intervals: Shape = shape(() => ({ heartbeatMs: 0, reportMs: 0, urgentReportMs: 0 }), [
  [1, 'heartbeatMs', 'uint32'],
  [2, 'reportMs', 'uint32'],
  [3, 'urgentReportMs', 'uint32'],
]);

export const Welcome: Shape = shape(() => ({ mesh: '', dataset: '', protocol: null, replica: '', intervals: null, error: '' }), [
  [1, 'mesh', 'string'],
  [2, 'dataset', 'string'],
  [3, 'protocol', Version],
  [4, 'replica', 'string'],
  [5, 'intervals', Intervals],
  [6, 'error', 'string'],
]);

export const PreviousDocument: Shape = shape(() => ({ revision: 0, document: '', hash: '' }), [
  [1, 'revision', 'uint64'],
  [2, 'document', 'string'],
  [3, 'hash', 'string'],
]);

export const PolicyDocument: Shape = shape(() => ({ name: '', revision: 0, document: '', hash: '', previous: null }), [
  [1, 'name', 'string'],
  [2, 'revision', 'uint64'],
  [3, 'document', 'string'],
  [4, 'hash', 'string'],
  [5, 'previous', PreviousDocument],
]);

export const Delta: Shape = shape(() => ({ dataset: '', revision: 0, nonce: 0, complete: false, upserts: [], removals: [] }), [
  [1, 'dataset', 'string'],
  [2, 'revision', 'uint64'],
  [3, 'nonce', 'uint64'],
  [4, 'complete', 'bool'],
  [5, 'upserts', PolicyDocument, true],
  [6, 'removals', 'string', true],
]);

export const Endpoint: Shape = shape(() => ({ instance: '', address: '', zone: '', version: '', protocol: '', weight: 0 }), [
  [1, 'instance', 'string'],
  [2, 'address', 'string'],
  [3, 'zone', 'string'],
  [4, 'version', 'string'],
  [5, 'protocol', 'string'],
  [6, 'weight', 'uint32'],
]);

export const Endpoints: Shape = shape(() => ({ service: '', instances: [] }), [
  [1, 'service', 'string'],
  [2, 'instances', Endpoint, true],
]);

export const LeaseResult: Shape = shape(() => ({ requestId: '', ttlMs: 0, error: '', code: '' }), [
  [1, 'requestId', 'string'],
  [2, 'ttlMs', 'uint32'],
  [3, 'error', 'string'],
  [4, 'code', 'string'],
]);

export const Directive: Shape = shape(() => ({ circuit: '', state: '', circuitEpoch: 0, seq: 0, admitPercent: 0, permits: [], ttlMs: 0, reason: '' }), [
  [1, 'circuit', 'string'],
  [2, 'state', 'string'],
  [3, 'circuitEpoch', 'uint64'],
  [4, 'seq', 'uint64'],
  [5, 'admitPercent', 'uint32'],
  [6, 'permits', 'uint64', true],
  [7, 'ttlMs', 'uint32'],
  [8, 'reason', 'string'],
]);

export const Directives: Shape = shape(() => ({ directives: [] }), [
  [1, 'directives', Directive, true],
]);

export const Drain: Shape = shape(() => ({ afterMs: 0 }), [
  [1, 'afterMs', 'uint32'],
]);

export const Feature: Shape = shape(() => ({ name: '', level: 0 }), [
  [1, 'name', 'string'],
  [2, 'level', 'uint32'],
]);

export const Brownout: Shape = shape(() => ({ level: 0, features: [], ttlMs: 0, reason: '', revision: 0 }), [
  [1, 'level', 'uint32'],
  [2, 'features', Feature, true],
  [3, 'ttlMs', 'uint32'],
  [4, 'reason', 'string'],
  [5, 'revision', 'uint64'],
]);

export const RateGrant: Shape = shape(() => ({ id: '', tokens: 0, intervalMs: 0, agents: 0 }), [
  [1, 'id', 'string'],
  [2, 'tokens', 'uint32'],
  [3, 'intervalMs', 'uint32'],
  [4, 'agents', 'uint32'],
]);

export const RateGrants: Shape = shape(() => ({ grants: [], ttlMs: 0 }), [
  [1, 'grants', RateGrant, true],
  [2, 'ttlMs', 'uint32'],
]);

export const RateShare: Shape = shape(() => ({ id: '', agents: 0 }), [
  [1, 'id', 'string'],
  [2, 'agents', 'uint32'],
]);

export const RateShares: Shape = shape(() => ({ shares: [], agents: 0 }), [
  [1, 'shares', RateShare, true],
  [2, 'agents', 'uint32'],
]);

export const ControlMessage: Shape = shape(() => ({}), [
  [1, 'welcome', Welcome],
  [2, 'delta', Delta],
  [3, 'endpoints', Endpoints],
  [4, 'lease', LeaseResult],
  [5, 'directives', Directives],
  [6, 'drain', Drain],
  [7, 'heartbeat', Heartbeat],
  [8, 'brownout', Brownout],
  [9, 'grants', RateGrants],
  [10, 'shares', RateShares],
]);
