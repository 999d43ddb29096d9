/**
 * A request that the caller's own code can't serialise never leaves the process; it counted as a failure of the callee, and
 * enough of them opened its circuit.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../agent/interceptor.js';
import { startEcho } from '../support/echo.js';
import { circuitSpec, effectiveOf } from '../support/specs.js';
import { bench } from '../support/targets.js';

describe("the caller's own faults", () => {
  it('do not open the circuit of the callee: a request that can not be serialised', async () => {
    const { targets } = bench(effectiveOf({ circuit: circuitSpec({ minimumCalls: 2 }) }));
    const server = await startEcho();
    const interceptors = [createInterceptor(targets, 'inventory')];
    const client = new grpc.Client(server.address, grpc.credentials.createInsecure(), { interceptors });
    const broken = () => {
      throw new Error('no such field');
    };
    const same = (bytes: Buffer) => bytes;
    try {
      for (let i = 0; i < 4; i++) {
        const error = await new Promise<grpc.ServiceError | null>((resolve) => {
          client.makeUnaryRequest('/test.Echo/Unary', broken, same, 'x', (failure) => resolve(failure));
        });
        expect(error?.code).to.equal(grpc.status.INTERNAL);
      }
      expect(server.calls.count).to.equal(0);
      expect(targets.circuit('inventory').state).to.equal('closed');
      expect(targets.permitsOut).to.equal(0);
    } finally {
      client.close();
      server.stop();
    }
  });
});
