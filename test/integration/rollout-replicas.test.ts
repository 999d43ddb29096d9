/** A staged rollout over two replicas and one Redis: a halt by either holds at both, and at one that starts later. */
import { expect } from 'chai';
import { inRollout } from '../../core/policy/index.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { runCli } from '../support/cli.js';
import { keptLogger } from '../support/logs.js';
import { olderAgents } from '../support/older-agents.js';
import { contractRedis, dropMesh } from '../support/redis.js';
import { type Running, startRest } from '../support/rest.js';
import { until } from '../support/until.js';

const MESH = 'rollout-replicas';
const PERCENT = 50;
const names = Array.from({ length: 16 }, (_, i) => `web-${i}`);
const [in1 = '', in2 = ''] = names.filter((name) => inRollout(PERCENT, 'p', name));
const [out1 = ''] = names.filter((name) => !inRollout(PERCENT, 'p', name));

const said = (timeout: string, percent = 100) => ({
  policy: 'p',
  match: { to: 'inventory' },
  spec: { timeout, circuit: {} },
  ...(percent === 100 ? {} : { rollout: { percent } }),
});

describe('a staged rollout over two replicas', () => {
  let redis: string;
  let replicas: Running[];
  let meshes: Mesh[];
  const start = async (replica: string) => {
    const running = await startRest({ store: redis, mesh: MESH, replica });
    replicas.push(running);
    return running;
  };
  const join = async ({ plane }: Running, instance: string) => {
    const mesh = await connect({
      service: 'checkout',
      instance,
      callees: ['inventory'],
      controlPlane: plane.grpcAddress,
      snapshot: false,
      logger: keptLogger(),
    });
    meshes.push(mesh);
    return mesh;
  };
  const haltAt = ({ get }: Running) =>
    until(async () => (await get('/v1/policies/p/status')).body.rollout?.halted, { what: 'the halt' });
  const put = async ({ put: send }: Running, body: object, query = '') => {
    const answer = await send(`/v1/policies/p${query}`, body);
    return answer.status === 409 ? answer.body.code : answer.body.revision;
  };

  beforeEach(async () => {
    redis = await contractRedis();
    replicas = [];
    meshes = [];
  });
  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await Promise.all(replicas.map((replica) => replica.close()));
    await dropMesh(redis, MESH);
  });

  it('is halted once, for the first reason, at both and at one that comes later', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await put(a, said('1s'));
    const restore = olderAgents('circuit');
    await Promise.all([join(a, in1), join(b, in2)]).finally(restore);
    const revision = await put(a, said('2s', PERCENT));
    const halt = await haltAt(a);
    expect(halt.revision).to.equal(revision);
    expect(halt.reason).to.match(new RegExp(`^checkout/(${in1}|${in2}) refuses it: `));
    for (const replica of [b, await start('c')]) {
      expect(await haltAt(replica)).to.deep.equal(halt);
      expect(await put(replica, said('2s', 60))).to.equal('rollout_halted');
    }
    const { entries } = (await a.get('/v1/audit')).body;
    expect(entries.filter(({ action }: { action: string }) => action === 'halt')).to.have.length(1);
  });

  it('counts the agents of both, and gives one outside the revision before at either', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const before = await put(a, said('1s'));
    const [mine] = await Promise.all([join(a, out1), join(a, in1), join(b, in2)]);
    const revision = await put(b, said('2s', PERCENT));
    const rollout = { percent: PERCENT, reached: 2, total: 3, previous: before };
    for (const { get } of [a, b])
      await until(
        async () => {
          const { body } = await get('/v1/policies/p/status');
          return body.revision === revision && body.rollout.reached === 2 && body;
        },
        { what: 'both agents at both replicas' },
      ).then((body) => expect(body.rollout).to.deep.equal(rollout));
    expect(mine.circuit('inventory').revision).to.equal(before);
    await mine.close();
    expect((await join(await start('c'), out1)).circuit('inventory').revision).to.equal(before);
  });

  it('is let go on by the command line, which also says before whom it would reach', async () => {
    const a = await start('a');
    const before = await put(a, said('1s'));
    const restore = olderAgents('circuit');
    const old = await join(a, in1).finally(restore);
    await put(a, said('2s', PERCENT));
    await haltAt(a);
    await old.close();
    const apply = (...argv: string[]) =>
      runCli(['apply', '-f', '-', '--server', a.url, ...argv], { stdin: JSON.stringify(said('2s', 75)) });
    const refused = await apply();
    expect([refused.code, refused.stderr]).to.satisfy(
      ([code, text]: [number, string]) => code === 5 && text.includes('switchgear apply --resume'),
    );
    const dry = await apply('--resume', '--dry-run');
    expect(dry.stdout).to.contain(
      `  reaches 75 % of the instances: 0 of 0 here; the others keep p@${before}\n`,
    );
    expect((await apply('--resume')).stdout).to.match(/^changed {3}p@\d+\n/);
    const { body } = await a.get('/v1/policies/p/status');
    expect(body.rollout).to.deep.equal({ percent: 75, reached: 0, total: 0, previous: before });
  });
});
