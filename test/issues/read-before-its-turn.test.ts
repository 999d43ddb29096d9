/**
 * An interceptor nearer to the wire than `mesh.serverInterceptor()` may read by itself, so that messages of a call come while it waits
 * in line. They were kept for it, but what its handler then read at once overtook them: of a unary call the end of the request came
 * before the request, and the call failed.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createServerInterceptor } from '../../agent/server-interceptor.js';
import type { Targets } from '../../agent/targets.js';
import { ask, callKinds, KindsClient, KindsServer, requestStreams } from '../support/kinds.js';
import { liveTargets } from '../support/live-targets.js';
import { bulkheadSpec, effectiveOf } from '../support/specs.js';
import { until } from '../support/until.js';

describe('a call in line whose messages somebody nearer to the wire has read', () => {
  const effective = effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) });
  let read = 0;
  let targets: Targets;
  let server: KindsServer;
  let client: grpc.Client;

  const readsAhead: grpc.ServerInterceptor = (_method, call) =>
    new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            pass(metadata);
            call.startRead();
          },
          onReceiveMessage: (message, pass) => {
            read++;
            pass(message);
          },
        }),
    });

  beforeEach(async () => {
    read = 0;
    targets = liveTargets(() => effective);
    server = new KindsServer({ interceptors: [readsAhead, createServerInterceptor(targets)] });
    await server.start();
    client = new KindsClient(server.address, grpc.credentials.createInsecure());
  });

  afterEach(() => {
    client.close();
    server.stop();
    targets.close();
  });

  for (const kind of callKinds)
    it(`is given them in order once it is admitted: ${kind}`, async () => {
      server.play(['gate', 'ok']);
      const first = ask(client, kind, { texts: ['first'] });
      await until(() => server.attempts[0]?.length === 1, { what: 'the first call' });
      const texts = requestStreams(kind) ? ['one', 'two', 'three'] : ['one'];
      const second = ask(client, kind, { texts });
      await until(() => targets.bulkheads()[0]?.queued === 1 && read === 2, { what: 'a message in line' });
      server.open();
      for (const { ended } of [first, second]) expect((await ended).code).to.equal(grpc.status.OK);
      expect(server.attempts[1]).to.deep.equal(texts);
    });
});
