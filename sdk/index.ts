/**
 * `import { connect } from 'switchgear'`: the public entry for services. Light on purpose: it loads neither a web server nor a
 * Redis client, and the protocol's loader only once a stream is opened.
 */
export type {
  CircuitStatus,
  ConnectionEvent,
  PolicyEvent,
  RefusedPolicy,
} from '../agent/events.js';
export type { GuardContext, GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
export type { Logger } from '../agent/logger.js';
export type { CircuitChange } from '../agent/targets.js';
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
  Mesh,
  MeshEvents,
  MeshStatus,
  RegisterOptions,
  TlsOptions,
} from './types.js';
