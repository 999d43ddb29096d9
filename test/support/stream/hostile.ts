/**
 * Peers that don't speak gRPC as they should: bytes on a bare socket, and frames of our own making on a proper HTTP/2 stream.
 */
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp } from 'node:net';

/** Sends bytes and waits until the other end hangs up. */
export function sendGarbage(address: string, bytes: Buffer): Promise<void> {
  const { hostname, port } = new URL(`http://${address}`);
  return new Promise((resolve) => {
    const socket = connectTcp(Number(port), hostname, () => socket.write(bytes));
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.once('close', () => resolve());
  });
}

/** A gRPC frame: flag, length as announced, content. */
export function frame(content: Buffer, announced = content.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(announced, 1);
  return Buffer.concat([head, content]);
}

export interface Answer {
  readonly code: number;
  readonly details: string;
}

/** Opens `Agents/Session`, sends these bytes as they are, and answers the status. */
export async function sendFrames(address: string, bytes: Buffer): Promise<Answer> {
  const http = connectHttp2(`http://${address}`);
  http.on('error', () => {});
  try {
    return await request(http, bytes);
  } finally {
    http.destroy();
  }
}

function request(http: ClientHttp2Session, bytes: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = http.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/switchgear.v1.Agents/Session',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    const answer = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] === undefined) return;
      resolve({
        code: Number(headers['grpc-status']),
        details: decodeURI(String(headers['grpc-message'] ?? '')),
      });
    };
    stream.on('response', answer);
    stream.on('trailers', answer);
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('closed without a status')));
    stream.resume();
    stream.write(bytes);
  });
}
