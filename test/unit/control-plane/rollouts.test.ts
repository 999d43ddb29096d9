/**
 * What halts a staged rollout and what does not, with the clock in our hands: a real mirror over the memory store, agents and
 * circuits as the test tells them.
 */
import { expect } from 'chai';
import { openMirror } from '../../../control-plane/mirror.js';
import type {
  AgentRow,
  CircuitChange,
  Mirror,
  RolloutChange,
  Rollouts,
} from '../../../control-plane/ports.js';
import { compareAfterMs, createRollouts, watchMs } from '../../../control-plane/rollouts.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Store } from '../../../control-plane/store/store.js';
import { MeshError } from '../../../core/errors.js';
import { formatHalts, haltInForce, haltsName } from '../../../core/policy/halts.js';
import { inRollout } from '../../../core/policy/index.js';
import { seededRandom } from '../../../core/random.js';
import { agentRow, circuitRow, FakeRoster } from '../../support/fake-roster.js';
import { keptLogger } from '../../support/logs.js';
import { mirrorView } from '../../support/mirror-view.js';
import { del, policyPut, write } from '../../support/stores.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const names = Array.from({ length: 20 }, (_, i) => `a${i}`);
const inside = names.filter((name) => inRollout(50, 'p', name));
const outside = names.filter((name) => !inside.includes(name));
const [in1 = '', in2 = ''] = inside;
const [out1 = ''] = outside;

const document = (timeout: string, percent: number, match: object = { to: 'inventory' }) =>
  JSON.stringify({ match, policy: 'p', rollout: { percent }, spec: { timeout } });

describe('a staged rollout is halted', () => {
  let clock: VirtualClock;
  let store: Store;
  let mirror: Mirror;
  let roster: FakeRoster;
  let rollouts: Rollouts;
  let logger: ReturnType<typeof keptLogger>;
  let changes: RolloutChange[];
  let failures: number;

  const put = async (timeout: string, percent: number, match?: object) => {
    const { head } = await write(store, {
      ...policyPut('p', 1),
      document: document(timeout, percent, match),
    } as Parameters<typeof write>[1]);
    await until(() => mirror.revision >= head, { what: 'the revision' });
    for (const row of roster.rows) Object.assign(row, { acked: head, sent: head, applied: head });
    return head;
  };
  const join = (instance: string, more: Partial<AgentRow> = {}) => {
    const acked = mirror.revision;
    const row = agentRow('checkout', instance, { callees: ['inventory'], acked, connectedMs: 1000, ...more });
    roster.rows.push(row);
    return row;
  };
  const refuse = (row: AgentRow, revision: number) => {
    Object.assign(row, { refused: [{ policy: 'p', revision, reason: "can't enforce hedge" }] });
    roster.tellAgent(row, 'refused');
  };
  const open = (instance: string, more: Partial<CircuitChange> = {}) => {
    const row = circuitRow(`checkout/${instance}`, 'open', { reason: '5 of 5 calls failed' });
    roster.circuitRows.push(row);
    roster.tellCircuit({ agent: row.agent, before: 'closed', row, ...more });
  };
  const halt = () => haltInForce(mirror.halts.halts, mirror.policy('p'));
  const settle = async () => {
    for (let i = 0; i < 40; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** All that a circuit gets to be compared with has been seen. */
  const compare = async () => {
    await settle();
    clock.advance(compareAfterMs);
    await settle();
  };

  beforeEach(async () => {
    clock = new VirtualClock();
    store = await openStore('memory', { mesh: 'm', replica: 'r1' });
    const real = await openMirror(store, { replica: 'r1' });
    failures = 0;
    mirror = mirrorView(real, () =>
      failures-- > 0 ? { write: () => Promise.reject(new MeshError('store_unavailable', 'away')) } : {},
    );
    roster = new FakeRoster();
    logger = keptLogger();
    rollouts = createRollouts({ mirror, clock, random: seededRandom(1), logger });
    rollouts.observe(roster);
    changes = [];
    rollouts.onChange((change) => changes.push(change));
  });
  afterEach(async () => {
    rollouts.close();
    expect(roster.listeners).to.equal(0);
    await settle();
    expect(clock.pendingTimers).to.equal(0);
    await mirror.close();
    await store.close();
  });

  it('when an agent that has it refuses it: durably, told once, and logged', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    refuse(join(in1), revision);
    const found = await until(halt, { what: 'the halt' });
    expect(found).to.include({ policy: 'p', revision, percent: 50 });
    expect(found.reason).to.equal(`checkout/${in1} refuses it: can't enforce hedge`);
    expect(changes).to.deep.equal([
      { policy: 'p', revision, percent: 50, change: 'halted', reason: found.reason },
    ]);
    expect(logger.of('warn').map(({ message }) => message)).to.deep.equal([
      'a rollout is halted: its percentage is frozen',
    ]);
    const again = await openMirror(store, { replica: 'r2' });
    expect(haltInForce(again.halts.halts, again.policy('p'))).to.deep.equal(found);
    await again.close();
  });

  it('not when one refuses it that it is not for, nor for a refusal of another revision', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    refuse(join(out1), revision);
    refuse(join(in1), revision - 1);
    refuse(join(in2, { callees: ['payments'] }), revision);
    await settle();
    expect(halt()).to.equal(undefined);
  });

  it('not when somebody refuses a policy that is for everybody', async () => {
    refuse(join(in1), await put('1s', 100));
    await settle();
    expect(mirror.halts.halts.size).to.equal(0);
  });

  it('when a circuit opens where it is, and none is open where it is not', async () => {
    await put('1s', 100);
    for (const name of [in1, out1]) join(name);
    await put('2s', 50);
    open(in1);
    await settle();
    expect(halt()).to.equal(undefined);
    await compare();
    expect(halt()?.reason).to.equal(
      `circuit inventory|inventory-default opened at checkout/${in1} (5 of 5 calls failed), and to inventory none is open at an agent without this revision`,
    );
  });

  it('not when the callee is down for the others, too', async () => {
    await put('1s', 100);
    for (const name of [in1, out1]) join(name);
    await put('2s', 50);
    open(in1);
    await settle();
    clock.advance(compareAfterMs / 2);
    open(out1);
    await compare();
    expect(halt()).to.equal(undefined);
    expect(logger.of('info').map(({ message }) => message)).to.deep.equal([
      'a circuit is open under a rollout and without it: the rollout goes on',
    ]);
  });

  it('not by a circuit that was open when its agent connected, or that opens again', async () => {
    await put('1s', 100);
    join(in1);
    await put('2s', 50);
    open(in1, { found: true });
    open(in1, { before: 'half-open' });
    await compare();
    expect(halt()).to.equal(undefined);
  });

  it('not by a circuit of an agent that has not got it yet, or got it long ago', async () => {
    await put('1s', 100);
    const row = join(in1);
    const before = mirror.revision;
    await put('2s', 50);
    Object.assign(row, { acked: before });
    open(in1);
    await compare();
    expect(halt()).to.equal(undefined);
    Object.assign(row, { acked: mirror.revision, connectedMs: 10 * watchMs });
    clock.advance(watchMs);
    open(in1);
    await compare();
    expect(halt()).to.equal(undefined);
    Object.assign(row, { connectedMs: 10 });
    open(in1);
    await compare();
    expect(halt()?.percent).to.equal(50);
  });

  it('not by a circuit to another callee, of another caller, or where it is not', async () => {
    await put('1s', 100);
    for (const name of [in1, in2, out1]) join(name);
    await put('2s', 50, { to: 'payments' });
    open(in1);
    await put('3s', 50, { to: 'inventory', from: 'billing' });
    open(in2);
    open(out1);
    await compare();
    expect(halt()).to.equal(undefined);
  });

  it('once: what else speaks against it changes nothing', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    refuse(join(in1), revision);
    const first = await until(halt, { what: 'the halt' });
    refuse(join(in2), revision);
    await settle();
    expect(halt()).to.deep.equal(first);
    expect(changes).to.have.length(1);
  });

  it('as soon as the store answers again', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    failures = 1e9;
    refuse(join(in1), revision);
    await settle();
    expect(halt()).to.equal(undefined);
    failures = 0;
    clock.advance(1000);
    expect((await until(halt, { what: 'the halt' })).revision).to.equal(revision);
  });

  it('not any more where it is over before the store answers', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    failures = 1e9;
    refuse(join(in1), revision);
    await settle();
    await write(store, del('p'));
    await until(() => !mirror.policy('p'), { what: 'the deletion' });
    failures = 0;
    clock.advance(1000);
    await settle();
    expect(mirror.halts.halts.size).to.equal(0);
  });

  it('not again for what was known when somebody let it go on, but for what is new', async () => {
    await put('1s', 100);
    const revision = await put('2s', 50);
    const row = join(in1);
    refuse(row, revision);
    const found = await until(halt, { what: 'the halt' });
    const resumed = { ...found, resumed: { author: 'ann', at: 9 } };
    const text = formatHalts(mirror.halts.halts, resumed, (name) => mirror.policy(name));
    await write(store, { kind: 'put', name: haltsName, document: text, expected: 'any' });
    await until(() => changes.length === 2, { what: 'the resumption' });
    expect(changes[1]).to.include({ policy: 'p', change: 'resumed', percent: 50 });
    refuse(row, revision);
    await settle();
    expect(halt()).to.equal(undefined);
    const next = await put('2s', 60);
    refuse(row, next);
    expect(await until(halt, { what: 'the second halt' })).to.include({ revision: next, percent: 60 });
  });

  it('at most a hundred openings are looked into at a time', async () => {
    await put('1s', 100);
    await put('2s', 50);
    for (let i = 0; i < 300; i++) if (inRollout(50, 'p', `b${i}`)) join(`b${i}`);
    for (const { instance } of roster.rows) open(instance);
    await settle();
    expect(clock.pendingTimers).to.be.lessThanOrEqual(100);
    rollouts.close();
    expect(clock.pendingTimers).to.equal(0);
  });
});
