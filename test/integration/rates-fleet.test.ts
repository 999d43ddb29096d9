/** A fleet under one limit of the whole mesh, over real sockets: from its first second on it keeps to it. */
import { expect } from 'chai';
import { parsePolicy } from '../../core/policy/parse.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { keptLogger } from '../support/logs.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { until } from '../support/until.js';

const AGENTS = 8;
const LIMIT = 80;
const SECOND_MS = 1000;

describe('a fleet under a limit of the whole mesh', function () {
  this.timeout(60_000);
  let plane: Plane;
  let meshes: Mesh[];

  beforeEach(async () => {
    plane = await startPlane();
    meshes = [];
    const rateLimit = { rate: LIMIT, burst: LIMIT, scope: 'cluster' };
    const parsed = parsePolicy({ policy: 'limit', match: { to: 'inventory' }, spec: { rateLimit } });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    const { document } = parsed.policy;
    const operations = [{ kind: 'put', name: 'limit', document, expected: 'any' }] as const;
    await plane.mirror.write({ requestId: 'limit', author: 'test', action: 'put', operations });
  });
  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await plane.close();
  });

  const join = async (index: number) => {
    const mesh = await connect({
      service: 'shop',
      instance: `i${index}`,
      callees: ['inventory'],
      controlPlane: plane.address,
      snapshot: false,
      logger: keptLogger(),
    });
    meshes.push(mesh);
    return mesh;
  };
  /** Calls through every mesh for so long, as fast as the loop turns; answers when those that were admitted came. */
  const call = async (forMs: number, fleet: readonly Mesh[]): Promise<number[]> => {
    const admitted: number[] = [];
    const began = performance.now();
    await until(
      async () => {
        const now = () => performance.now() - began;
        for (const mesh of fleet)
          for (let i = 0; i < 20; i++)
            await mesh.guard('inventory', async () => void admitted.push(now())).catch(() => {});
        return now() >= forMs;
      },
      { what: 'the time to pass', timeoutMs: forMs + 30_000 },
    );
    return admitted;
  };
  const worst = (admitted: readonly number[]) =>
    Math.max(...admitted.map((from) => admitted.filter((at) => at >= from && at < from + SECOND_MS).length));

  it('that starts all at once admits no more than the limit and an interval of it in any second, and then the limit', async () => {
    const fleet = await Promise.all(Array.from({ length: AGENTS }, (_, i) => join(i)));
    const admitted = await call(5 * SECOND_MS, fleet);
    expect(worst(admitted)).to.be.at.most(2 * LIMIT);
    const later = admitted.filter((at) => at >= 3 * SECOND_MS && at < 5 * SECOND_MS);
    expect(later.length).to.be.within(LIMIT, 3 * LIMIT);
  });

  it('that is called for the first time when it has been there for a while admits no more either', async () => {
    const fleet = await Promise.all(Array.from({ length: AGENTS }, (_, i) => join(i)));
    const first = await call(SECOND_MS, fleet.slice(0, 1));
    expect(first.length).to.be.at.most(2 * LIMIT);
    const admitted = await call(SECOND_MS, fleet.slice(1));
    expect(worst(admitted)).to.be.at.most(2 * LIMIT);
  });
});
