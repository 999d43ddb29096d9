/**
 * Our own listening socket in front of grpc-js. Its own one has a backlog of 511, and when ten thousand agents reconnect at
 * once the kernel drops what is beyond; the dropped ones repeat after 1, 3, 7 seconds. We listen with 4,096 and hand each
 * connection over. Knowing the sockets also lets us cut one whose peer reads no more, which grpc-js offers no way to do.
 */
import { createServer, type Socket } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.js';
import { MeshError, messageOf } from '../../core/errors.js';
import type { TlsMaterial } from '../auth/tls.js';

const BACKLOG = 4096;
const FLUSH_TURNS = 100;
const KEEPALIVE_MS = 120_000;

export interface Listener {
  /** `host:port` as bound. */
  readonly address: string;
  /** Cuts the connection of a peer, named as `call.getPeer()` names it. */
  cut(peer: string): void;
  /** No new connections; the present ones stay. */
  stop(): void;
  /** Ends the rest, soon by force. */
  close(): Promise<void>;
}

/**
 * Listens on `host:port` (port 0: any free one) and feeds `server`. Rejects with `address_in_use`, or with
 * `invalid_configuration` where the address can't be bound at all.
 */
export async function listen(
  server: Server,
  where: string,
  { tls, clock }: { tls: TlsMaterial | undefined; clock: Pick<Clock, 'now'> },
): Promise<Listener> {
  const { host, port } = parseAddress(where);
  const injector = server.createConnectionInjector(credentials(tls));
  const sockets = new Set<Socket>();
  const hallway = new Hallway((socket) => injector.injectConnection(socket), clock);
  // One function for all sockets.
  function onClose(this: Socket): void {
    sockets.delete(this);
    hallway.leave(this);
  }
  // A peer that vanished without a word, and never opened a stream: one with a stream is missed by its heartbeats. The kernel's probes
  // cost this process nothing, where HTTP/2's pings are a timer for each connection, and a message.
  const probing = { keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS };
  const listening = createServer({ noDelay: true, ...probing }, (socket) => {
    sockets.add(socket);
    socket.on('close', onClose);
    hallway.enter(socket);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      listening.once('error', reject);
      listening.listen({ host, port, backlog: BACKLOG }, resolve);
    });
  } catch (error) {
    injector.destroy();
    throw bindError(where, error);
  }
  // Running out of file descriptors fails one accept, not the server.
  listening.on('error', () => {});
  const closed = new Promise<void>((resolve) => listening.once('close', () => resolve()));
  return {
    address: addressOf(listening.address(), where),
    cut(peer) {
      for (const socket of sockets)
        if (`${socket.remoteAddress}:${socket.remotePort}` === peer) socket.destroy();
    },
    stop: () => void listening.close(),
    async close() {
      if (listening.listening) listening.close();
      injector.destroy();
      // What was written last, the reason among it, gets some turns of the loop to leave.
      for (let turn = 0; turn < FLUSH_TURNS && sockets.size > 0; turn++)
        await new Promise((resolve) => setImmediate(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** For so long HTTP/2 takes on connections at one turn of the loop, and looks at the clock after so many. */
const SLICE_MS = 4;
const PIECES = 4;

const ignore = () => {};

/**
 * Where connections wait for their turn. The kernel hands over thousands at once, and taking each on costs a quarter of a
 * millisecond; done in one go, the loop would stand still for a second. Bounded by the process's descriptors.
 */
class Hallway {
  readonly #waiting = new Set<Socket>();
  readonly #take: (socket: Socket) => void;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(take: (socket: Socket) => void, clock: Pick<Clock, 'now'>) {
    this.#take = take;
    this.#clock = clock;
  }

  enter(socket: Socket): void {
    if (this.#waiting.size === 0) setImmediate(() => this.#turn());
    this.#waiting.add(socket);
    // Until HTTP/2 listens for itself, a peer that hangs up is nobody's error.
    socket.on('error', ignore);
  }

  leave(socket: Socket): void {
    this.#waiting.delete(socket);
  }

  #turn(): void {
    const endMs = this.#clock.now() + SLICE_MS;
    let taken = 0;
    for (const socket of this.#waiting) {
      this.#waiting.delete(socket);
      this.#take(socket);
      if (++taken % PIECES === 0 && this.#clock.now() >= endMs) break;
    }
    if (this.#waiting.size > 0) setImmediate(() => this.#turn());
  }
}

/** Clients are not asked for certificates: who they are, their token says. */
function credentials(tls: TlsMaterial | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(tls.ca ?? null, [{ cert_chain: tls.cert, private_key: tls.key }], false);
}

/** Throws `invalid_configuration`. */
function parseAddress(where: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:\s[\]]+)):(\d{1,5})$/.exec(where);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535)
    throw new MeshError(
      'invalid_configuration',
      `"${where}" (--grpc) is no address: write HOST:PORT, for example 127.0.0.1:7400, or [::1]:7400`,
    );
  return { host, port };
}

function addressOf(bound: ReturnType<ReturnType<typeof createServer>['address']>, where: string): string {
  if (bound === null || typeof bound === 'string') return where;
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

function bindError(where: string, error: unknown): MeshError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE')
    return new MeshError(
      'address_in_use',
      `${where} (--grpc) is taken by another process: stop that one, or choose another port (0 picks a free one)`,
      { cause: error },
    );
  return new MeshError('invalid_configuration', `can't listen on ${where} (--grpc): ${messageOf(error)}`, {
    cause: error,
  });
}
