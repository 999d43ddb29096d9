/**
 * An agent's side of the session, from code that was made of `agents.proto` beforehand: the loader and its parser cost a service a
 * tenth of a second at its start, and several MB.
 */
import { type AgentSession, CONVERSION, controlOf } from './codec.js';
import { deserialize, path, serialize } from './generated/agent-codec.js';

const decode = (frame: Buffer) => deserialize(frame, CONVERSION);

export const agentSession: AgentSession = {
  path,
  requestSerialize: serialize,
  responseDeserialize: (frame) => controlOf(frame, decode),
};
