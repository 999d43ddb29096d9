/**
 * What the examples of the documents take for granted: a class of clients, a pool, and a mesh that is connected. Types only, for
 * the compiler that checks them.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';
import { Client, type ClientReadableStream, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js';
import type { Mesh } from 'switchgear';

declare global {
  class InventoryClient extends Client {
    list(request: { shelf: number }): ClientReadableStream<{ article: string }>;
    reserve(request: { article: string }, done: (error: ServiceError | null) => void): ClientUnaryCall;
  }
  const mesh: Mesh;
  const inventory: InventoryClient;
  const credentials: ChannelCredentials;
  const pool: { query(sql: string): Promise<unknown[]> };
}
