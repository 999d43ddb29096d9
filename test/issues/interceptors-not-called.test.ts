/**
 * `interceptors: [mesh.serverInterceptor]` without the parentheses ended the server's process at its first call, and
 * `[mesh.interceptor]` threw "Cannot read private member" into the caller. Each such call ends with what is missing now, and so does
 * `mesh.client` without a class, which spoke of destructuring.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, echoService, startEcho, unary } from '../support/echo.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';

for (const disabled of ['0', '1'])
  describe(`with SWITCHGEAR_DISABLED=${disabled}, without its parentheses`, () => {
    let mesh: Mesh;
    beforeEach(async () => {
      process.env.SWITCHGEAR_DISABLED = disabled;
      mesh = await connect({
        ...{ service: 'checkout', controlPlane: '127.0.0.1:1', snapshot: false, logger: keptLogger() },
      });
      delete process.env.SWITCHGEAR_DISABLED;
    });
    afterEach(() => mesh.close());

    it('mesh.serverInterceptor ends each call with what is missing, and no process', async () => {
      const server = new grpc.Server({ interceptors: [mesh.serverInterceptor as never] });
      let handled = 0;
      server.addService(
        { Unary: echoService.Unary, Download: echoService.Download },
        {
          Unary: () => void handled++,
          Download: () => void handled++,
        },
      );
      const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
          error ? reject(error) : resolve(bound),
        ),
      );
      const client = new EchoClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
      try {
        for (let i = 0; i < 2; i++) {
          const error = (await rejectionOf(unary(client, 'hello'))) as grpc.ServiceError;
          expect(error.code).to.equal(grpc.status.INTERNAL);
          expect(error.details).to.match(
            /^\[invalid_configuration\] .*call it: mesh\.serverInterceptor\(\)$/,
          );
        }
        expect(handled).to.equal(0);
      } finally {
        client.close();
        server.forceShutdown();
      }
    });

    it('mesh.interceptor ends each call with what is missing', async () => {
      const echo = await startEcho();
      const client = new EchoClient(echo.address, grpc.credentials.createInsecure(), {
        interceptors: [mesh.interceptor as never],
      });
      try {
        const error = (await rejectionOf(unary(client, 'hello'))) as grpc.ServiceError;
        expect(error.code).to.equal(grpc.status.INTERNAL);
        expect(error.details).to.match(
          /^\[invalid_configuration\] .*call it: mesh\.interceptor\('inventory'\)$/,
        );
        expect(echo.calls.count).to.equal(0);
      } finally {
        client.close();
        echo.stop();
      }
    });

    it('with arguments of another kind mesh.serverInterceptor throws', () => {
      expect(() => (mesh.serverInterceptor as (name: string) => unknown)('self')).to.throw(
        /invalid_configuration.*call it: mesh\.serverInterceptor\(\)/,
      );
    });

    it('mesh.client without a class, or with its arguments in the other order, says what it takes', () => {
      for (const [given, said] of [
        [undefined, 'of type undefined'],
        [null, 'null'],
        ['inventory', 'of type string'],
      ])
        expect(() => mesh.client(given as never, 'inventory')).to.throw(
          `[invalid_configuration] mesh.client takes a client class of @grpc/grpc-js as its first argument; this is ${said}`,
        );
    });
  });
