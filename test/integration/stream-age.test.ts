/**
 * Two replicas over one store, and agents of the SDK's own kind: one replica restarts, and has its share of the agents again within a
 * bounded number of steps, without one of them ever being disconnected for it.
 */
import { expect } from 'chai';
import type { AgeOptions } from '../../control-plane/grpc/age.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { freePort } from '../support/redis.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { until } from '../support/until.js';

const AGENTS = 20;
/** Real streams, and impatient: in production it is ten seconds and twenty. */
const impatient: AgeOptions<object> | object = { settleMs: 2000, stayMs: 1000 };

describe('a replica that restarts', function () {
  this.timeout(60_000);
  let store: Store;
  let planes: Plane[];
  let meshes: Mesh[];

  beforeEach(async () => {
    store = await openStore('memory', { mesh: 'test', replica: 'both' });
    planes = [];
    meshes = [];
  });

  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await Promise.all(planes.map((plane) => plane.close()));
    await store.close();
  });

  const begin = async (replica: string, port: number, ageMs: number): Promise<Plane> => {
    const plane = await startPlane({
      ...{ replica, store, listen: `127.0.0.1:${port}` },
      age: { ageMs, ...impatient },
    });
    planes.push(plane);
    return plane;
  };

  const agents = (addresses: readonly string[]) =>
    Promise.all(
      Array.from({ length: AGENTS }, async (_, i) => {
        const controlPlane = addresses.join(',');
        const mesh = await connect({ service: 'checkout', controlPlane, instance: `i${i}`, snapshot: false });
        meshes.push(mesh);
        return mesh;
      }),
    );

  const restart = async (ageMs: number) => {
    const [a, b] = [await freePort(), await freePort()];
    const first = await begin('a', a, ageMs);
    const second = await begin('b', b, ageMs);
    const all = await agents([first.address, second.address]);
    await second.close();
    planes.splice(planes.indexOf(second), 1);
    await until(
      () => all.every((mesh) => mesh.status().connected) && first.face.roster.connected === AGENTS,
      {
        what: 'all agents at the one that is left',
      },
    );
    let lost = 0;
    for (const mesh of all)
      mesh.on('connection', ({ connected }) => {
        if (!connected) lost++;
      });
    return { first, second: await begin('b', b, ageMs), lost: () => lost };
  };

  it('gets its share of the agents back, each of them moved once at most', async () => {
    const { first, second, lost } = await restart(1_800_000);
    await until(() => second.face.roster.connected >= 8 && first.face.roster.connected <= 12, {
      what: 'a fair share at both',
      timeoutMs: 30_000,
    });
    expect(first.tally.sentElsewhereFor.filter((why) => why === 'share')).to.have.length.within(8, 12);
    expect(second.tally.sentElsewhereFor).to.deep.equal([]);
    expect(lost()).to.equal(0);
  });

  it('gets nobody where the connection age is 0', async () => {
    const { first, second } = await restart(0);
    // It would have begun: the other has read of it, and more than the time to settle is over.
    await until(async () => (await second.face.roster.agents()).length === AGENTS, { what: 'its summary' });
    const beats = performance.now() + 4000;
    await until(() => performance.now() >= beats, { what: 'four beats' });
    expect(first.tally.sentElsewhereFor).to.deep.equal([]);
    expect(second.face.roster.connected).to.equal(0);
  });
});
