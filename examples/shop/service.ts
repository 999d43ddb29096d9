/**
 * What the three services have in common: serve until told to stop, and say on standard output where. `SHOP_LISTEN` (an address,
 * a free port of 127.0.0.1 by default) and `SHOP_ADDRESS` (under which the others reach it, if that differs) place a service.
 */
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Mesh } from '../../sdk/index.js';

export async function serve(
  mesh: Mesh,
  definition: ServiceDefinition,
  handlers: UntypedServiceImplementation,
  extra: { ready?: object; close?: () => void } = {},
): Promise<void> {
  const server = new Server();
  server.addService(definition, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    const listen = process.env.SHOP_LISTEN ?? '127.0.0.1:0';
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  await mesh.register({ port, address: process.env.SHOP_ADDRESS });
  process.stdout.write(`${JSON.stringify({ service: mesh.service, port, ...extra.ready })}\n`);

  const stop = async () => {
    await mesh.close();
    extra.close?.();
    server.tryShutdown(() => undefined);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // Started by the demo: when that is gone, however it went, nobody needs this any more.
  process.once('disconnect', () => process.exit());
  process.channel?.unref();
}
