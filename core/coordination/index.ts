/**
 * Circuits of the whole mesh, as the rooms around see them: one replica's part, the agent's fence, and the words they share.
 */
export * from './contract.js';
export { Coordinator } from './coordinator.js';
export { Fence } from './fence.js';
export * from './model.js';
export { decodeRecord, encodeRecord } from './record-text.js';
