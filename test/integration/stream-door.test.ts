/** Who gets in, who is turned away and with which words, and how everybody leaves. */
import { readFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { service as healthService } from 'grpc-health-check';
import type { GrpcOptions } from '../../control-plane/grpc/server.js';
import { MeshError } from '../../core/errors.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { RawAgent, type RawAgentOptions } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const { status } = grpc;
const KEEPALIVE_TIMER = '02';

/** Which timer runs of each accepted connection on this port (proc(5): `tr` of /proc/net/tcp, which Linux alone has). */
function timersOf(port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1, -1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return fields
    .filter(([, own = '', , state]) => own.endsWith(local) && state === '01')
    .map((row) => (row[5] ?? '').slice(0, 2));
}

describe('stream: the door', () => {
  const planes: Plane[] = [];
  const agents: RawAgent[] = [];
  const start = async (options: Partial<GrpcOptions> = {}) => {
    const plane = await startPlane(options);
    planes.push(plane);
    return plane;
  };
  const connect = async (plane: Plane, hello = {}, options: RawAgentOptions = {}) => {
    const agent = await RawAgent.connect(plane.address, hello, options);
    agents.push(agent);
    return agent;
  };
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    for (const plane of planes)
      await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
    for (const plane of planes.splice(0)) await plane.close();
  });

  describe('listening', () => {
    it('names the address that is taken and says what to do', async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
      const address = taken.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const error = await startPlane({ listen: `127.0.0.1:${port}` }).catch((thrown: unknown) => thrown);
      taken.close();
      expect(error).to.be.instanceOf(MeshError);
      expect(error).to.include({ code: 'address_in_use' });
      expect((error as MeshError).message).to.contain(
        `127.0.0.1:${port} (--grpc) is taken by another process: stop that one`,
      );
    });

    for (const listen of ['nonsense', '127.0.0.1', '127.0.0.1:99999', ':7400']) {
      it(`refuses "${listen}" as an address`, async () => {
        const error = await startPlane({ listen }).catch((thrown: unknown) => thrown);
        expect(error).to.include({ code: 'invalid_configuration' });
      });
    }

    it('has the kernel ask now and then whether a peer that says nothing is there', async () => {
      const plane = await start();
      const port = Number(plane.address.split(':').at(-1));
      const peer = connectSocket(port, '127.0.0.1');
      await until(() => timersOf(port).includes(KEEPALIVE_TIMER), { what: 'a keepalive timer' });
      peer.destroy();
    });

    it('serves several planes in one process', async () => {
      const [one, other] = [await start(), await start({ replica: 'r2' })];
      expect(one.address).to.not.equal(other.address);
      expect((await connect(other)).last('welcome')).to.include({ replica: 'r2' });
    });
  });

  describe('admission', () => {
    it('turns away what is beyond the burst, with a hint when to come again, and lets it in later', async () => {
      const clock = new VirtualClock();
      const plane = await start({ clock, admission: { burst: 2, perSecond: 10 } });
      await connect(plane, { instance: 'a' });
      await connect(plane, { instance: 'b' });
      const third = await connect(plane, { instance: 'c' });
      const refused = await third.ended();
      expect(refused.code).to.equal(status.RESOURCE_EXHAUSTED);
      const retryAfterMs = Number(refused.metadata.get('switchgear-retry-after-ms')[0]);
      expect(retryAfterMs).to.be.within(100, 2200);
      expect(refused.details).to.contain(`try again in ${retryAfterMs} ms`);
      expect(plane.tally.ends).to.deep.equal(['admission']);
      clock.advance(retryAfterMs);
      expect((await connect(plane, { instance: 'c' })).last('welcome')).to.include({ mesh: 'test' });
    });
  });

  describe('tokens', () => {
    const authenticate = (metadata: grpc.Metadata) => {
      const token = metadata.get('authorization')[0];
      if (token === undefined) throw new MeshError('unauthenticated', 'send a token');
      return token === 'Bearer good'
        ? { name: 'ci' }
        : new MeshError('permission_denied', 'the role is another');
    };
    const withToken = (token?: string): RawAgentOptions => {
      const metadata = new grpc.Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      return { metadata };
    };

    it('lets in who has the right one, and tells the others why not', async () => {
      const plane = await start({ authenticate });
      expect((await connect(plane, {}, withToken('good'))).last('welcome')).to.include({ mesh: 'test' });
      expect(await (await connect(plane, {}, withToken('bad'))).ended()).to.include({
        code: status.PERMISSION_DENIED,
        details: '[permission_denied] the role is another',
      });
      expect(await (await connect(plane, {}, withToken())).ended()).to.include({
        code: status.UNAUTHENTICATED,
        details: '[unauthenticated] send a token',
      });
    });
  });

  describe('TLS', () => {
    it('speaks it with the certificate it was given', async () => {
      const pem = (name: string) => readFileSync(new URL(`../support/tls/${name}.pem`, import.meta.url));
      const plane = await start({ tls: { cert: pem('cert'), key: pem('key') } });
      const credentials = grpc.credentials.createSsl(pem('cert'));
      expect((await connect(plane, {}, { credentials })).last('welcome')).to.include({ mesh: 'test' });
      const plain = await connect(plane);
      expect((await plain.ended()).code).to.equal(status.UNAVAILABLE);
    });
  });

  describe('one instance, one process', () => {
    it('the newer boot replaces the older, and both are told', async () => {
      const plane = await start();
      const older = await connect(plane, { boot: 1 });
      const newer = await connect(plane, { boot: 2 });
      expect(await older.ended()).to.include({ code: status.ALREADY_EXISTS });
      expect(newer.last('welcome')?.error).to.contain(
        'an older process (boot 1) of this instance was still connected',
      );
      expect(plane.face.roster.connected).to.equal(1);
    });

    it('the older boot is refused while the newer is here, and it shows', async () => {
      const plane = await start();
      await connect(plane, { boot: 2 });
      const older = await connect(plane, { boot: 1 });
      const refused = await older.ended();
      expect(refused.code).to.equal(status.ALREADY_EXISTS);
      expect(refused.details).to.contain('give each process an instance name of its own');
      expect(plane.tally.ends).to.deep.equal(['duplicate']);
      const row = await plane.face.roster.agent('checkout/i1');
      expect(row?.notice).to.contain('a second process (boot 1)');
    });

    it('a reconnect of the same process takes over, without news of circuits that were known', async () => {
      const plane = await start();
      await plane.put({ name: 'p', to: 'inventory' });
      const told: string[] = [];
      plane.face.roster.on('circuit', ({ before, row }) => told.push(`${before} ${row.state}`));
      const circuits = [
        {
          id: 'inventory|p',
          callee: 'inventory',
          method: '',
          state: 'open',
          policy: 'p',
          revision: 1,
          epoch: 1,
          retryAfterMs: 0,
          reason: '',
        },
      ];
      const report = {
        message: 'report',
        report: { seq: 1, elapsedMs: 0, cells: [], probes: [], circuits, rates: [] },
      } as const;
      const before = await connect(plane);
      before.say(report);
      await until(() => told.length === 1, { what: 'the circuit' });
      const after = await connect(plane);
      await before.ended();
      after.say(report);
      after.ack(99);
      await until(() => plane.tally.ignoredThings.includes('ack'), { what: 'the report' });
      expect(told).to.deep.equal(['closed open']);
      expect(await plane.face.roster.circuits()).to.have.length(1);
    });

    it('two processes that keep replacing each other under one boot are stopped', async () => {
      const plane = await start();
      await connect(plane);
      let last: RawAgent | undefined;
      for (let turn = 0; turn < 6; turn++) last = await connect(plane);
      expect((await last?.ended())?.code).to.equal(status.ALREADY_EXISTS);
      expect(plane.face.roster.connected).to.equal(1);
    });
  });

  describe('leaving', () => {
    it('tells the streams to go elsewhere, ends them, lets nobody in, and is not healthy any more', async () => {
      const plane = await start();
      const stays = await Promise.all(
        Array.from({ length: 20 }, (_, i) => connect(plane, { instance: `i${i}` })),
      );
      const health = new (grpc.makeGenericClientConstructor(healthService, 'Health'))(
        plane.address,
        grpc.credentials.createInsecure(),
      );
      const check = () =>
        new Promise((resolve) =>
          health.Check?.(
            { service: 'switchgear.v1.Agents' },
            (error: Error | null, answer: { status: string }) => resolve(error ?? answer.status),
          ),
        );
      expect(await check()).to.equal('SERVING');
      const drained = plane.face.drain();
      expect(await check()).to.equal('NOT_SERVING');
      await drained;
      health.close();
      for (const agent of stays) {
        const ended = await agent.ended();
        expect(ended.code).to.equal(status.UNAVAILABLE);
        expect(ended.details).to.equal('[unavailable] replica r1 is stopping: connect to another one');
        expect(agent.last('drain')?.afterMs).to.be.within(200, 4000);
      }
      expect(plane.face.roster.connected).to.equal(0);
    });

    it('ends those that stay a thirtieth at a time, and none before its time to leave is up', async () => {
      const clock = new VirtualClock();
      const plane = await start({ clock });
      const stays = await Promise.all(
        Array.from({ length: 60 }, (_, i) => connect(plane, { instance: `i${i}` })),
      );
      const drained = plane.face.drain();
      await until(() => stays.every((agent) => agent.last('drain')), { what: 'the word to go' });
      const { ends } = plane.tally;
      const ended: number[] = [];
      const at: number[] = [];
      for (let before = 0; before < stays.length && clock.now() < 5000; before = ends.length) {
        clock.advance(20);
        await new Promise((resolve) => setImmediate(resolve));
        if (ends.length === before) continue;
        ended.push(ends.length - before);
        at.push(clock.now());
      }
      await drained;
      expect(at[0]).to.be.at.least(Number(stays[0]?.last('drain')?.afterMs));
      expect(ended).to.deep.equal(Array.from({ length: 30 }, () => 2));
      expect(new Set(ends)).to.deep.equal(new Set(['draining']));
    });

    it('ends as soon as all agents have left', async () => {
      const clock = new VirtualClock();
      const plane = await start({ clock });
      const agent = await connect(plane);
      const drained = plane.face.drain();
      await until(() => agent.last('drain'), { what: 'the word to go' });
      agent.halfClose();
      await agent.ended();
      clock.advance(20);
      await drained;
      expect(plane.tally.ends).to.deep.equal(['closed']);
    });

    it('a new stream on an old connection is refused while it stops', async () => {
      const clock = new VirtualClock();
      const plane = await start({ clock });
      const agent = await connect(plane);
      void plane.face.drain();
      await until(() => agent.last('drain'), { what: 'the word to go' });
      const late = await agent.another();
      agents.push(late);
      late.hello({ instance: 'late' });
      expect(await late.ended()).to.include({ code: status.UNAVAILABLE });
      for (let step = 0; step < 20; step++) {
        clock.advance(20);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await agent.ended();
    });

    it('leaves no timer behind', async () => {
      const clock = new VirtualClock();
      const plane = await startPlane({ clock });
      const agent = await connect(plane);
      await plane.put({ name: 'a', to: 'inventory' });
      agent.say({
        message: 'lease',
        lease: { requestId: 'r', release: false, address: 'h:1', protocol: '', version: '', weight: 0 },
      });
      await until(() => agent.last('lease'), { what: 'the lease' });
      const closed = plane.close();
      await until(
        () => {
          clock.advance(20);
          return agent.status;
        },
        { what: 'the end' },
      );
      await closed;
      expect(clock.pendingTimers).to.equal(0);
    });

    it('closing tells every stream why', async () => {
      const plane = await start();
      const agent = await connect(plane);
      await plane.face.close();
      expect((await agent.ended()).details).to.contain('is stopping');
    });
  });

  describe('reflection', () => {
    const list = async (plane: Plane) => {
      const client = new grpc.Client(plane.address, grpc.credentials.createInsecure());
      const call = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        () => Buffer.from([0x3a, 0x00]),
        (bytes: Buffer) => bytes.toString('latin1'),
      );
      const answer = await new Promise<string>((resolve) => {
        call.on('data', resolve);
        call.on('error', (error: grpc.ServiceError) => resolve(String(error.code)));
        call.write({});
      });
      call.cancel();
      client.close();
      return answer;
    };

    it('is there only if asked for', async () => {
      expect(await list(await start({ reflection: true }))).to.contain('switchgear.v1.Agents');
      expect(await list(await start())).to.equal(String(status.UNIMPLEMENTED));
    });
  });
});
