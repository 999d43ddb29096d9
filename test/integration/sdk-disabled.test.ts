/**
 * The switch that makes the library as if it were not there.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type ConnectOptions, connect } from '../../sdk/index.js';
import { EchoClient, startEcho, unary } from '../support/echo.js';
import { fakeControlPlane } from '../support/fake-control-plane.js';
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
  });
});
