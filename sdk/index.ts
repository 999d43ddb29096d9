/**
 * `import { connect } from 'switchgear'`: the public entry for services. Light on purpose: it loads neither a web server nor a
 * Redis client, and the protocol's loader only once a stream is opened.
 */
export type { Decision, DecisionKind } from '../agent/decisions.js';
export type {
  BrownoutEvent,
  BrownoutStatus,
  CircuitStatus,
  ConnectionEvent,
  PolicyEvent,
  RefusedPolicy,
} from '../agent/events.js';
export type { FallbackCall, FallbackHandler } from '../agent/fallback-handlers.js';
export type { GuardContext, GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
export type { FetchInit } from '../agent/http/fetch-init.js';
export type { Logger } from '../agent/logger.js';
export type { CalleeStats, CallStats } from '../agent/stats.js';
export type { BulkheadView, CircuitChange } from '../agent/targets.js';
export {
  type CallCode,
  type ControlCode,
  type ErrorCode,
  type Issue,
  MeshError,
} from '../core/errors.js';
export { connect } from './connect.js';
export type {
  CircuitInfo,
  ClientClass,
  ClientOptions,
  ConnectOptions,
  InterceptorOptions,
  Mesh,
  MeshEvents,
  MeshStats,
  MeshStatus,
  RegisterOptions,
  TlsOptions,
} from './types.js';
