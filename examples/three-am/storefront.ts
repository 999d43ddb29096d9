/**
 * The storefront: `/orders` needs the orders' database, by way of a pool of eight connections, `/catalogue` does not. The guard is
 * in the code from the start; what it enforces is a matter of policy, and without one it lets everything pass.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as join, MeshError } from '../../sdk/index.js';
import { connect, Pool } from './pool.js';

interface Answer {
  readonly status: number;
  readonly body: object;
}

const POOL_SIZE = 8;

const { THREE_AM_ORDERS = '', THREE_AM_CATALOGUE = '' } = process.env;
const pool = new Pool(THREE_AM_ORDERS, POOL_SIZE);
const catalogue = connect(THREE_AM_CATALOGUE);
const mesh = await join({ service: 'storefront', version: '1.0.0', callees: ['orders-db'] });
mesh.on('circuit', (change) => process.send?.({ circuit: change }));

/** `gone` aborts when whoever asked has hung up. */
function order(gone: AbortSignal): Promise<Answer> {
  return mesh.guard(
    'orders-db',
    async ({ signal }) => ({ status: 201, body: { order: await placeOrder(signal) } }),
    { signal: gone, fallback: keepBasket },
  );
}

/** A transaction has a connection to itself. */
function placeOrder(signal: AbortSignal): Promise<number> {
  return pool.use(async (connection) => {
    const results = await connection
      .multi()
      .incr('orders')
      .lpush('placed', 'a lamp')
      .ltrim('placed', 0, 999)
      .exec();
    const [failure, number] = results?.[0] ?? [new Error('the transaction was discarded'), undefined];
    if (failure) throw failure;
    return Number(number);
  }, signal);
}

/** What the customer gets instead of an order: not what they came for, but at once, and true. */
function keepBasket(error: unknown): Answer {
  const reason = error instanceof MeshError ? error.code : 'failed';
  return { status: 202, body: { order: null, basket: 'kept', reason } };
}

async function show(): Promise<Answer> {
  return { status: 200, body: await catalogue.hgetall('article:lamp') };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const server = createServer((request, response) => {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the caller has hung up')));
  const answer = request.url === '/orders' ? order(gone.signal) : show();
  answer.then(
    (given) => send(response, given),
    (error: Error) => send(response, { status: 500, body: { error: error.message } }),
  );
});
server.keepAliveTimeout = 60_000;

await catalogue.hset('article:lamp', { name: 'a lamp', cents: 4900, stock: 12 });
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
process.send?.({ port: (server.address() as AddressInfo).port });

process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.exit());
process.once('SIGTERM', async () => {
  await mesh.close();
  process.exit();
});
