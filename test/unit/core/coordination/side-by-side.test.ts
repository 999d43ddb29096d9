/**
 * Circuits of the mesh beside each other (by method, by caller, by zone, and one that is hardly called), and a coordinator by itself:
 * what it calls urgent, and what it survives.
 */
import { expect } from 'chai';
import { Coordinator } from '../../../../core/coordination/coordinator.js';
import { inventory, source } from '../../../support/cluster-records.js';
import { CoordinatedFleet } from '../../../support/coordinated.js';
import { circuitSpec } from '../../../support/specs.js';

describe('circuits of the mesh side by side', () => {
  const bad = { calls: 30, failed: 30, slow: 0, blocked: 0, endpoint: '', zone: '' };

  it('are separate, one per service and one per method of the same callee', () => {
    const fleet = new CoordinatedFleet({ agents: 0, replicas: 1 });
    const perMethod = 'inventory|writes|shop.v1.Inventory/Reserve';
    const governed = fleet.mesh.governed.get(inventory);
    if (!governed) throw new Error('governed');
    fleet.mesh.governed.set(perMethod, { ...governed, source: { policy: 'writes', revision: 8 } });
    const [replica] = fleet.replicas;
    for (let agent = 0; agent < 5; agent++) {
      replica?.coordinator.heard(perMethod, { ...bad, agent: `checkout/${agent}` }, fleet.now);
      replica?.coordinator.heard(inventory, { ...bad, failed: 0, agent: `checkout/${agent}` }, fleet.now);
    }
    fleet.second();
    expect([...fleet.store.records.keys()]).to.deep.equal([perMethod]);
    const told = replica?.coordinator.directives(
      'checkout/1',
      'checkout',
      '',
      new Set(['inventory']),
      fleet.now,
    );
    expect(told?.map(({ circuit }) => circuit)).to.deep.equal([perMethod]);
  });

  it('are told only to the callers that their policy is for', () => {
    const fleet = new CoordinatedFleet({ agents: 5, replicas: 1 });
    const governed = fleet.mesh.governed.get(inventory);
    if (governed) fleet.mesh.governed.set(inventory, { ...governed, from: 'checkout' });
    fleet.healthy = false;
    fleet.until(() => fleet.state === 'open', 3);
    const told = (service: string) =>
      fleet.replicas[0]?.coordinator.directives(
        `${service}/1`,
        service,
        '',
        new Set(['inventory']),
        fleet.now,
      );
    expect(told('checkout')).to.have.length(1);
    expect(told('orders')).to.deep.equal([]);
  });

  it('of one zone open for its agents alone', () => {
    const fleet = new CoordinatedFleet({ agents: 20, replicas: 2, callsPerSecond: 20 });
    fleet.seconds(3);
    for (let i = 0; i < 4; i++) {
      fleet.now += 1_000;
      for (const agent of fleet.agents)
        if (agent.second(() => agent.zone !== 'a', fleet.now)) agent.replica.tick(fleet.now, true);
      for (const replica of fleet.replicas) replica.tick(fleet.now);
      for (const agent of fleet.agents) agent.listen(fleet.now);
    }
    expect([...fleet.store.records.keys()]).to.deep.equal([`${inventory}@a`]);
    for (const { zone, held } of fleet.agents)
      expect(held?.directive.state, zone).to.equal(zone === 'a' ? 'open' : undefined);
    fleet.until(() => fleet.store.written.at(-1)?.state === 'closed', 60);
    expect(fleet.store.records.size).to.equal(1);
  });

  it('called once a minute opens and closes again', () => {
    const cluster = {
      windowMs: 60_000,
      quorum: 0.2,
      minReporters: 1,
      ramp: [0.05, 0.25, 0.5, 1],
      rampStepMs: 2_000,
    };
    const fleet = new CoordinatedFleet({ agents: 0, replicas: 2, spec: { minimumCalls: 1, cluster } });
    const [replica] = fleet.replicas;
    const report = (failed: number) => {
      const heard = { ...bad, agent: 'billing/1', calls: 1, failed };
      if (replica?.coordinator.heard(inventory, heard, fleet.now)) replica.tick(fleet.now, true);
    };
    for (let round = 0; round < 3; round++) {
      report(1);
      expect(fleet.state).to.equal('open');
      fleet.until(() => fleet.state === 'closed', 15);
      fleet.seconds(45);
    }
    report(0);
    fleet.seconds(60);
    expect(fleet.state).to.equal('closed');
  });
});

describe('a coordinator', () => {
  const options = {
    replica: 'r0',
    random: { next: () => 0.5 },
    override: () => undefined,
    frozen: () => '',
    governed: () => ({
      spec: circuitSpec({ scope: 'cluster' }),
      source,
      callee: 'inventory',
      from: undefined,
      endpoints: [],
    }),
  };
  const report = { agent: 'checkout/1', zone: '', endpoint: '', slow: 0, blocked: 0 };

  it('calls a report urgent when an agent turns bad, not while it is', () => {
    const coordinator = new Coordinator(options);
    const heard = (failed: number, now: number) =>
      coordinator.heard(inventory, { ...report, calls: 2, failed }, now);
    expect(heard(0, 0)).to.equal(false);
    expect(heard(2, 1_000)).to.equal(true);
    expect(heard(2, 2_000)).to.equal(false);
    expect(heard(0, 3_000)).to.equal(false);
    expect(heard(0, 4_000)).to.equal(false);
    expect(heard(2, 5_000)).to.equal(true);
  });

  it('calls no single failure urgent in a large fleet that is well, and calls it urgent once many fail', () => {
    const coordinator = new Coordinator(options);
    const heard = (agent: number, failed: number, now: number) =>
      coordinator.heard(inventory, { ...report, agent: `checkout/${agent}`, calls: 1, failed }, now);
    for (let agent = 0; agent < 500; agent++) heard(agent, 0, 1_000);
    expect(heard(500, 1, 1_000)).to.equal(false);
    const urgent = Array.from({ length: 400 }, (_, i) => heard(i, 1, 1_001 + i));
    expect(urgent.indexOf(true)).to.be.within(100, 250);
  });

  it('calls it urgent when all fail in the same millisecond, a moment after somebody alone did', () => {
    for (const agents of [3, 10, 100, 1_000]) {
      const coordinator = new Coordinator(options);
      const heard = (agent: number, failed: number, now: number) =>
        coordinator.heard(inventory, { ...report, agent: `checkout/${agent}`, calls: 8, failed }, now);
      for (let agent = 0; agent < agents; agent++) heard(agent, 0, 1_000);
      heard(agents, 8, 1_100);
      const urgent = Array.from({ length: agents }, (_, i) => heard(i, 8, 1_101));
      expect(urgent.indexOf(true), `${agents} agents`).to.be.within(0, Math.ceil(agents * 0.75));
    }
  });

  it('is in a hurry when its own agents fail, however well those of many other replicas were a second ago', () => {
    const accounts = Array.from({ length: 19 }, (_, i) => {
      const other = new Coordinator({ ...options, replica: `other-${i}` });
      for (let agent = 0; agent < 50; agent++)
        other.heard(inventory, { ...report, agent: `other/${i}-${agent}`, calls: 1, failed: 0 }, 1_000);
      return {
        circuit: inventory,
        replica: `other-${i}`,
        body: other.accounts(1_000, false).get(inventory) ?? '',
      };
    });
    const coordinator = new Coordinator(options);
    const heard = (agent: number, failed: number, now: number) =>
      coordinator.heard(inventory, { ...report, agent: `checkout/${agent}`, calls: 1, failed }, now);
    for (let agent = 0; agent < 50; agent++) heard(agent, 0, 1_000);
    coordinator.learn({ accounts, records: [] }, 1_010);
    const urgent = Array.from({ length: 50 }, (_, i) => heard(i, 1, 1_020 + 5 * i));
    expect(urgent.indexOf(true)).to.be.within(5, 30);
  });

  it('survives reports that are none', () => {
    const coordinator = new Coordinator(options);
    const bad = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300];
    for (const value of bad)
      for (const field of ['calls', 'failed', 'slow', 'blocked'])
        coordinator.heard(inventory, { ...report, calls: 1, failed: 0, [field]: value }, 0);
    for (const name of ['', '\n', 'x'.repeat(1e6)])
      coordinator.heard(
        inventory,
        { ...report, agent: name, zone: name, endpoint: name, calls: 1, failed: 1 },
        0,
      );
    coordinator.probed(inventory, 'checkout/1', Number.NaN, true, 0);
    coordinator.accounts(0, false);
    coordinator.decide(0, false);
    expect(coordinator.views(0)).to.have.length(1);
  });

  it('survives what the store may hold, and writes over it', () => {
    const coordinator = new Coordinator(options);
    const accounts = ['', '[', '[1,2,3,[]]\nx', 'null\nnull', `[1,0,0,[["z",-1]]]\n{}`].map((body, i) => ({
      circuit: inventory,
      replica: `r${i + 1}`,
      body,
    }));
    const records = [{ circuit: inventory, seq: 12, body: 'not ours' }];
    expect(coordinator.learn({ accounts, records }, 0)).to.deep.equal([]);
    for (let agent = 0; agent < 5; agent++)
      coordinator.heard(inventory, { ...report, agent: `checkout/${agent}`, calls: 30, failed: 30 }, 100);
    const [write] = coordinator.decide(100, true);
    expect(write).to.include({ circuit: inventory, expected: 12, seq: 13 });
    expect(JSON.parse(write?.body ?? '').epoch).to.equal(13);
  });

  it('takes up no more than 10,000 circuits', () => {
    const coordinator = new Coordinator(options);
    for (let i = 0; i < 10_100; i++)
      coordinator.heard(`c${i}|default`, { ...report, calls: 1, failed: 0 }, 0);
    expect(coordinator.accounts(0, false).size).to.equal(10_000);
    expect(coordinator.heard('late|default', { ...report, calls: 1, failed: 1 }, 0)).to.equal(false);
  });
});
