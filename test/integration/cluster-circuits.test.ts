/**
 * Circuits of the mesh with real agents: what a few of them report opens the circuit of all, probes are counted over the whole mesh,
 * and who starts meanwhile makes no call that fails.
 */
import { expect } from 'chai';
import { ClusterFleet, clusterPolicy } from '../support/cluster-mesh.js';
import { EventReader } from '../support/event-reader.js';
import { type Running, startRest } from '../support/rest.js';
import { until } from '../support/until.js';

describe('circuits of the mesh, live', function () {
  this.timeout(60_000);
  let running: Running;
  let fleet: ClusterFleet;

  beforeEach(async () => {
    running = await startRest();
    fleet = new ClusterFleet();
  });

  afterEach(async () => {
    await fleet.close();
    await running.close();
  });

  const put = async (document: Record<string, unknown>) => {
    const answer = await running.put(`/v1/policies/${document.policy}`, document);
    expect(answer.status, answer.text).to.be.lessThan(300);
  };
  const join = (instance: string) => fleet.join(instance, running.plane.grpcAddress);

  it('open for all, are probed by a few, and close again', async () => {
    await put(clusterPolicy({ minimumCalls: 20 }));
    const events = await EventReader.open(`${running.plane.restUrl}/v1/events`);
    for (const name of ['a', 'b', 'c', 'd']) (await join(name)).load(20);
    const silent = await join('silent');
    // So many that no agent's own circuit opens by itself before the mesh does.
    await until(() => fleet.callee.reached > 240, { what: 'calls that succeed' });

    fleet.callee.failing = true;
    await fleet.all('open');
    expect(silent.reached).to.equal(0);
    const before = fleet.callee.reached;

    // Who starts now has the circuit with its first message.
    const late = await join('late');
    expect(late.state).to.equal('open');
    for (let i = 0; i < 20; i++) await late.call();

    // Nothing but probes gets through, three for each period.
    const changes = () =>
      events.events.filter(({ type }) => type === 'cluster-circuit').map(({ data }) => data);
    const halves = () => changes().filter(({ state }) => state === 'half-open').length;
    await until(() => halves() >= 1, { what: 'a period of probes' });
    await until(() => changes().at(-1)?.before === 'half-open', { what: 'its end' });
    expect(fleet.callee.reached - before).to.be.within(1, 3 * halves());
    expect(late.failed).to.be.at.most(3 * halves());

    fleet.callee.failing = false;
    await fleet.all('closed', 'all closed again', 30_000);
    const path = changes().map(({ before: former, state }) => `${former}>${state}`);
    expect(path.slice(0, 2)).to.deep.equal(['closed>open', 'open>half-open']);
    expect(path.slice(-3)).to.deep.equal(['half-open>ramping', 'ramping>ramping', 'ramping>closed']);
    const opened = changes().find(({ state }) => state === 'open');
    expect(opened).to.include({
      id: 'inventory|inventory-default',
      policy: 'inventory-default',
      shadow: false,
    });
    expect(opened.reason).to.be.a('string').and.not.equal('');
  });
});
