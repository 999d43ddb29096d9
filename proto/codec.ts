/**
 * Wire ↔ values. Decoding answers a value or the fault that makes it none, and never throws, because grpc-js would turn a
 * throw into INTERNAL, which blames the wrong side. A message that many streams share is encoded once and handed on as a
 * Buffer, which the serialiser lets through untouched.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { type Issue, MeshError, messageOf } from '../core/errors.js';
import { agentMessage, controlMessage } from './bounds.js';
import { AgentMessage as agentShape } from './generated/agents.js';
import { tooManyFields } from './guard.js';
import type { AgentMessage, ControlMessage, Hello, Welcome } from './messages.js';
import type { Check } from './shape.js';
import { decode } from './wire.js';

/** A frame that is no message; the session ends with INVALID_ARGUMENT and these words. */
export interface Malformed {
  readonly message: 'malformed';
  readonly fault: Issue;
}

/** Already encoded, or to be encoded. */
export type Outgoing = ControlMessage | Buffer;

/** Both ends' view of `Agents/Session`. */
export interface Wire {
  /** For `server.addService`. */
  readonly service: { readonly session: MethodDefinition<AgentMessage | Malformed, Outgoing> };
  /** An agent's side, as tests need it. */
  readonly session: MethodDefinition<AgentMessage, ControlMessage>;
  /** A message as the bytes that all streams can share. */
  encode(message: ControlMessage): Buffer;
  /** All definitions of the file, for reflection. */
  readonly definitions: object;
}

/** How messages become values. `Number`: revisions and nonces stay below 2^53, and decoding is 2.6 times as fast as with strings. */
export const CONVERSION = { longs: Number, defaults: true, oneofs: true } as const;

/** What an agent needs of the session, for `client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, …)`. */
export type AgentSession = Pick<
  MethodDefinition<AgentMessage, ControlMessage>,
  'path' | 'requestSerialize' | 'responseDeserialize'
>;

/** The two types of the session as proto-loader gives them. */
export interface RawSession {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

export function createWire(raw: RawSession, definitions: object): Wire {
  const encode = (message: ControlMessage) => raw.responseSerialize(message);
  // By tables: half of what the loader makes of a message is thrown away.
  const read = (frame: Buffer) => decode(agentShape, frame);
  const decodeAgent = (frame: Buffer) => decoded<AgentMessage>(frame, read, agentMessage);
  const method = {
    path: raw.path,
    requestStream: true,
    responseStream: true,
    originalName: 'session',
  } as const;
  return {
    definitions,
    encode,
    service: {
      session: {
        ...method,
        requestSerialize: raw.requestSerialize,
        requestDeserialize: decodeAgent,
        responseSerialize: (value) => (Buffer.isBuffer(value) ? value : encode(value)),
        responseDeserialize: (frame) => controlOf(frame, raw.responseDeserialize),
      },
    },
    session: {
      ...method,
      requestSerialize: raw.requestSerialize,
      requestDeserialize: (frame) => orThrow(decodeAgent(frame)),
      responseSerialize: encode,
      responseDeserialize: (frame) => controlOf(frame, raw.responseDeserialize),
    },
  };
}

/** Throws `invalid_request` for what is no message of the control plane, or out of bounds. */
export function controlOf(frame: Buffer, decode: (frame: Buffer) => object): ControlMessage {
  return orThrow(decoded<ControlMessage>(frame, decode, controlMessage));
}

function decoded<T extends AgentMessage | ControlMessage>(
  frame: Buffer,
  decode: (frame: Buffer) => object,
  check: Check,
): T | Malformed {
  if (tooManyFields(frame)) return malformed({ path: '', message: 'has more fields than any message needs' });
  let value: object;
  try {
    value = decode(frame);
  } catch (error) {
    return malformed({ path: '', message: `is no message of this protocol: ${messageOf(error)}` });
  }
  complete(value);
  const fault = check(value);
  return fault ? malformed(fault) : (value as T);
}

function malformed(fault: Issue): Malformed {
  return { message: 'malformed', fault };
}

function orThrow<T extends { readonly message: string }>(value: T | Malformed): T {
  if (value.message !== 'malformed') return value as T;
  const { path, message } = (value as Malformed).fault;
  throw new MeshError('invalid_request', `${path === '' ? 'the message' : path} ${message}`);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** proto3 leaves an absent message null; an absent version or set of intervals means zeros. */
function complete(value: object): void {
  const { hello, welcome } = value as { hello?: Writable<Hello>; welcome?: Writable<Welcome> };
  if (hello) hello.protocol ??= { major: 0, minor: 0 };
  if (welcome) {
    welcome.protocol ??= { major: 0, minor: 0 };
    welcome.intervals ??= { heartbeatMs: 0, reportMs: 0, urgentReportMs: 0 };
  }
}
