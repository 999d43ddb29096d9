/**
 * Public entry `switchgear/agent`: the agent itself, for those who build a face of their own over it. Services use `switchgear`.
 */
export { type Address, parseAddresses } from './addresses.js';
export { Agent, type AgentOptions } from './agent.js';
export { capabilities } from './capabilities.js';
export type { Decision, DecisionKind, DecisionListener } from './decisions.js';
export type {
  AgentEvents,
  AgentStatus,
  BrownoutEvent,
  BrownoutStatus,
  CircuitStatus,
  ConnectionEvent,
  PolicyEvent,
  RefusedPolicy,
} from './events.js';
export { guard } from './guard.js';
export type { GuardContext, GuardedFunction, GuardOptions } from './guarded-function.js';
export { createInterceptor } from './interceptor.js';
export { type Logger, stderrLogger } from './logger.js';
export type { Place } from './registration.js';
export { createServerInterceptor } from './server-interceptor.js';
export type { CalleeStats, CallStats, MeshStats } from './stats.js';
export { type Cell, type CircuitChange, type CircuitView, Targets, type TargetsOptions } from './targets.js';
