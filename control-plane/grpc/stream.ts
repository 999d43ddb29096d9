/**
 * One call of `Agents/Session`, from its first byte to its status: waits for the Hello, then hands what comes to the agent.
 * Whatever a peer sends that isn't the protocol ends the stream with INVALID_ARGUMENT and the place of the fault; it ends this
 * stream only. It ends exactly once and counts why.
 */
import { MeshError, messageOf } from '../../core/errors.js';
import type { Malformed } from '../../proto/codec.js';
import type { AgentMessage, Hello } from '../../proto/messages.js';
import type { ConnectedAgent, Line } from './connected-agent.js';
import { checkHello } from './hello.js';
import { helloWithinMs } from './intervals.js';
import type { EndReason } from './metrics.js';
import { Outlet, type OutletOwner, type SessionCall } from './outlet.js';
import type { Room } from './room.js';

/** Who decides whether an agent may be here; `streams.ts`. */
export interface Door {
  /** Throws `Refused`. */
  enter(hello: Hello, line: Line): ConnectedAgent;
  gone(stream: Stream, agent: ConnectedAgent | undefined): void;
  /** Ends the connection of a peer by force. */
  cut(peer: string): void;
}

/** A refusal at the door. */
export class Refused extends Error {
  constructor(
    readonly reason: EndReason,
    readonly error: MeshError,
  ) {
    super(error.message);
  }
}

type State =
  | { readonly kind: 'waiting'; readonly sinceMs: number }
  | { readonly kind: 'open'; readonly agent: ConnectedAgent }
  | { readonly kind: 'ended' };

const STREAM = Symbol('switchgear.stream');
/** A call that knows its stream, so that its listeners are the same four functions for all: closures are half a kilobyte for each agent. */
type Owned = SessionCall & { [STREAM]: Stream };

export class Stream implements Line, OutletOwner {
  readonly outlet: Outlet;
  readonly peer: string;
  readonly #room: Room;
  readonly #door: Door;
  #state: State;

  constructor(call: SessionCall, { room, door }: { room: Room; door: Door }) {
    this.#room = room;
    this.#door = door;
    this.peer = call.getPeer();
    this.#state = { kind: 'waiting', sinceMs: room.clock.now() };
    this.outlet = new Outlet(call, room.clock, this);
    (call as Owned)[STREAM] = this;
    call.on('data', onData);
    call.on('end', onEnd);
    call.on('drain', onDrain);
    // grpc-js says so once the stream is gone, however it ended.
    call.on('cancelled', onCancelled);
  }

  /** Its call takes more again. */
  drained(): void {
    this.outlet.drained();
    if (this.#state.kind === 'open') this.#room.pump.wake(this.#state.agent);
  }

  /** Its call is gone, however it ended. */
  gone(): void {
    this.outlet.gone();
    this.end('cancelled');
  }

  cut(): void {
    this.#door.cut(this.peer);
  }

  /** Every second: whether the Hello is overdue; an agent gets its turn if it is time for something, or `look`. */
  tick(now: number, look: boolean): void {
    if (this.#state.kind === 'open' && (look || this.#state.agent.isDue(now)))
      this.#room.pump.wake(this.#state.agent);
    if (this.#state.kind === 'waiting' && now - this.#state.sinceMs >= helloWithinMs)
      this.end(
        'no_hello',
        invalid(`no Hello came within ${helloWithinMs / 1000} s: it has to be the first message`),
      );
  }

  end(reason: EndReason, error?: MeshError): void {
    if (this.#state.kind === 'ended') return;
    const agent = this.#state.kind === 'open' ? this.#state.agent : undefined;
    this.#state = { kind: 'ended' };
    this.outlet.end(error);
    agent?.leave(reason === 'closed');
    this.#room.metrics.streamEnd(reason);
    this.#room.logger.debug(
      { peer: this.peer, agent: agent?.hello.agent, reason, error: error?.message },
      'stream ended',
    );
    this.#door.gone(this, agent);
  }

  /** Its call says something. */
  hear(message: AgentMessage | Malformed): void {
    try {
      if (message.message === 'malformed') this.#malformed(message);
      else if (this.#state.kind === 'waiting') this.#first(message);
      else if (this.#state.kind === 'open') this.#further(message, this.#state.agent);
    } catch (error) {
      this.#room.logger.error({ peer: this.peer, error: messageOf(error) }, 'a message could not be handled');
      this.end(
        'internal',
        new MeshError('internal', 'the control plane failed at this message; its log says why'),
      );
    }
  }

  #first(message: AgentMessage): void {
    if (message.message !== 'hello') {
      this.end(
        'protocol',
        invalid(`${message.message} came before hello: Hello has to be the first message`),
      );
      return;
    }
    try {
      checkHello(message.hello);
      const agent = this.#door.enter(message.hello, this);
      this.#state = { kind: 'open', agent };
      this.#welcome(agent);
      // All that it lacks goes out with the welcome, in one piece.
      this.#room.pump.now(agent);
    } catch (error) {
      if (error instanceof Refused) this.end(error.reason, error.error);
      else if (error instanceof MeshError) this.end('protocol', error);
      else throw error;
    }
  }

  #further(message: AgentMessage, agent: ConnectedAgent): void {
    if (message.message !== 'hello') agent.hear(message);
    else
      this.end(
        'protocol',
        invalid('hello came twice: it is said once on a stream; connect again to say another'),
      );
  }

  #welcome(agent: ConnectedAgent): void {
    this.outlet.write(this.#room.welcomes.of(agent.notice ?? ''));
  }

  #malformed({ fault: { path, message } }: Malformed): void {
    this.end('malformed', invalid(`${path === '' ? 'the message' : path} ${message}`));
  }
}

function invalid(text: string): MeshError {
  return new MeshError('invalid_request', text);
}

function onData(this: Owned, message: AgentMessage | Malformed): void {
  this[STREAM].hear(message);
}

function onEnd(this: Owned): void {
  this[STREAM].end('closed');
}

function onDrain(this: Owned): void {
  this[STREAM].drained();
}

function onCancelled(this: Owned): void {
  this[STREAM].gone();
}
