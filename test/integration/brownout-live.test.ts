/**
 * The brownout from end to end: set over REST at one replica, it switches features of agents of both, live, and nobody else's; what
 * an agent of an older release is not told; what stays when the control plane goes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { systemRandom } from '../../core/random.js';
import { type BrownoutEvent, type ConnectOptions, connect, type Mesh } from '../../sdk/index.js';
import { fakeControlPlane } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { contractRedis, dropMesh } from '../support/redis.js';
import { type Running, startRest } from '../support/rest.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('brownout, live', () => {
  let meshes: Mesh[];
  let planes: Running[];
  beforeEach(() => {
    meshes = [];
    planes = [];
  });
  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await Promise.all(planes.map((plane) => plane.close()));
  });

  const start = async (...options: Parameters<typeof startRest>): Promise<Running> => {
    const plane = await startRest(...options);
    planes.push(plane);
    return plane;
  };
  const enter = async (controlPlane: string, options: ConnectOptions = {}): Promise<Mesh> => {
    const mesh = await connect({
      service: 'web',
      controlPlane,
      snapshot: false,
      logger: keptLogger(),
      ...options,
    });
    meshes.push(mesh);
    return mesh;
  };
  const put = async (plane: Running, body: object) => {
    const answer = await plane.put('/v1/brownout', body);
    expect(answer.status, answer.text).to.equal(200);
  };

  it('switches features of the agents of both replicas off and on, without a restart', async () => {
    const redis = await contractRedis();
    const name = `brownout-${systemRandom.hex(4)}`;
    try {
      const [a, b] = [
        await start({ store: redis, mesh: name, replica: 'a' }),
        await start({ store: redis, mesh: name, replica: 'b' }),
      ];
      const [here, there] = [await enter(a.plane.grpcAddress), await enter(b.plane.grpcAddress)];
      const events: BrownoutEvent[] = [];
      there.on('brownout', (event) => events.push(event));
      for (const mesh of [here, there]) expect(mesh.dim('recommendations')).to.equal(true);
      await put(a, { level: 2, reason: 'sale', ttl: '10m', features: { checkout: 4, ads: 1 } });
      await until(() => [here, there].every((mesh) => !mesh.dim('recommendations')), { what: 'both dimmed' });
      for (const mesh of [here, there]) {
        expect([mesh.dim('ads'), mesh.dim('checkout')]).to.deep.equal([false, true]);
        expect(mesh.status().brownout).to.deep.include({
          ...{ level: 2, reason: 'sale', off: ['ads', 'recommendations'] },
        });
        expect(mesh.status().brownout.ttlMs).to.be.within(580_000, 600_000);
      }
      await until(() => events.length > 0, { what: 'the event' });
      expect(events).to.deep.equal([{ level: 2, reason: 'sale' }]);
      const late = await enter(b.plane.grpcAddress);
      await until(() => !late.dim('ads'), { what: 'a newcomer that hears of it' });
      await put(b, { level: 0 });
      await until(() => meshes.every((mesh) => mesh.dim('ads')), { what: 'all undimmed' });
    } finally {
      await Promise.all(meshes.splice(0).map((mesh) => mesh.close()));
      await Promise.all(planes.splice(0).map((plane) => plane.close()));
      await dropMesh(redis, name);
    }
  });

  it('ends at its time in the agents too', async () => {
    const plane = await start();
    const mesh = await enter(plane.plane.grpcAddress);
    await put(plane, { level: 4, reason: 'sale', ttl: '1s' });
    await until(() => !mesh.dim('ads'), { what: 'the level' });
    await until(() => mesh.dim('ads'), { what: 'its end' });
    expect((await plane.get('/v1/brownout')).body).to.include({ level: 0, source: 'none' });
  });

  it('follows rules on circuits as the agents report them', async () => {
    const plane = await start();
    await plane.put('/v1/policies/inventory', {
      match: { to: 'inventory' },
      spec: { circuit: { minimumCalls: 2, openFor: '30s' } },
    });
    const mesh = await enter(plane.plane.grpcAddress, { callees: ['inventory'] });
    const when = { circuit: 'inventory' };
    await put(plane, { rules: [{ level: 3, when, for: '0s', clearAfter: '0s' }] });
    for (let i = 0; i < 2; i++)
      await rejectionOf(mesh.guard('inventory', () => Promise.reject(new Error('down'))));
    await until(() => !mesh.dim('ads'), { what: 'the rule' });
    expect(mesh.status().brownout.reason).to.include('inventory is open at 1 agent');
    await plane.delete('/v1/policies/inventory');
    await until(() => mesh.dim('ads'), { what: 'the end of the rule' });
  });

  it('follows rules on latency, also of calls that agents of another replica report', async () => {
    const redis = await contractRedis();
    const name = `brownout-${systemRandom.hex(4)}`;
    try {
      const [a, b] = [
        await start({ store: redis, mesh: name, replica: 'a' }),
        await start({ store: redis, mesh: name, replica: 'b' }),
      ];
      const [caller, other] = [await enter(a.plane.grpcAddress), await enter(b.plane.grpcAddress)];
      const when = { callee: 'payments', latency: { p50: '50ms' } };
      await put(a, { rules: [{ level: 3, when, for: '0s', clearAfter: '0s' }] });
      await until(async () => (await b.get('/v1/brownout')).body.rules.length === 1, {
        what: 'the rule at b',
      });
      const pay = (count: number, ms: number) =>
        Promise.all(Array.from({ length: count }, () => caller.guard('payments', () => pause(ms))));
      await pay(200, 80);
      await until(() => !caller.dim('ads') && !other.dim('ads'), { what: 'both dimmed' });
      for (const mesh of [caller, other])
        expect(mesh.status().brownout.reason).to.match(
          /^p50 of payments is [\d.]+ ms over \d+ sampled calls \(the rule says 50 ms\)$/,
        );
      await pay(2_000, 1);
      await until(() => caller.dim('ads') && other.dim('ads'), { what: 'both undimmed' });
    } finally {
      await Promise.all(meshes.splice(0).map((mesh) => mesh.close()));
      await Promise.all(planes.splice(0).map((plane) => plane.close()));
      await dropMesh(redis, name);
    }
  });

  for (const scope of ['local', 'cluster'])
    it(`gives a feature back whose only callee it was that made a rule dim it (scope: ${scope})`, async () => {
      const plane = await start();
      const circuit = { minimumCalls: 2, openFor: '500ms', scope };
      await plane.put('/v1/policies/recs', { match: { to: 'recs' }, spec: { circuit } });
      const mesh = await enter(plane.plane.grpcAddress, { callees: ['recs'] });
      const rule = { level: 1, when: { circuit: 'recs' }, for: '0s', clearAfter: '1s' };
      await put(plane, { features: { recs: 1 }, rules: [rule] });
      for (let i = 0; i < 3; i++)
        await rejectionOf(mesh.guard('recs', () => Promise.reject(new Error('down'))));
      await until(() => !mesh.dim('recs'), { what: 'the dimming' });
      // From here on nobody calls, whose feature is off.
      await until(() => mesh.dim('recs'), { what: 'the feature back', timeoutMs: 15_000 });
    });

  it('is told to everybody in the same bytes, right after the welcome, but not to an agent of 1.0', async () => {
    const plane = await start();
    await put(plane, { level: 1, reason: 'sale', features: { ads: 1 } });
    const [young, old] = [
      await RawAgent.connect(plane.plane.grpcAddress, { instance: 'young' }),
      await RawAgent.connect(plane.plane.grpcAddress, { instance: 'old', protocol: { major: 1, minor: 0 } }),
    ];
    await until(() => young.last('brownout') && old.deltas.length > 0, { what: 'the first words' });
    expect(young.heard.map(({ message }) => message).slice(0, 2)).to.deep.equal(['welcome', 'brownout']);
    expect(young.last('brownout')).to.deep.equal({
      ...{ level: 1, ttlMs: 0, reason: 'sale', revision: 1 },
      features: [{ name: 'ads', level: 1 }],
    });
    await put(plane, { level: 2, reason: 'more' });
    await until(() => young.last('brownout')?.level === 2, { what: 'the next word' });
    await plane.put('/v1/policies/a', { match: { to: 'inventory' }, spec: { timeout: '1s' } });
    await until(() => old.held.length === 1, { what: 'a later delta' });
    expect(old.all('brownout')).to.deep.equal([]);
    expect(old.status).to.equal(undefined);
    young.close();
    old.close();
  });

  it('stays while the control plane is away, and over a restart by the snapshot', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchgear-brownout-'));
    try {
      const plane = await start();
      const snapshot = join(folder, 'web.json');
      const first = await enter(plane.plane.grpcAddress, { snapshot });
      await put(plane, { level: 2, reason: 'sale', ttl: '10m', features: { checkout: 4 } });
      await until(() => !first.dim('ads'), { what: 'the level' });
      await plane.close();
      await until(() => !first.status().connected, { what: 'the loss' });
      expect([first.dim('ads'), first.dim('checkout')]).to.deep.equal([false, true]);
      await first.close();
      const second = await enter(plane.plane.grpcAddress, { snapshot });
      expect(second.status()).to.include({ connected: false });
      expect([second.dim('ads'), second.dim('checkout')]).to.deep.equal([false, true]);
      expect(second.status().brownout.ttlMs).to.be.within(500_000, 600_000);
    } finally {
      await Promise.all(meshes.splice(0).map((mesh) => mesh.close()));
      rmSync(folder, { recursive: true });
    }
  });

  it('is lifted by a control plane that has no word for it', async () => {
    const fake = await fakeControlPlane();
    try {
      const joining = enter(fake.address);
      const stream = await fake.stream(0);
      stream.welcome();
      stream.delta();
      stream.say({
        message: 'brownout',
        brownout: { level: 4, features: [], ttlMs: 0, reason: 'sale', revision: 1 },
      });
      const mesh = await joining;
      await until(() => !mesh.dim('ads'), { what: 'the level' });
      fake.onStream = (next) => next.welcome({ protocol: { major: 1, minor: 0 } });
      stream.fail(14, 'gone');
      await until(() => mesh.dim('ads'), { what: 'the end', timeoutMs: 15_000 });
    } finally {
      fake.stop();
    }
  });

  it('wants the name of a feature', async () => {
    const mesh = await enter('127.0.0.1:9');
    for (const feature of [undefined, 7, ''])
      expect(() => mesh.dim(feature as never)).to.throw(/\[invalid_configuration\] dim: the feature is/);
    expect(mesh.dim('anything at all')).to.equal(true);
  });
});
