/**
 * A stream's outgoing half that keeps what is said on it.
 */
import type { Outlet } from '../../agent/stream.js';
import type { AgentMessage } from '../../proto/messages.js';

export interface KeptOutlet extends Outlet {
  congested: boolean;
  readonly said: AgentMessage[];
  /** All of one kind, in order. */
  of<K extends AgentMessage['message']>(kind: K): Extract<AgentMessage, { message: K }>[];
}

export function keptOutlet(): KeptOutlet {
  const said: AgentMessage[] = [];
  return {
    peer: 'a:1',
    congested: false,
    said,
    send: (message) => void said.push(message),
    of: <K extends AgentMessage['message']>(kind: K) =>
      said.filter((message): message is Extract<AgentMessage, { message: K }> => message.message === kind),
  };
}
