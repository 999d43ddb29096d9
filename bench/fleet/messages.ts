/**
 * As much of protobuf as a light agent needs (field numbers of `proto/switchgear/v1/agents.proto`): what it says is written by hand,
 * and of what it hears only the kind and a Delta's nonce are read.
 */
const VARINT = 0;
const BYTES = 2;

export function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

export function number(field: number, value: number): Buffer {
  return Buffer.from([...varint(field * 8 + VARINT), ...varint(value)]);
}

export function bytes(field: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from([...varint(field * 8 + BYTES), ...varint(body.length)]), body]);
}

export interface Introduction {
  readonly service: string;
  readonly instance: string;
  readonly callees: readonly string[];
  readonly capabilities: readonly string[];
}

/** AgentMessage.hello. */
export function hello({ service, instance, callees, capabilities }: Introduction): Buffer {
  return bytes(
    1,
    bytes(1, `${service}/${instance}`),
    bytes(2, service),
    bytes(3, instance),
    number(4, 1),
    bytes(7, number(1, 1), number(2, 2)),
    ...capabilities.map((name) => bytes(8, name)),
    ...callees.map((name) => bytes(12, name)),
    number(13, 1_000),
  );
}

/** AgentMessage.ack. */
export function ack(nonce: number): Buffer {
  return bytes(3, number(1, nonce));
}

/** AgentMessage.lease: registers an address. */
export function lease(address: string): Buffer {
  return bytes(5, bytes(1, 'first'), bytes(3, address), bytes(4, 'grpc'), number(6, 1));
}

/** AgentMessage.heartbeat. */
export const heartbeat = bytes(6);

/** AgentMessage.report, of one second: a cell for each callee, with a few successes. */
export function report(seq: number, callees: readonly string[]): Buffer {
  const cells = callees.map((callee) => bytes(3, bytes(1, callee), bytes(3, 'instance-1'), number(4, 12)));
  return bytes(4, number(1, seq), number(2, 1_000), ...cells);
}

/** Fields of ControlMessage. */
export const kinds = {
  welcome: 1,
  delta: 2,
  endpoints: 3,
  lease: 4,
  directives: 5,
  drain: 6,
  heartbeat: 7,
} as const;

/** Which message it is: the field of the one that it holds. */
export function kindOf(message: Buffer): number {
  return (message[0] ?? 0) >> 3;
}

/** Of a Delta. */
export function nonceOf(message: Buffer): number {
  let at = 1;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  next();
  while (at < message.length) {
    const tag = next();
    if (tag === 3 * 8 + VARINT) return next();
    if (tag % 8 === VARINT) next();
    else {
      const length = next();
      at += length;
    }
  }
  return 0;
}
