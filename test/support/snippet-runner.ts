/**
 * A process that runs the README's four integrations as they stand there, one after the other, against a control plane: arguments
 * are the compiled-on-the-fly files of the snippets and the port of a real server. It prints what each came to, as JSON.
 */
import { makeGenericClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js';

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

const [client = '', server = '', pool = '', existing = '', port = ''] = process.argv.slice(2);

const grpc = new Server();
grpc.addService(service, {
  list(call: { write(row: unknown): void; end(): void }) {
    call.write({ article: 'a lamp' });
    call.end();
  },
  reserve(_call: unknown, done: (error: null, value: unknown) => void) {
    done(null, {});
  },
});
await new Promise<void>((resolve, reject) => {
  grpc.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error) =>
    error ? reject(error) : resolve(),
  );
});
Object.assign(globalThis, {
  InventoryClient: makeGenericClientConstructor(service, 'Inventory'),
  pool: { query: async (sql: string) => [sql] },
});

await import(server);
const { rows } = await import(client);
const listed: unknown[] = [];
for await (const row of rows) listed.push(row);
const { orders } = await import(pool);
const { inventory } = await import(existing);
const reserved = await new Promise((resolve) => inventory.reserve({ article: 'a lamp' }, resolve));
process.stdout.write(JSON.stringify({ listed, orders, reserved }), () => process.exit(0));
