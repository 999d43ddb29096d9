/**
 * HTTP through real meshes and the real control plane: instances that register are found, policies put over REST are enforced, and
 * the name's circuit is one for all kinds of calls.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { request } from 'undici';
import { type ConnectOptions, connect, type Mesh } from '../../sdk/index.js';
import { type HttpCallee, startHttpCallee } from '../support/http-callee.js';
import { keptLogger } from '../support/logs.js';
import { type Running, startRest } from '../support/rest.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const execute = promisify(execFile);

describe('HTTP in a mesh', () => {
  let running: Running;
  let callees: HttpCallee[];
  let meshes: Mesh[];

  beforeEach(async () => {
    running = await startRest();
    callees = [await startHttpCallee(), await startHttpCallee()];
    meshes = [];
  });
  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await running.close();
    await Promise.all(callees.map((callee) => callee.stop()));
  });

  const join = async (service: string, options: ConnectOptions = {}) => {
    const mesh = await connect({
      service,
      controlPlane: running.plane.grpcAddress,
      snapshot: false,
      logger: keptLogger(),
      ...options,
    });
    meshes.push(mesh);
    return mesh;
  };
  const put = async (spec: Record<string, unknown>, mesh: Mesh) => {
    const document = { policy: 'payments-default', match: { to: 'payments' }, spec };
    const { status, text, body } = await running.put('/v1/policies/payments-default', document);
    expect(status, text).to.be.lessThan(300);
    await until(() => mesh.status().revision >= body.revision, { what: 'the policy' });
  };
  /** Both servers registered, each by a mesh of its own; and a caller that knows them. */
  const market = async () => {
    const caller = await join('checkout', { callees: ['payments'] });
    const registered: Mesh[] = [];
    for (const { port } of callees) {
      const mesh = await join('payments');
      await mesh.register({ port, protocol: 'http' });
      registered.push(mesh);
    }
    await until(() => caller.status().instances.payments === 2, { what: 'both instances' });
    return { caller, registered };
  };

  it('finds the instances, spreads the load, and leaves one that is gone without a failed call', async () => {
    const { caller, registered } = await market();
    for (let i = 0; i < 10; i++)
      expect(await (await caller.fetch('payments', '/charge')).text()).to.equal('hello');
    expect(callees.map(({ requests }) => requests.length)).to.deep.equal([5, 5]);
    // It dies before anybody hears of it, and then its lease ends.
    await callees[1]?.stop();
    // A connection that it has only just closed may still take a request, and nobody knows whether that was executed.
    for (let i = 0; i < 2; i++) await caller.fetch('payments', '/charge').catch(() => {});
    for (let i = 0; i < 10; i++) expect((await caller.fetch('payments', '/charge')).status).to.equal(200);
    await registered[1]?.close();
    await until(() => caller.status().instances.payments === 1, { what: 'one instance' });
    for (let i = 0; i < 10; i++) expect((await caller.fetch('payments', '/charge')).status).to.equal(200);
  });

  it('goes to an instance that comes while calls are made', async () => {
    const caller = await join('checkout');
    const error = await rejectionOf(caller.fetch('payments', '/'));
    expect(error).to.include({ code: 'no_instances', target: 'payments' });
    const callee = await join('payments');
    await callee.register({ port: callees[0]?.port ?? 0, protocol: 'http' });
    await until(async () => (await caller.fetch('payments', '/')).ok, { what: 'an answer' });
  });

  it('does not go to instances that speak gRPC, and says so', async () => {
    const caller = await join('checkout', { callees: ['payments'] });
    const callee = await join('payments');
    await callee.register({ port: callees[0]?.port ?? 0 });
    await until(() => caller.status().instances.payments === 1, { what: 'the instance' });
    const error = await rejectionOf(caller.fetch('payments', '/'));
    expect(error)
      .to.have.property('message')
      .that.matches(/^\[no_instances\] payments: none of its 1 instances speaks HTTP/);
  });

  it('opens the circuit on 503s, for guard and for the dispatcher too', async () => {
    const { caller } = await market();
    await put({ circuit: { minimumCalls: 4, openFor: '30s' } }, caller);
    for (const callee of callees) callee.answer = (_request, response) => void response.writeHead(503).end();
    for (let i = 0; i < 4; i++) expect((await caller.fetch('payments', '/')).status).to.equal(503);
    expect(caller.circuit('payments').state).to.equal('open');
    const refused = { name: 'MeshError', code: 'circuit_open', policy: 'payments-default' };
    expect(await rejectionOf(caller.fetch('payments', '/'))).to.include(refused);
    expect(await rejectionOf(caller.guard('payments', () => 1))).to.include(refused);
    const dispatcher = caller.dispatcher('payments');
    expect(await rejectionOf(request('http://payments/', { dispatcher }))).to.include(refused);
  });

  it('is refused by a circuit that guard opened', async () => {
    const { caller } = await market();
    await put({ circuit: { minimumCalls: 2, openFor: '30s' } }, caller);
    for (let i = 0; i < 2; i++)
      await rejectionOf(caller.guard('payments', () => Promise.reject(new Error('down'))));
    expect(await rejectionOf(caller.fetch('payments', '/'))).to.have.property('code', 'circuit_open');
    expect(callees.flatMap(({ requests }) => requests)).to.have.length(0);
  });

  it('is refused once the mesh is closed, which cuts what does not end', async () => {
    const { caller } = await market();
    for (const callee of callees) callee.answer = (_request, response) => void response.write('never ends');
    const reading = rejectionOf((await caller.fetch('payments', '/')).text());
    await caller.close();
    expect(await reading).to.be.instanceOf(Error);
    expect(await rejectionOf(caller.fetch('payments', '/'))).to.have.property('code', 'mesh_closed');
  });

  it('lets its process end', async () => {
    await market();
    const url = new URL('../../sdk/index.ts', import.meta.url).href;
    const { stdout } = await execute(
      process.execPath,
      [
        ...['--import', 'tsx', '--input-type=module', '--eval'],
        `import { createRequire } from 'node:module';
        const { connect } = await import(${JSON.stringify(url)});
        const loaded = () => Object.keys(createRequire(${JSON.stringify(url)}).cache).some((path) => path.includes('/undici/'));
        const before = loaded();
        const mesh = await connect({ service: 'checkout', snapshot: false });
        const text = await (await mesh.fetch('payments', '/')).text();
        await mesh.close();
        console.log(JSON.stringify({ before, after: loaded(), text }));`,
      ],
      { timeout: 15_000, env: { ...process.env, SWITCHGEAR_CONTROL_PLANE: running.plane.grpcAddress } },
    );
    expect(JSON.parse(stdout)).to.deep.equal({ before: false, after: true, text: 'hello' });
  });
});

describe('HTTP under SWITCHGEAR_DISABLED=1', () => {
  const variable = 'SWITCHGEAR_DISABLED';
  beforeEach(() => {
    process.env[variable] = '1';
  });
  afterEach(() => {
    delete process.env[variable];
  });

  it('dials the name, as if the library were not there', async () => {
    const callee = await startHttpCallee((_request, response) => void response.writeHead(503).end('down'));
    const mesh = await connect({ service: 'checkout', logger: keptLogger() });
    const name = `localhost:${callee.port}`;
    try {
      const response = await mesh.fetch(name, '/charge', { method: 'POST', body: 'x', key: 'a' });
      expect([response.status, await response.text()]).to.deep.equal([503, 'down']);
      const given = new Request('http://any.invalid/', { method: 'PUT', body: 'y' });
      expect((await mesh.fetch(name, '/charge', given)).status).to.equal(503);
      expect(callee.bodies).to.deep.equal(['x', 'y']);
      const dispatcher = mesh.dispatcher('payments');
      const { statusCode, body } = await request(`http://${callee.address}/`, { dispatcher });
      expect([statusCode, await body.text()]).to.deep.equal([503, 'down']);
      const signal = AbortSignal.abort('enough');
      expect(await rejectionOf(mesh.fetch(name, '/', { signal }))).to.equal('enough');
      expect(await rejectionOf(mesh.fetch(name, 'charge'))).to.have.property('code', 'invalid_configuration');
    } finally {
      await mesh.close();
      await callee.stop();
    }
  });
});
