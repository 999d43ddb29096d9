/**
 * Whatever replicas do to each other, in any order: stopped and resumed at any point, cut off, with answers lost, with exchanges that
 * arrive late. Epochs only grow, no two records have the same seq, no half-open period has more than K permits, and no agent is told
 * anything that it has to refuse as older from a replica that just heard from the store.
 */
import { expect } from 'chai';
import type { Exchanged } from '../../../../core/coordination/contract.js';
import type { ClusterRecord } from '../../../../core/coordination/model.js';
import { decodeRecord } from '../../../../core/coordination/record-text.js';
import type { Random } from '../../../../core/random.js';
import { CoordinatedFleet, type FakeReplica } from '../../../support/coordinated.js';
import { walks } from '../../../support/property.js';

const K = 3;
const STEPS = 400;

interface Late {
  readonly replica: FakeReplica;
  readonly exchanged: Exchanged;
  readonly askedAt: number;
}

describe('any order of what replicas do', () => {
  walks('draws at most K permits a period, and never goes back', 6, (random) => {
    const fleet = new CoordinatedFleet({ agents: 12, replicas: 3, seed: Math.floor(random.next() * 1e6) });
    const late: Late[] = [];
    for (let i = 0; i < STEPS; i++) {
      if (random.next() < 0.03) fleet.healthy = !fleet.healthy;
      fleet.now += Math.floor(random.next() * 700);
      for (const replica of fleet.replicas) upset(replica, random);
      for (const agent of shuffled(fleet.agents, random)) {
        if (random.next() < 0.02) agent.replica = pick(fleet.replicas, random);
        if (random.next() < 0.6 && agent.second(() => fleet.healthy, fleet.now))
          agent.replica.tick(fleet.now, true, random.next() < 0.2);
      }
      for (const replica of shuffled(fleet.replicas, random)) {
        if (random.next() < 0.7) replica.tick(fleet.now, false, random.next() < 0.2);
        else if (random.next() < 0.3) late.push(asked(replica, fleet));
      }
      const answer = random.next() < 0.3 ? late.shift() : undefined;
      answer?.replica.coordinator.learn(answer.exchanged, fleet.now, answer.askedAt);
      for (const agent of fleet.agents) agent.listen(fleet.now);
    }
    holds(fleet);
    for (const replica of fleet.replicas) Object.assign(replica, { running: true, cutOff: false });
    fleet.healthy = true;
    fleet.until(() => fleet.state === 'closed', 300);
  });
});

function asked(replica: FakeReplica, fleet: CoordinatedFleet): Late {
  const accounts = replica.coordinator.accounts(fleet.now, false);
  return { replica, exchanged: fleet.store.exchange(replica.name, accounts, fleet.now), askedAt: fleet.now };
}

function upset(replica: FakeReplica, random: Random): void {
  if (random.next() < 0.02) replica.running = !replica.running;
  if (random.next() < 0.02) replica.cutOff = !replica.cutOff;
}

function holds({ store, agents }: CoordinatedFleet): void {
  const drawn = new Set<string>();
  for (const id of store.records.keys()) {
    const written = store.written.filter((record) => record.id === id);
    const periods = new Map<number, Set<number>>();
    let before: ClusterRecord | undefined;
    for (const record of written) {
      expect(record.seq, 'seq').to.equal((before?.seq ?? 0) + 1);
      expect(record.epoch, 'epoch').to.be.at.least(before?.epoch ?? 0);
      if (record.state !== (before?.state ?? 'closed'))
        expect(record.epoch, record.state).to.be.greaterThan(before?.epoch ?? 0);
      for (const { permit, agent } of record.permits) {
        const epoch = Math.floor(permit / 256);
        periods.set(epoch, (periods.get(epoch) ?? new Set()).add(permit));
        drawn.add(`${agent} ${permit}`);
      }
      before = record;
    }
    for (const [epoch, permits] of periods)
      expect(permits.size, `permits of ${id} in epoch ${epoch}`).to.be.at.most(K);
    expect(decodeRecord(id, store.records.get(id)?.body ?? '')).to.deep.equal(before);
  }
  for (const { name, used } of agents)
    for (const permit of used) expect(drawn.has(`${name} ${permit}`), `${name} ${permit}`).to.equal(true);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random.next() * items.length)] as T;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
