/**
 * Replicas around one store: a circuit that opens, probes, ramps and closes, whoever of them is there to see to it.
 */
import { expect } from 'chai';
import { inventory } from '../../../support/cluster-records.js';
import { CoordinatedFleet } from '../../../support/coordinated.js';
import { circuitSpec } from '../../../support/specs.js';

/** A fleet whose callee died a moment ago, with its circuit open. */
function opened(options: ConstructorParameters<typeof CoordinatedFleet>[0] = {}): CoordinatedFleet {
  const fleet = new CoordinatedFleet(options);
  fleet.seconds(5);
  fleet.healthy = false;
  fleet.until(() => fleet.state === 'open', 3);
  return fleet;
}

/** Ten agents call each of four instances twenty times a second, but for those that are out; `sick` ones fail. */
function withEndpoints(fleet: CoordinatedFleet) {
  const endpoints = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80', '10.0.0.4:80'];
  const governed = fleet.mesh.governed.get(inventory);
  if (!governed) throw new Error('there is one');
  fleet.mesh.governed.set(inventory, { ...governed, endpoints });
  const sick = new Set<string>();
  const [replica] = fleet.replicas;
  const second = () => {
    fleet.now += 1_000;
    const out = replica?.coordinator.ejected('inventory', fleet.now) ?? new Set();
    for (let i = 0; i < 10; i++)
      for (const endpoint of endpoints.filter((each) => !out.has(each))) {
        const counts = { calls: 20, failed: sick.has(endpoint) ? 20 : 0, slow: 0, blocked: 0 };
        replica?.coordinator.heard(
          inventory,
          { agent: `checkout/${i}`, zone: '', endpoint, ...counts },
          fleet.now,
        );
      }
    for (const each of fleet.replicas) each.tick(fleet.now);
  };
  return { endpoints, sick, second };
}

function transitions(fleet: CoordinatedFleet): string[] {
  const states: string[] = [];
  let epoch = 0;
  for (const record of fleet.store.written) {
    if (record.epoch !== epoch) states.push(record.state);
    epoch = record.epoch;
  }
  return states;
}

describe('a fleet of replicas and agents', () => {
  it('writes nothing while all is well', () => {
    const fleet = new CoordinatedFleet();
    fleet.seconds(30);
    expect(fleet.store.written).to.deep.equal([]);
  });

  it('goes from closed through open, half-open and the whole ramp to closed', () => {
    const fleet = opened();
    expect(fleet.record?.reason).to.match(/failed/);
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'closed', 60);
    expect(transitions(fleet)).to.deep.equal([
      'open',
      'half-open',
      'ramping',
      'ramping',
      'ramping',
      'ramping',
      'closed',
    ]);
    const before = fleet.store.written.length;
    fleet.seconds(30);
    expect(fleet.store.written).to.have.length(before);
  });

  it('lets no call through while open, and K probes for each half-open period', () => {
    const fleet = opened();
    fleet.second();
    const wasted = fleet.agents.reduce((sum, agent) => sum + agent.wasted, 0);
    fleet.seconds(120);
    expect(fleet.agents.reduce((sum, agent) => sum + agent.wasted, 0)).to.equal(wasted);
    const epochs = fleet.store.written.filter(({ state }) => state === 'half-open').map(({ epoch }) => epoch);
    const used = fleet.agents.flatMap((agent) => [...agent.used]);
    expect(new Set(used).size).to.equal(used.length);
    for (const epoch of new Set(epochs))
      expect(used.filter((permit) => Math.floor(permit / 256) === epoch).length).to.be.at.most(3);
  });

  it('waits twice as long each time that the probes fail', () => {
    const fleet = opened();
    fleet.seconds(90);
    const opens = fleet.store.written.filter((each) => each.state === 'open' && each.ageMs === 0);
    expect(opens.map(({ openings }) => openings).slice(0, 4)).to.deep.equal([1, 2, 3, 4]);
    for (const { openings, openMs } of opens)
      expect(openMs / Math.min(60_000, 5_000 * 2 ** (openings - 1))).to.be.within(0.8, 1.2);
  });

  it('opens again from the ramp for twice as long', () => {
    const fleet = opened({ callsPerSecond: 40 });
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'ramping' && (fleet.record?.step ?? 0) >= 1, 30);
    fleet.healthy = false;
    fleet.until(() => fleet.state === 'open', 3);
    expect(fleet.record?.openings).to.equal(2);
    expect(fleet.record?.reason).to.match(/calls failed at (25|50|100) % of the calls/);
  });

  it('closes when all reporters die while open, half-open or ramping', () => {
    for (const state of ['open', 'half-open', 'ramping']) {
      const fleet = opened();
      fleet.healthy = state === 'ramping';
      fleet.until(() => fleet.state === state, 40);
      for (const agent of fleet.agents) agent.calling = false;
      const took = fleet.until(() => fleet.state === 'closed', 20);
      if (state !== 'ramping') expect(took, state).to.be.within(10, 13);
    }
  });

  it('closes by itself where the replica that decides dies, in each state', () => {
    for (const state of ['open', 'half-open', 'ramping'])
      for (const killed of [0, 1]) {
        const fleet = opened();
        fleet.healthy = true;
        if (state !== 'open') fleet.until(() => fleet.state === state, 30);
        const [dead, left] = killed === 0 ? fleet.replicas : [...fleet.replicas].reverse();
        if (!dead || !left) throw new Error('two replicas');
        dead.running = false;
        // Nobody has noticed yet: `left` still takes it for alive.
        for (const agent of fleet.agents) agent.replica = left;
        fleet.until(() => fleet.state === 'closed', 60);
      }
  });

  it('takes nothing from a replica that slept for a minute, in each state', () => {
    for (const state of ['open', 'half-open', 'ramping']) {
      const fleet = opened();
      fleet.healthy = state !== 'open';
      if (state !== 'open') fleet.until(() => fleet.state === state, 30);
      const [sleeper, other] = fleet.replicas;
      if (!sleeper || !other) throw new Error('two replicas');
      // An answer of the store lies in its socket while it sleeps.
      const accounts = sleeper.coordinator.accounts(fleet.now, false);
      const stale = fleet.store.exchange(sleeper.name, accounts, fleet.now);
      sleeper.running = false;
      const moved = fleet.agents.filter((agent) => agent.replica === sleeper);
      for (const agent of moved) agent.replica = other;
      fleet.seconds(60);
      sleeper.running = true;
      const told = () =>
        moved.flatMap((agent) =>
          sleeper.coordinator.directives(
            agent.name,
            'checkout',
            agent.zone,
            new Set(['inventory']),
            fleet.now,
          ),
        );
      expect(told(), `${state}: before anything`).to.deep.equal([]);
      sleeper.coordinator.learn(stale, fleet.now);
      expect(told(), `${state}: with an answer from before`).to.deep.equal([]);
      const seq = fleet.record?.seq ?? 0;
      for (const write of sleeper.coordinator.decide(fleet.now, false)) {
        const present = fleet.store.put(write);
        expect(present, `${state}: a write by what it knew`).not.to.equal(undefined);
        sleeper.coordinator.wrote(write, present, fleet.now);
      }
      expect(fleet.record?.seq).to.equal(seq);
      fleet.healthy = true;
      for (const agent of moved) agent.replica = sleeper;
      fleet.until(() => fleet.state === 'closed', 120);
    }
  });

  it('says nothing and decides nothing without the store; agents let lapse what they were told', () => {
    const fleet = opened();
    fleet.second();
    for (const replica of fleet.replicas) replica.cutOff = true;
    const before = fleet.store.written.length;
    fleet.seconds(30);
    expect(fleet.store.written).to.have.length(before);
    for (const agent of fleet.agents) expect(agent.held).to.equal(undefined);
    for (const replica of fleet.replicas) replica.cutOff = false;
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'closed', 60);
  });

  it('tells an agent that has just come of what is open', () => {
    const fleet = opened();
    const [replica] = fleet.replicas;
    const told = replica?.coordinator.directives('orders/1', 'orders', '', new Set(['inventory']), fleet.now);
    expect(told?.map(({ circuit, state }) => [circuit, state])).to.deep.equal([[inventory, 'open']]);
    expect(replica?.coordinator.directives('o/1', 'o', '', new Set(['payments']), fleet.now)).to.deep.equal(
      [],
    );
  });

  it('gives the permits of an agent that has left to nobody, at any replica: who comes back may be another process', () => {
    const fleet = opened();
    // Too late in the second for anybody to use them.
    for (const agent of fleet.agents) agent.listen = () => {};
    fleet.until(() => fleet.state === 'half-open', 30);
    const [permit] = fleet.record?.permits ?? [];
    const holder = permit?.agent ?? '';
    const offered = () =>
      fleet.replicas.flatMap(({ coordinator }) =>
        coordinator
          .directives(holder, 'checkout', '', new Set(['inventory']), fleet.now)
          .flatMap(({ permits }) => permits),
      );
    expect(offered()).to.include(permit?.permit);
    const [replica] = fleet.replicas;
    replica?.coordinator.left(holder);
    for (const each of fleet.replicas) each.tick(fleet.now, true);
    for (const each of fleet.replicas) each.tick(fleet.now);
    const left = fleet.record?.permits.filter(({ agent }) => agent === holder) ?? [];
    expect(new Set(left.map(({ outcome }) => outcome))).to.deep.equal(new Set(['lost']));
    expect(offered()).to.deep.equal([]);
  });

  it('counts instances that are out already before it takes out more', () => {
    const fleet = new CoordinatedFleet();
    const { endpoints, sick, second } = withEndpoints(fleet);
    second();
    for (const endpoint of endpoints.slice(0, 2)) sick.add(endpoint);
    second();
    expect(fleet.record?.ejections.map(({ endpoint }) => endpoint)).to.have.members(endpoints.slice(0, 2));
    // A third: half of them are out, so what is left is the service, and its circuit opens.
    sick.add(endpoints[2] as string);
    for (let i = 0; i < 3; i++) second();
    expect(fleet.state).to.equal('open');
  });

  it('tells of an instance each time that it is taken out, also of the same one', () => {
    const fleet = new CoordinatedFleet();
    const { endpoints, sick, second } = withEndpoints(fleet);
    const [first = ''] = endpoints;
    second();
    sick.add(first);
    for (let i = 0; i < 12; i++) second();
    expect(fleet.record?.state).to.equal('closed');
    expect(fleet.record?.ejections.map(({ times }) => times)).to.deep.equal([2]);
    for (const { transitions: seen } of fleet.replicas)
      expect(seen.map(({ after }) => after.ejections[0]?.times)).to.deep.equal([1, 2]);
  });

  it('reports each transition once for each replica', () => {
    const fleet = opened();
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'closed', 60);
    fleet.second();
    for (const { transitions: seen } of fleet.replicas) {
      const epochs = seen.map(({ after }) => after.epoch);
      expect(epochs).to.deep.equal([...new Set(epochs)]);
      expect(epochs.at(-1)).to.equal(fleet.record?.epoch);
    }
  });

  it('in shadow decides, shows, and tells nobody', () => {
    const fleet = new CoordinatedFleet({ shadow: true });
    fleet.seconds(5);
    fleet.healthy = false;
    fleet.until(() => fleet.state === 'open', 3);
    for (const agent of fleet.agents) expect(agent.held).to.equal(undefined);
    const [view] = fleet.replicas[0]?.coordinator.views(fleet.now) ?? [];
    expect(view).to.include({ shadow: true });
    expect(view?.record.state).to.equal('open');
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'closed', 60);
  });

  it('opens nothing while frozen, and forgets a circuit that no policy makes one of the mesh', () => {
    const fleet = new CoordinatedFleet();
    fleet.mesh.frozen = 'kill switch, by ada';
    fleet.healthy = false;
    fleet.seconds(10);
    expect(fleet.state).to.equal('closed');
    fleet.mesh.frozen = '';
    fleet.until(() => fleet.state === 'open', 3);
    const governed = fleet.mesh.governed.get(inventory);
    if (governed) fleet.mesh.governed.set(inventory, { ...governed, spec: circuitSpec({ scope: 'local' }) });
    fleet.seconds(11);
    for (const { coordinator } of fleet.replicas) expect(coordinator.views(fleet.now)).to.deep.equal([]);
    for (const agent of fleet.agents) expect(agent.held).to.equal(undefined);
  });
});

describe('an override', () => {
  const forced = { reason: 'maintenance', author: 'ada', revision: 3, endsAt: Number.POSITIVE_INFINITY };

  it('opens a circuit that has never been heard of, until it is lifted', () => {
    const fleet = new CoordinatedFleet({ agents: 3 });
    fleet.mesh.overrides.set(inventory, { ...forced, state: 'open' });
    fleet.seconds(2);
    for (const agent of fleet.agents) expect(agent.held?.directive.state).to.equal('forced-open');
    fleet.seconds(60);
    for (const agent of fleet.agents) expect(agent.held?.directive.state).to.equal('forced-open');
    fleet.mesh.overrides.clear();
    fleet.seconds(2);
    for (const agent of fleet.agents) expect(agent.held?.directive.state).to.equal('closed');
  });

  it('that closes silences what the mesh says, until it runs out', () => {
    const fleet = opened();
    const endsAt = fleet.now + 20_000;
    fleet.mesh.overrides.set(inventory, { ...forced, state: 'closed', endsAt });
    fleet.seconds(2);
    for (const agent of fleet.agents) expect(agent.held?.directive.state).to.equal('forced-closed');
    fleet.seconds(20);
    fleet.until(() => fleet.agents.every(({ held }) => held?.directive.state !== 'forced-closed'), 3);
  });
});
