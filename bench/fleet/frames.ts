/**
 * As much of HTTP/2 as one gRPC stream needs, over a bare socket: what a load generator can hold ten thousand of. One stream a
 * connection, headers written out by hand, nothing decoded but lengths and flags, and windows so large that they never close; or those
 * that a client has which says nothing of them, opened again as it reads.
 */
import { connect, type Socket } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const WINDOW_MAX = 0x7fff_ffff;
const WINDOW_DEFAULT = 65_535;
const HEADER = 9;
/** In front of each message: compressed or not, and its length. */
const PREFIX = 5;
const STREAM = 1;

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;

function frame(kind: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(kind, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, HEADER);
  return bytes;
}

/** One message on the stream. */
export function messageFrame(message: Buffer): Buffer {
  const payload = Buffer.allocUnsafe(PREFIX + message.length);
  payload.writeUInt8(0, 0);
  payload.writeUInt32BE(message.length, 1);
  message.copy(payload, PREFIX);
  return frame(type.data, 0, STREAM, payload);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

function setting(id: number, value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

/** Literal, not to be remembered; `name` is a number of the static table, or a name. Texts shorter than 127 bytes. */
function literal(name: number | string, value: string): Buffer {
  const text = (each: string) => Buffer.from([each.length, ...Buffer.from(each)]);
  if (typeof name === 'string') return Buffer.concat([Buffer.of(0), text(name), text(value)]);
  const index = name < 15 ? Buffer.of(name) : Buffer.of(15, name - 15);
  return Buffer.concat([index, text(value)]);
}

/** `more` bytes on this stream, or for 0 on the connection. */
function windowUpdate(stream: number, more: number): Buffer {
  return frame(type.windowUpdate, 0, stream, uint32(more));
}

/** All that a client says until its first message. `narrow`: windows as they are without a word. */
export function opening(path: string, authority: string, narrow: boolean): Buffer {
  const settings = [setting(1, 0), setting(2, 0), ...(narrow ? [] : [setting(4, WINDOW_MAX)])];
  const headers = [
    Buffer.of(0x83, 0x86), // :method POST, :scheme http
    literal(4, path),
    literal(1, authority),
    literal(31, 'application/grpc'),
    literal('te', 'trailers'),
  ];
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(type.settings, 0, 0, Buffer.concat(settings)),
    ...(narrow ? [] : [windowUpdate(0, WINDOW_MAX - WINDOW_DEFAULT)]),
    frame(type.headers, END_HEADERS, STREAM, Buffer.concat(headers)),
  ]);
}

export interface LineListener {
  /** Valid until it returns. */
  message(bytes: Buffer): void;
  ended(): void;
}

/** One connection with its one stream. */
export class Line {
  readonly #socket: Socket;
  readonly #listener: LineListener;
  /** What has come of a frame, and of a message, that isn't whole yet. */
  #rest: Buffer | undefined;
  #part: Buffer | undefined;
  #ended = false;
  /** Bytes that were read and for which the windows have not been opened again; NaN: they never close. */
  #closed: number;

  constructor(port: number, first: Buffer, listener: LineListener, narrow: boolean) {
    this.#listener = listener;
    this.#closed = narrow ? 0 : Number.NaN;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.write(first);
    this.#socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.#socket.on('error', () => this.#end());
    this.#socket.on('close', () => this.#end());
  }

  write(bytes: Buffer): void {
    if (!this.#ended) this.#socket.write(bytes);
  }

  /** Reads nothing, as a process that hangs. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  #end(): void {
    if (this.#ended) return;
    this.close();
    this.#listener.ended();
  }

  #read(bytes: Buffer): void {
    const all = this.#rest ? Buffer.concat([this.#rest, bytes]) : bytes;
    let at = 0;
    while (all.length - at >= HEADER && !this.#ended) {
      const end = at + HEADER + all.readUIntBE(at, 3);
      if (end > all.length) break;
      this.#frame(all.readUInt8(at + 3), all.readUInt8(at + 4), all.subarray(at + HEADER, end));
      at = end;
    }
    this.#rest = at < all.length ? all.subarray(at) : undefined;
  }

  #frame(kind: number, flags: number, payload: Buffer): void {
    if (kind === type.data) this.#data(payload);
    else if (kind === type.settings && (flags & ACK) === 0)
      this.write(frame(type.settings, ACK, 0, Buffer.alloc(0)));
    else if (kind === type.ping && (flags & ACK) === 0) this.write(frame(type.ping, ACK, 0, payload));
    if (kind === type.reset || kind === type.goAway) this.#end();
    else if ((kind === type.data || kind === type.headers) && (flags & END_STREAM) !== 0) this.#end();
  }

  #data(payload: Buffer): void {
    this.#closed += payload.length;
    if (this.#closed >= WINDOW_DEFAULT / 4) {
      this.write(Buffer.concat([windowUpdate(0, this.#closed), windowUpdate(STREAM, this.#closed)]));
      this.#closed = 0;
    }
    const all = this.#part ? Buffer.concat([this.#part, payload]) : payload;
    let at = 0;
    while (all.length - at >= PREFIX) {
      const end = at + PREFIX + all.readUInt32BE(at + 1);
      if (end > all.length) break;
      this.#listener.message(all.subarray(at + PREFIX, end));
      at = end;
    }
    this.#part = at < all.length ? all.subarray(at) : undefined;
  }
}
