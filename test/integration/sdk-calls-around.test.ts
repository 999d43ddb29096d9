/**
 * Retries and fallbacks as an application has them: a generated client of the mesh, policies from the control plane, real servers.
 * What an answer that isn't the callee's own looks like, and that other services are called under their own policies.
 */
import * as grpc from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const definition = fromJSON({
  nested: {
    shop: {
      nested: {
        Query: { fields: { sku: { type: 'string', id: 1 } } },
        Item: {
          fields: {
            sku: { type: 'string', id: 1 },
            available: { type: 'bool', id: 2 },
            from: { type: 'string', id: 3 },
          },
        },
        Inventory: { methods: { Get: { requestType: 'Query', responseType: 'Item', comment: '' } } },
      },
    },
  },
});
const service = definition['shop.Inventory'] as grpc.ServiceDefinition;
const { Inventory } =
  (grpc.loadPackageDefinition(definition) as { shop?: { Inventory?: unknown } }).shop ?? {};
const Client = Inventory as grpc.ServiceClientConstructor;
type Item = { sku?: string; available?: boolean; from?: string };
type Unary = grpc.Client & {
  Get(
    query: object,
    options: grpc.CallOptions,
    done: (error: grpc.ServiceError | null, item?: Item) => void,
  ): grpc.ClientUnaryCall;
};

class Server {
  readonly calls: (string | undefined)[] = [];
  /** Fails so many attempts, and then no more. */
  failures = 0;
  address = '';
  readonly #server = new grpc.Server();

  constructor(readonly name: string) {
    this.#server.addService(service, {
      Get: (call: grpc.ServerUnaryCall<{ sku: string }, Item>, done: grpc.sendUnaryData<Item>) => {
        this.calls.push(call.metadata.get('grpc-previous-rpc-attempts')[0]?.toString());
        if (this.failures-- > 0) done({ code: grpc.status.UNAVAILABLE, details: `${name} is closed` });
        else done(null, { sku: call.request.sku, available: true, from: name });
      },
    });
  }

  async start(): Promise<void> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    this.address = `127.0.0.1:${port}`;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

interface Answer {
  readonly item: Item | undefined;
  readonly code: grpc.status;
  readonly details: string;
  /** What the headers and the trailers say of it. */
  readonly degraded: readonly unknown[];
}

function get(client: grpc.Client, sku = 'bolt'): Promise<Answer> {
  return new Promise((resolve) => {
    let item: Item | undefined;
    const degraded: unknown[] = [];
    const call = (client as Unary).Get({ sku }, {}, (_error, value) => {
      item = value;
    });
    const note = (metadata: grpc.Metadata) => degraded.push(...metadata.get('switchgear-degraded'));
    call.on('metadata', note);
    call.on('status', ({ code, details, metadata }: grpc.StatusObject) => {
      note(metadata);
      setImmediate(() => resolve({ item, code, details, degraded }));
    });
  });
}

describe('a service that retries and falls back', () => {
  let fake: FakeControlPlane;
  let mesh: Mesh;
  let inventory: Server;
  let replica: Server;
  let client: grpc.Client;
  let logger: ReturnType<typeof keptLogger>;
  const clients: grpc.Client[] = [];
  let revision: number;

  const policies = async (...specs: [to: string, spec: Record<string, unknown>][]) => {
    revision++;
    const upserts = specs.map(([to, spec]) => wirePolicy(to, revision, { match: { to }, spec }));
    fake.streams[0]?.delta({ revision, upserts });
    await until(() => mesh.status().revision === revision, { what: `revision ${revision}` });
  };

  beforeEach(async () => {
    revision = 1;
    inventory = new Server('inventory');
    replica = new Server('replica');
    await Promise.all([inventory.start(), replica.start()]);
    fake = await fakeControlPlane();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta();
      stream.endpoints('inventory', [inventory.address]);
      stream.endpoints('replica', [replica.address]);
    };
    logger = keptLogger();
    mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      callees: ['inventory', 'replica'],
      snapshot: false,
      logger,
    });
    client = mesh.client(Client, 'inventory');
    clients.push(client);
  });

  afterEach(async () => {
    for (const one of clients.splice(0)) one.close();
    await mesh.close();
    fake.stop();
    inventory.stop();
    replica.stop();
  });

  /** A client that finds its server by itself. */
  function direct(options?: Parameters<Mesh['interceptor']>[1]): grpc.Client {
    const interceptors = [mesh.interceptor('inventory', options)];
    const made = new Client(inventory.address, grpc.credentials.createInsecure(), { interceptors });
    clients.push(made);
    return made;
  }

  it('gets its answer with the third attempt', async () => {
    await policies(['inventory', { idempotent: true, retry: { backoff: { base: '1ms', max: '2ms' } } }]);
    inventory.failures = 2;
    const { item, code } = await get(client);
    expect([item, code]).to.deep.equal([{ sku: 'bolt', available: true, from: 'inventory' }, grpc.status.OK]);
    expect(inventory.calls).to.deep.equal([undefined, '1', '2']);
  });

  it('gets the last good answer to the same question', async () => {
    await policies(['inventory', { fallback: [{ cache: { maxAge: '60s' } }] }]);
    await get(client);
    inventory.failures = 2;
    const { item, code, degraded } = await get(client);
    expect([item?.from, code]).to.deep.equal(['inventory', grpc.status.OK]);
    expect(degraded).to.deep.equal(['cache; UNAVAILABLE', 'cache; UNAVAILABLE']);
    expect((await get(client, 'nut')).details).to.equal('inventory is closed');
  });

  it('gets the answer that the policy spells out', async () => {
    await policies(['inventory', { fallback: [{ static: { sku: 'none', available: false } }] }]);
    inventory.failures = 2;
    for (const one of [client, direct({ service })]) {
      const { item, degraded } = await get(one);
      expect(item).to.include({ sku: 'none' });
      expect(degraded[0]).to.equal('static; UNAVAILABLE');
    }
    inventory.failures = 2;
    const bare = direct();
    for (let i = 0; i < 2; i++) expect((await get(bare)).details).to.equal('inventory is closed');
    expect(
      logger.lines.filter(({ message }) => message.startsWith('a fallback is skipped')),
    ).to.have.lengthOf(1);
  });

  it('asks another service, under that one’s policies but its retries', async () => {
    const elsewhere = { fallback: [{ target: { to: 'replica' } }] };
    const circuit = { minimumCalls: 2, openFor: '60s' };
    await policies(['inventory', elsewhere], ['replica', { circuit, idempotent: true, retry: {} }]);
    inventory.failures = 4;
    const { item, degraded } = await get(client);
    expect([item?.from, degraded[0]]).to.deep.equal(['replica', 'target; UNAVAILABLE']);
    replica.failures = 1;
    expect((await get(client)).details).to.equal('inventory is closed');
    // One of two failed there: its circuit is open, and turns the next one away.
    expect(mesh.circuit('replica').state).to.equal('open');
    expect((await get(client)).details).to.equal('inventory is closed');
    expect(replica.calls).to.deep.equal([undefined, undefined]);
    expect(mesh.circuit('inventory').state).to.equal('disabled');
    inventory.failures = 1;
    expect((await get(direct())).details).to.equal('inventory is closed');
  });

  it('runs the function that it gave a name', async () => {
    await policies(['inventory', { fallback: [{ handler: 'lastKnown' }] }]);
    inventory.failures = 3;
    expect((await get(client)).details).to.equal('inventory is closed');
    const takeBack = mesh.fallback('lastKnown', async ({ request }) => ({
      sku: (request as Item).sku,
      from: 'the handler',
    }));
    const { item, degraded } = await get(client);
    expect([item, degraded[0]]).to.deep.equal([{ sku: 'bolt', from: 'the handler' }, 'handler; UNAVAILABLE']);
    takeBack();
    expect((await get(client)).details).to.equal('inventory is closed');
    expect(() => mesh.fallback('', () => 1)).to.throw('invalid_configuration');
  });

  it('answers a guarded call by that function too, until it is taken back', async () => {
    await policies(['prices', { fallback: [{ handler: 'lastPrices' }] }]);
    const down = new Error('down');
    const ask = () => mesh.guard('prices', () => Promise.reject(down), { key: 'lamp' });
    const takeBack = mesh.fallback('lastPrices', ({ callee, method, error }) => [callee, method, error]);
    expect(await ask()).to.deep.equal(['prices', 'lamp', down]);
    takeBack();
    expect(await rejectionOf(ask())).to.equal(down);
  });
});
