/**
 * A staged rollout with the real control plane and real agents: who has the new revision and who has not, over restarts of both;
 * what halts it, what a halt forbids, and how it goes on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as pathOf } from 'node:path';
import { expect } from 'chai';
import { compareAfterMs } from '../../control-plane/rollouts.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { inRollout } from '../../core/policy/index.js';
import { type ConnectOptions, connect, type Mesh } from '../../sdk/index.js';
import { runCli } from '../support/cli.js';
import { EventReader } from '../support/event-reader.js';
import { keptLogger } from '../support/logs.js';
import { olderAgents } from '../support/older-agents.js';
import { type Running, startRest } from '../support/rest.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

const POLICY = 'inventory-default';
const PERCENT = 40;
const names = Array.from({ length: 12 }, (_, i) => `web-${i}`);
const inside = names.filter((name) => inRollout(PERCENT, POLICY, name));
const outside = names.filter((name) => !inside.includes(name));
const [in1 = '', in2 = ''] = inside;
const [out1 = '', out2 = ''] = outside;

/** What a policy says here is how many failures open its circuit. */
const said = (minimumCalls: number, percent = 100, fields: object = {}) => ({
  policy: POLICY,
  match: { to: 'inventory' },
  spec: { circuit: { minimumCalls, openFor: '1m' } },
  ...(percent === 100 ? {} : { rollout: { percent } }),
  ...fields,
});

/** The time after which circuits are compared is over at once. */
const hasty: Clock = {
  now: () => systemClock.now(),
  wallNow: () => systemClock.wallNow(),
  after: (ms, fn, options) => systemClock.after(ms === compareAfterMs ? 1500 : ms, fn, options),
  every: (ms, fn, options) => systemClock.every(ms, fn, options),
};

describe('a staged rollout', () => {
  let folder: string;
  let running: Running;
  let meshes: Mesh[];

  const start = async (grpc = '127.0.0.1:0') => {
    running = await startRest({ store: `embedded:${folder}`, clock: hasty, grpc });
  };
  beforeEach(async () => {
    folder = mkdtempSync(pathOf(tmpdir(), 'switchgear-rollout-'));
    meshes = [];
    await start();
  });
  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    await running.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const join = async (instance: string, options: ConnectOptions = {}) => {
    const mesh = await connect({
      service: 'checkout',
      instance,
      callees: ['inventory'],
      controlPlane: running.plane.grpcAddress,
      snapshot: false,
      logger: keptLogger(),
      ...options,
    });
    meshes.push(mesh);
    return mesh;
  };
  const leave = async (mesh: Mesh) => {
    await mesh.close();
    meshes.splice(meshes.indexOf(mesh), 1);
  };
  const put = async (document: object, query = '') => {
    const answer = await running.put(`/v1/policies/${POLICY}${query}`, document);
    expect(answer.status, answer.text).to.be.lessThan(300);
    return answer.body.revision as number;
  };
  const status = async () => (await running.get(`/v1/policies/${POLICY}/status`)).body;
  const has = (mesh: Mesh) => mesh.circuit('inventory').revision;
  /** All have been told, and each holds what is its own. */
  const told = (revision: number) =>
    until(
      async () => {
        const { agents, revision: present } = await status();
        return present === revision && agents.pending === 0;
      },
      { what: `revision ${revision} at everybody` },
    );
  const halted = () => until(async () => (await status()).rollout?.halted, { what: 'the halt' });
  const trip = async (mesh: Mesh) => {
    for (let i = 0; i < 2; i++)
      await mesh.guard('inventory', () => Promise.reject(new Error('down'))).catch(() => {});
  };

  it('reaches those whom the hash picks; the others keep the revision before; and it grows', async () => {
    const before = await put(said(9));
    const fleet = await Promise.all(names.map((name) => join(name)));
    const revision = await put(said(2, PERCENT));
    await told(revision);
    for (const mesh of fleet)
      expect(has(mesh), mesh.instance).to.equal(inside.includes(mesh.instance) ? revision : before);
    expect(await status()).to.deep.include({
      rollout: { percent: PERCENT, reached: inside.length, total: names.length, previous: before },
      agents: { total: names.length, applied: inside.length, pending: 0, refused: [] },
    });
    const more = await put(said(2, 80));
    await told(more);
    for (const mesh of fleet) {
      const reached = inRollout(80, POLICY, mesh.instance);
      expect(has(mesh), mesh.instance).to.equal(reached ? more : before);
      if (inside.includes(mesh.instance)) expect(reached).to.equal(true);
    }
    const all = await put(said(2));
    await told(all);
    expect(fleet.map(has)).to.deep.equal(names.map(() => all));
    expect(await status()).to.not.have.property('rollout');
  });

  it('gives an agent outside that starts anew the revision before, also after a restart of the control plane', async () => {
    const before = await put(said(9));
    const revision = await put(said(2, PERCENT));
    for (const round of ['a new agent', 'a new control plane']) {
      const [mine, other] = await Promise.all([join(out1), join(in1)]);
      expect([has(mine), has(other)], round).to.deep.equal([before, revision]);
      await Promise.all([leave(mine), leave(other)]);
      await running.close();
      await start();
    }
  });

  it('survives a restart of its agents without a control plane, from their snapshots', async () => {
    const before = await put(said(9));
    const revision = await put(said(2, PERCENT));
    for (const [name, holds] of [
      [out1, before],
      [in1, revision],
    ] as const) {
      const snapshot = { snapshot: pathOf(folder, `${name}.json`) };
      await leave(await join(name, snapshot));
      const offline = await join(name, { ...snapshot, controlPlane: '127.0.0.1:9' });
      expect(has(offline), name).to.equal(holds);
      await leave(offline);
    }
  });

  it('of a new policy leaves the others without any', async () => {
    const revision = await put(said(2, PERCENT));
    const [mine, other] = await Promise.all([join(out1), join(in1)]);
    expect(mine.circuit('inventory').state).to.equal('disabled');
    expect(has(other)).to.equal(revision);
    // That it has it the control plane knows by its acknowledgement.
    await until(async () => ((await status()).rollout as { reached: number }).reached === 1, {
      what: 'the one that has it',
    });
    expect((await status()).rollout).to.include({ total: 2, previous: null });
  });

  it('keeps the policy of the others alive where the new revision is for another callee', async () => {
    const before = await put(said(9));
    const [mine, other] = await Promise.all([join(out1), join(in1)]);
    await told(await put(said(9, PERCENT, { match: { to: 'payments' } })));
    expect(has(mine)).to.equal(before);
    expect(other.circuit('inventory').state).to.equal('disabled');
    expect(has(await join(out2))).to.equal(before);
  });

  it('is told before it is written: how many it would reach, and what the others keep', async () => {
    const before = await put(said(9));
    await Promise.all([join(out1), join(in1), join(in2)]);
    const { body } = await running.put(`/v1/policies/${POLICY}?dryRun=true`, said(2, PERCENT));
    expect(body.rollout).to.deep.equal({ percent: PERCENT, reached: 2, total: 3, previous: before });
    expect(body.refusedBy).to.deep.equal([]);
    const revision = await put(said(2, PERCENT));
    await told(revision);
    const { notes } = (await running.get('/v1/explain?to=inventory&from=checkout')).body;
    expect(notes.map(({ message }: { message: string }) => message)).to.include(
      `${POLICY}@${revision} reaches ${PERCENT} % of the instances: 2 of 3 here; the others keep ${POLICY}@${before}`,
    );
    for (const [name, reached] of [
      [in1, true],
      [out1, false],
    ] as const)
      expect((await running.get(`/v1/agents/checkout/${name}`)).body.rollouts).to.deep.equal([
        { policy: POLICY, revision, percent: PERCENT, reached, previous: before },
      ]);
  });

  it('halts when an agent in it refuses it, and stays halted over a restart', async () => {
    await put(said(9));
    const restore = olderAgents('rollout');
    await join(in1).finally(restore);
    const events = await EventReader.open(`${running.url}/v1/events?types=rollout`);
    const revision = await put(said(2, PERCENT));
    const halt = await halted();
    expect(halt).to.include({ revision });
    expect(halt.reason).to.match(new RegExp(`^checkout/${in1} refuses it: .*rollout`));
    const { data } = await events.next('rollout');
    expect(data).to.include({ policy: POLICY, revision, change: 'halted', percent: PERCENT });
    events.close();
    await running.close();
    await start();
    expect((await status()).rollout.halted).to.deep.equal(halt);
  });

  it('does not halt when an agent refuses it that it is not for', async () => {
    await put(said(9));
    const older = { agent: `checkout/${out1}`, service: 'checkout', instance: out1, callees: ['inventory'] };
    const agent = await RawAgent.connect(running.plane.grpcAddress, older);
    await put(said(2, PERCENT));
    await until(async () => (await status()).agents.refused.length === 1, { what: 'the refusal' });
    expect(agent.held).to.deep.equal([`${POLICY}@1`]);
    expect((await status()).rollout).to.not.have.property('halted');
    agent.close();
  });

  it('halts when a circuit opens where it is and nowhere else; what grows it is refused until it is let go on', async () => {
    await put(said(9));
    const [mine, other, third] = await Promise.all([join(in1), join(out1), join(in2)]);
    const revision = await put(said(2, PERCENT));
    await told(revision);
    await Promise.all([mine, other].map(trip));
    expect(mine.circuit('inventory').state).to.equal('open');
    expect(other.circuit('inventory').state).to.equal('closed');
    const { reason } = await halted();
    expect(reason).to.match(new RegExp(`^circuit inventory\\|${POLICY} opened at checkout/${in1} `));
    expect(has(third)).to.equal(revision);

    for (const dryRun of ['', '?dryRun=true']) {
      const refused = await running.put(`/v1/policies/${POLICY}${dryRun}`, said(2, 90));
      expect(refused.status).to.equal(409);
      expect(refused.body.code).to.equal('rollout_halted');
      expect(refused.body.detail).to.match(/halted at 40 %: circuit .* resume=true/);
    }
    const applied = await running.post('/v1/apply', [said(2)]);
    expect(applied.status).to.equal(409);
    expect((await status()).revision).to.equal(revision);

    const less = await put(said(2, 10));
    expect((await status()).rollout.halted.reason).to.equal(reason);
    const shown = await runCli(['status', POLICY, '--server', running.url]);
    expect(shown.stdout).to.match(
      /reaches 10 % of the instances: \d of 3 here; the others keep inventory-default@1\n/,
    );
    expect(shown.stdout).to.match(/\nhalted at 10 % since \d{4}-.*: circuit inventory/);
    expect((await runCli(['status', '--server', running.url])).stdout).to.match(
      new RegExp(`${POLICY}@${less} +10 % +${POLICY}@1 +circuit inventory`),
    );

    const on = await put(said(2, 90), '?resume=true');
    expect((await status()).rollout).to.include({ percent: 90 });
    expect((await status()).rollout).to.not.have.property('halted');
    expect(on).to.be.greaterThan(less);
    await put(said(2, 95));
  });

  it('is another rollout, and may go as far as it likes, once the policy says something else', async () => {
    await put(said(9));
    const restore = olderAgents('rollout');
    const old = await join(in1).finally(restore);
    await put(said(2, PERCENT));
    await halted();
    await leave(old);
    await put(said(3, 90));
    expect((await status()).rollout).to.include({ percent: 90, previous: 1 });
    expect((await status()).rollout).to.not.have.property('halted');
  });
});
