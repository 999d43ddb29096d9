/**
 * A process that runs the README's integrations as they stand there, one after the other, against a control plane: arguments
 * are the compiled-on-the-fly files of the snippets and the port of a real server. It prints what each came to, as JSON.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { credentials, makeGenericClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js';
import { connect } from '../../sdk/index.js';

const json = {
  requestSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()),
  responseSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()),
};
const service = {
  list: { path: '/shop.v1.Inventory/List', requestStream: false, responseStream: true, ...json },
  reserve: { path: '/shop.v1.Inventory/Reserve', requestStream: false, responseStream: false, ...json },
};

const [client = '', server = '', pool = '', inbound = '', http = '', existing = '', port = ''] =
  process.argv.slice(2);

const handlers = {
  list(call: { write(row: unknown): void; end(): void }) {
    call.write({ article: 'a lamp' });
    call.end();
  },
  reserve(_call: unknown, done: (error: null, value: unknown) => void) {
    done(null, {});
  },
};

function bind(grpc: Server, address: string): Promise<number> {
  grpc.addService(service, handlers);
  return new Promise((resolve, reject) => {
    grpc.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

await bind(new Server(), `127.0.0.1:${port}`);
const till = createServer((_request, response) => response.end('charged')).listen(0, '127.0.0.1');
await new Promise((resolve) => till.once('listening', resolve));
const payments = await connect({ service: 'payments' });
await payments.register({ port: (till.address() as AddressInfo).port, protocol: 'http' });
const InventoryClient = makeGenericClientConstructor(service, 'Inventory');
Object.assign(globalThis, {
  InventoryClient,
  pool: { query: async (sql: string) => [sql] },
});

await import(server);
const { rows } = await import(client);
const listed: unknown[] = [];
for await (const row of rows) listed.push(row);
const { orders } = await import(pool);
const { inventory } = await import(existing);
const reserved = await reserve(inventory);
const { server: guarded } = await import(inbound);
const own = await bind(guarded, '127.0.0.1:0');
const received = await reserve(new InventoryClient(`127.0.0.1:${own}`, credentials.createInsecure()));
const { answer } = await import(http);
const charged = await answer.text();
process.stdout.write(JSON.stringify({ listed, orders, reserved, received, charged }), () => process.exit(0));

function reserve(target: object): Promise<unknown> {
  const { reserve: method } = target as {
    reserve(request: object, done: (error: unknown) => void): void;
  };
  return new Promise((resolve) => method.call(target, { article: 'a lamp' }, resolve));
}
