/**
 * An agent's side of the session, without the loader and its parser: they cost a service a tenth of a second at its start, and
 * several MB.
 */
import { type AgentSession, controlOf } from './codec.js';
import { AgentMessage, ControlMessage, sessionPath } from './generated/agents.js';
import { decode, encode } from './wire.js';

const read = (frame: Buffer) => decode(ControlMessage, frame);

export const agentSession: AgentSession = {
  path: sessionPath,
  requestSerialize: (message) => encode(AgentMessage, message),
  responseDeserialize: (frame) => controlOf(frame, read),
};
