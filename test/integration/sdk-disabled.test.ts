/**
 * The switch that makes the library as if it were not there.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type ConnectOptions, connect, type RegisterOptions } from '../../sdk/index.js';
import { EchoClient, startEcho, unary } from '../support/echo.js';
import { fakeControlPlane } from '../support/fake-control-plane.js';
import { startHttpCallee } from '../support/http-callee.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';

describe('SWITCHGEAR_DISABLED=1', () => {
  const variable = 'SWITCHGEAR_DISABLED';
  beforeEach(() => {
    process.env[variable] = '1';
  });
  afterEach(() => {
    delete process.env[variable];
  });

  it('lets everything pass, and connects to nobody', async () => {
    const fake = await fakeControlPlane();
    const echo = await startEcho();
    const logger = keptLogger();
    const mesh = await connect({ service: 'checkout', controlPlane: fake.address, logger });
    try {
      expect(
        await mesh.guard('inventory', ({ attempt, deadline, signal }) => [attempt, deadline, signal.aborted]),
      ).to.deep.equal([1, undefined, false]);
      const error = new Error('down');
      for (let i = 0; i < 50; i++)
        expect(await rejectionOf(mesh.guard('inventory', () => Promise.reject(error)))).to.equal(error);
      expect(await rejectionOf(mesh.guard('x', () => 1, { signal: AbortSignal.abort('given up') }))).to.equal(
        'given up',
      );
      expect(mesh.circuit('inventory').state).to.equal('disabled');
      expect(mesh.dim('recommendations')).to.equal(true);
      expect(mesh.status()).to.include({ connected: false, policies: 0 });
      expect(mesh.stats()).to.deep.equal({});
      await mesh.register({ port: echo.port });
      const legacy = new EchoClient(echo.address, grpc.credentials.createInsecure(), {
        interceptors: [mesh.interceptor('inventory')],
      });
      expect(await unary(legacy, 'hello')).to.equal('hello');
      legacy.close();
      // Without a registry the name itself is dialled.
      const client = mesh.client(EchoClient, `localhost:${echo.port}`);
      expect(await unary(client, 'hello')).to.equal('hello');
      client.close();
      mesh.fallback('lastKnown', () => 1)();
      mesh.on('circuit', () => {})();
      expect(() => mesh.on('circit' as never, () => {})).to.throw(/circit/);
      expect(fake.streams).to.have.length(0);
      expect(logger.of('warn')).to.deep.equal([]);
    } finally {
      await mesh.close();
      echo.stop();
      fake.stop();
    }
  });

  it('still tells what is misspelt', async () => {
    const error = await rejectionOf(connect({ service: 'checkout', calees: [] } as ConnectOptions));
    expect(error).to.have.property('code', 'invalid_configuration');
    const mesh = await connect({ service: 'checkout', logger: keptLogger() });
    expect(
      String(await rejectionOf(mesh.register({ port: 1, protocl: 'http' } as RegisterOptions))),
    ).to.contain('did you mean protocol?');
    expect(() => mesh.fallback('9 x', () => 1)).to.throw('invalid_configuration');
    const nothing = mesh.guard<unknown>('pool', undefined as never, { fallback: () => 1 });
    expect(await rejectionOf(nothing)).to.have.property('code', 'invalid_configuration');
  });

  it('leaves the caller his own fallback, but for his own abort', async () => {
    const mesh = await connect({ service: 'checkout', logger: keptLogger() });
    const down = new Error('down');
    const fallback = (error: unknown) => ({ instead: error });
    const fails = (): unknown => {
      throw down;
    };
    expect(await mesh.guard('inventory', fails, { fallback })).to.deep.equal({ instead: down });
    expect(await mesh.guard('inventory', () => Promise.reject(down), { fallback })).to.deep.equal({
      instead: down,
    });
    expect(await mesh.guard<unknown>('inventory', () => 'works', { fallback })).to.equal('works');
    expect(
      await rejectionOf(mesh.guard('inventory', fails, { fallback: () => Promise.reject('both') })),
    ).to.equal('both');
    const gone = new AbortController();
    const leaving = mesh.guard<unknown>(
      'inventory',
      ({ signal }) =>
        new Promise((_, no) => {
          signal.addEventListener('abort', () => no(signal.reason));
          gone.abort('given up');
        }),
      { fallback, signal: gone.signal },
    );
    expect(await rejectionOf(leaving)).to.equal('given up');
  });

  it('leaves fetch its fallback for a rejection, and neither for a status nor for an abort', async () => {
    const mesh = await connect({ service: 'checkout', logger: keptLogger() });
    const callee = await startHttpCallee();
    const fallback = () => new Response('instead');
    try {
      const answered = await mesh.fetch(callee.address, '/charge', { fallback });
      expect(await answered.text()).to.equal('hello');
      const signal = AbortSignal.abort('given up');
      expect(await rejectionOf(mesh.fetch(callee.address, '/', { fallback, signal }))).to.equal('given up');
      await callee.stop();
      expect(await (await mesh.fetch(callee.address, '/', { fallback })).text()).to.equal('instead');
      expect(await rejectionOf(mesh.fetch(callee.address, 'charge', { fallback }))).to.have.property('code');
    } finally {
      await callee.stop();
    }
  });

  it('is told, as any other, of a variable that looks misspelt', async () => {
    const wrong = 'SWITCHGEAR_CONTROLPLANE';
    process.env[wrong] = 'plane-1:7400';
    try {
      const logger = keptLogger();
      await connect({ service: 'checkout', logger });
      expect(logger.of('warn')).to.deep.equal([
        {
          level: 'warn',
          fields: { variable: wrong },
          message: 'this variable is not known; did you mean SWITCHGEAR_CONTROL_PLANE?',
        },
      ]);
    } finally {
      delete process.env[wrong];
    }
  });
});
