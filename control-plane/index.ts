/**
 * Public entry `switchgear/control-plane`: a control plane inside another program, or a test.
 */
export type { TlsOptions } from './auth/tls.js';
export type { Role, TokenEntry } from './auth/tokens.js';
export { type ControlPlane, startControlPlane } from './main.js';
export type { ControlPlaneOptions } from './settings.js';
export type { Logger } from './telemetry/logger.js';
