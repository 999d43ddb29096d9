/**
 * Invariants of one agent, whatever its control plane says or doesn't: what is older is never applied, what is invalid displaces
 * nothing, a control plane that is gone for ten minutes is not missed, and clocks may jump. Real agents on a virtual clock, over a
 * real stream to a control plane that says what the test wants.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { Agent, guard, parseAddresses } from '../../agent/index.js';
import { seededRandom } from '../../core/random.js';
import type { Directive } from '../../proto/messages.js';
import {
  type FakeControlPlane,
  type FakeStream,
  fakeControlPlane,
  wirePolicy,
} from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const MINUTE_MS = 60_000;
const TTL_MS = 10_000;

describe('an agent', () => {
  let plane: FakeControlPlane;
  let clock: VirtualClock;
  let directory: string;
  const agents: Agent[] = [];

  beforeEach(async () => {
    plane = await fakeControlPlane();
    clock = new VirtualClock(1_000);
    directory = mkdtempSync(join(tmpdir(), 'switchgear-survives-'));
  });

  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.close()));
    plane.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function started(instance = '1'): Promise<Agent> {
    const agent = new Agent({
      service: 'checkout',
      instance,
      zone: '',
      version: '',
      callees: ['inventory'],
      addresses: parseAddresses(plane.address, 'address'),
      credentials: { credentials: grpc.credentials.createInsecure() },
      token: undefined,
      snapshot: join(directory, 'snapshot.json'),
      clock,
      random: seededRandom(1),
      logger: keptLogger(),
    });
    agents.push(agent);
    await agent.start();
    return agent;
  }

  async function welcomed(agent: Agent): Promise<FakeStream> {
    const stream = await plane.stream(0);
    stream.welcome();
    stream.delta({ revision: 5, upserts: [wirePolicy('inventory-default', 5, circuit(11))] });
    await until(() => agent.status().revision === 5, { what: 'revision 5' });
    return stream;
  }

  const circuit = (minimumCalls: number, scope = 'local') => ({
    match: { to: 'inventory' },
    spec: { circuit: { minimumCalls, scope, openFor: '1m' } },
  });
  const inForce = (agent: Agent) => agent.targets.get('inventory').effective.circuit?.value.minimumCalls;
  const heardAll = (stream: FakeStream, acks: number) =>
    until(() => stream.of('ack').length >= acks, { what: `${acks} acknowledgements` });
  const open = (fields: Partial<Directive> = {}): { directives: readonly Directive[] } => ({
    directives: [
      {
        circuit: 'inventory|inventory-default',
        state: 'open',
        circuitEpoch: 7,
        seq: 1,
        admitPercent: 100,
        permits: [],
        ttlMs: TTL_MS,
        reason: 'dead for everybody',
        ...fields,
      },
    ],
  });

  it('never applies a lower revision of the same dataset', async () => {
    const agent = await started();
    const stream = await welcomed(agent);
    stream.delta({ revision: 3, upserts: [wirePolicy('inventory-default', 3, circuit(99))] });
    stream.delta({
      revision: 6,
      complete: false,
      upserts: [wirePolicy('inventory-default', 4, circuit(98))],
    });
    await heardAll(stream, 3);
    expect(inForce(agent)).to.equal(11);
    expect(agent.status().revision).to.be.at.least(5);
  });

  it('keeps the last good policy when an invalid one comes', async () => {
    const agent = await started();
    const stream = await welcomed(agent);
    const broken = { match: { to: 'inventory' }, spec: { circuit: { minimumCalls: -1 } } };
    stream.delta({ revision: 6, complete: false, upserts: [wirePolicy('inventory-default', 6, broken)] });
    await heardAll(stream, 2);
    expect(inForce(agent)).to.equal(11);
    expect(agent.status().refused.map(({ policy, revision }) => `${policy}@${revision}`)).to.deep.equal([
      'inventory-default@6',
    ]);
  });

  it('does without its control plane for ten minutes: traffic unaffected, directives lapse, a restart starts from the snapshot', async () => {
    const agent = await started();
    const stream = await welcomed(agent);
    stream.delta({
      revision: 6,
      complete: false,
      upserts: [wirePolicy('inventory-default', 6, circuit(12, 'cluster'))],
    });
    stream.say({ message: 'directives', directives: open() });
    await until(() => agent.targets.circuit('inventory').state === 'open', { what: 'the directive' });
    plane.stop();
    await until(() => !agent.status().connected, { what: 'the end of the stream' });
    const refused = await guard(agent.targets, 'inventory', async () => 1).catch((error: Error) => error);
    expect(refused).to.have.property('code', 'circuit_open');
    clock.advance(TTL_MS + 1);
    expect(agent.targets.circuit('inventory').state).to.equal('closed');
    let served = 0;
    for (let second = 0; second < 600; second++) {
      clock.advance(1_000);
      served += await guard(agent.targets, 'inventory', async () => 1);
    }
    expect(served).to.equal(600);
    expect(inForce(agent)).to.equal(12);
    await agent.close();
    const again = await started();
    expect(inForce(again)).to.equal(12);
    expect(again.status()).to.include({ stale: true, connected: false });
    expect(await guard(again.targets, 'inventory', async () => 2)).to.equal(2);
  });

  it('is not moved by clocks that jump', async () => {
    const agent = await started();
    const stream = await welcomed(agent);
    stream.delta({ revision: 6, complete: false, upserts: [wirePolicy('inventory-default', 6, circuit(1))] });
    await until(() => inForce(agent) === 1, { what: 'the policy' });
    await guard(agent.targets, 'inventory', () => Promise.reject(new Error('once'))).catch(() => {});
    const before = agent.targets.circuit('inventory');
    expect(before.state).to.equal('open');
    for (const jumpMs of [24 * 60 * MINUTE_MS, -48 * 60 * MINUTE_MS, 1_000 * 24 * 60 * MINUTE_MS]) {
      clock.wallOffset += jumpMs;
      clock.advance(1);
      const now = agent.targets.circuit('inventory');
      expect(now.state).to.equal('open');
      expect(now.epoch).to.equal(before.epoch);
      expect(before.retryAfterMs - now.retryAfterMs).to.be.within(0, 5);
      expect(agent.status().connected).to.equal(true);
    }
    stream.say({ message: 'directives', directives: open({ ttlMs: 2 * MINUTE_MS }) });
    await until(() => JSON.stringify(agent.targets.circuits()).includes('dead for everybody'), {
      what: 'the directive',
    });
    clock.wallOffset += 24 * 60 * MINUTE_MS;
    clock.advance(MINUTE_MS * 1.5);
    expect(agent.targets.circuit('inventory').state, 'a quarter of its time is left').to.equal('open');
  });
});
