/**
 * Invariants of what agents say of circuits of the mesh: stale reports (boot, seq) are fenced, counts beyond the declared concurrency
 * are discarded, a slow agent costs bounded memory and delays nobody while directives flow, and any bytes in a report, in what a probe
 * came to or in an override are answered and survived. Agents made of nothing but the wire, at a control plane in this process.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { loadWire } from '../../proto/load.js';
import type { Report } from '../../proto/messages.js';
import { clusterPolicy } from '../support/cluster-mesh.js';
import { property } from '../support/property.js';
import { type Running, startRest } from '../support/rest.js';
import { frame, sendFrames } from '../support/stream/hostile.js';
import { helloOf, RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

const circuit = 'inventory|inventory-default';
const capabilities = ['timeout', 'circuit', 'circuit.cluster'];

describe('reports of circuits of the mesh', function () {
  this.timeout(30_000);
  let running: Running;
  const agents: RawAgent[] = [];

  before(async () => {
    running = await startRest();
  });
  after(() => running.close());
  beforeEach(async () => {
    const answer = await running.put('/v1/policies/inventory-default', clusterPolicy({ openFor: '1m' }));
    expect(answer.status, answer.text).to.be.lessThan(300);
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    // With its policy the circuit goes, and with the next one it begins anew.
    await running.delete('/v1/policies/inventory-default');
    await until(async () => (await running.get('/v1/agents')).body.agents.length === 0, {
      what: 'the streams to go',
    });
  });

  const join = async (instance: string, hello: object = {}, options: object = {}) => {
    const said = { instance, capabilities, concurrency: 10_000, ...hello };
    const agent = await RawAgent.connect(running.plane.grpcAddress, said, options);
    agents.push(agent);
    return agent;
  };
  const say = (agent: RawAgent, seq: number, cell: object = {}, report: Partial<Report> = {}) => {
    const counts = { ok: 0, failed: 0, slow: 0, rejected: 0, blocked: 0, ...cell };
    const cells = [{ callee: 'inventory', method: '', endpoint: '', latency: new Uint8Array(0), ...counts }];
    const message = { seq, elapsedMs: 1_000, cells, probes: [], circuits: [], rates: [], ...report };
    agent.say({ message: 'report', report: message });
  };
  const cluster = async () => (await running.get(`/v1/circuits/${circuit}`)).body?.cluster;
  const calls = async () => (await cluster())?.window?.calls ?? 0;
  const state = async () => (await cluster())?.state ?? 'closed';
  const told = (agent: RawAgent) =>
    agent.all('directives').flatMap(({ directives }) => directives.map((each) => each.state));
  /** Three agents to whom every call fails. */
  const open = async () => {
    for (const name of ['x', 'y', 'z']) say(await join(name), 1, { failed: 10 });
    await until(async () => (await state()) === 'open', { what: 'an open circuit' });
  };

  it('that are stale are fenced: by their number, and by the boot of their process', async () => {
    const agent = await join('a', { boot: 2 });
    say(agent, 5, { ok: 7 });
    say(agent, 5, { failed: 1_000 });
    say(agent, 4, { failed: 1_000 });
    const older = await join('a', { boot: 1 });
    say(older, 9, { failed: 1_000 });
    expect((await older.ended()).details).to.contain('newer');
    say(agent, 6, { ok: 1 });
    await until(async () => (await calls()) === 8, { what: 'what is in order, and nothing else' });
    const newer = await join('a', { boot: 3 });
    await agent.ended();
    say(agent, 7, { failed: 1_000 });
    say(newer, 1, { ok: 2 });
    await until(async () => (await calls()) === 10, { what: 'the newer process alone' });
    expect((await cluster()).window).to.include({ failed: 0, agents: 1 });
  });

  it('with counts beyond the declared concurrency are discarded, and cannot open a circuit', async () => {
    const liars = await Promise.all(['a', 'b', 'c', 'd'].map((name) => join(name, { concurrency: 1 })));
    for (const liar of liars) say(liar, 1, { failed: 1_000_000 });
    for (const liar of liars) say(liar, 2, { ok: 1, slow: 2 });
    const honest = await join('e', { concurrency: 1 });
    say(honest, 1, { ok: 3 });
    await until(async () => (await calls()) === 3, { what: 'the honest one' });
    expect((await cluster()).window).to.include({ failed: 0, agents: 1 });
    expect(await state()).to.equal('closed');
  });

  it('of what a probe came to, by whoever has no permit for it, decide nothing', async () => {
    await open();
    const before = await cluster();
    const forger = await join('forger');
    const forged = Array.from({ length: 1_000 }, (_, i) => ({ circuit, permit: i, ok: true }));
    say(forger, 1, { blocked: 1 }, { probes: forged });
    say(forger, 2, { blocked: 1 }, { probes: [{ circuit: 'no|such', permit: 2 ** 40, ok: false }] });
    await until(async () => (await cluster())?.window?.blocked === 2, { what: 'its report' });
    expect(await cluster()).to.include({ state: 'open', epoch: before.epoch });
  });

  it('a slow agent costs one push and delays nobody, while directives flow', async () => {
    const slow = await join('slow', {}, { silent: true });
    const quick = await join('quick');
    await until(() => slow.deltas.length > 0 && quick.deltas.length > 0, { what: 'the first deltas' });
    await open();
    await until(() => told(quick).includes('open'), { what: 'the directive' });
    for (let edit = 1; edit <= 20; edit++)
      await running.put('/v1/policies/other', { ...clusterPolicy({}, 'other'), priority: edit });
    const path = `/v1/circuits/${encodeURIComponent(circuit)}/override`;
    expect((await running.put(path, { state: 'closed', reason: 'a test' })).status).to.equal(200);
    await until(() => told(quick).includes('forced-closed'), { what: 'what the operator said' });
    expect((await running.delete(path)).status).to.equal(200);
    // Directives have a lane of their own: the slow one, which never acknowledged its first delta, hears them as well.
    await until(() => told(slow).includes('forced-closed'), { what: 'the slow one to hear it' });
    expect(slow.deltas).to.have.length(1);
    expect(quick.deltas.length).to.be.greaterThan(1);
  });

  const odd = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 1, 2 ** 32 - 1));
  const text = fc.oneof(fc.constantFrom('inventory', '*', '', circuit), fc.string({ maxLength: 300 }));
  const hostile = fc.record({
    seq: odd,
    elapsedMs: odd,
    cells: fc.array(
      fc.record({
        ...{ callee: text, method: text, endpoint: text },
        ...{ ok: odd, failed: odd, slow: odd, rejected: odd, blocked: odd },
        latency: fc.uint8Array({ maxLength: 50 }),
      }),
      { maxLength: 5 },
    ),
    probes: fc.array(fc.record({ circuit: text, permit: odd, ok: fc.boolean() }), { maxLength: 5 }),
    circuits: fc.constant([]),
    rates: fc.array(fc.record({ id: text, asked: odd }), { maxLength: 3 }),
  });

  property(
    'of any content are taken or refused with INVALID_ARGUMENT, and others are served',
    fc.array(hostile, { minLength: 1, maxLength: 20 }),
    async (reports) => {
      // Silent, since an acknowledgement behind its own end would be a fault of the test's.
      const boot = Math.round(performance.now() * 1_000);
      const agent = await join('hostile', { boot }, { silent: true });
      for (const report of reports) agent.say({ message: 'report', report });
      agent.halfClose();
      expect((await agent.ended()).code).to.be.oneOf([0, 3]);
      expect((await running.get('/healthz')).status).to.equal(200);
    },
    20,
  );

  property(
    'of bytes that are broken anywhere end their stream with a status',
    fc.tuple(hostile, fc.nat(), fc.integer({ min: 1, max: 255 })),
    async ([report, at, flip]) => {
      const { session } = await loadWire();
      const serialize = session.requestSerialize;
      const hello = serialize({ message: 'hello', hello: helloOf({ instance: 'broken', capabilities }) });
      const bytes = Buffer.from(serialize({ message: 'report', report: { ...report, seq: 1 } }));
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ flip;
      const garbage = frame(Buffer.from([0xff, 0xff]));
      const { code } = await sendFrames(
        running.plane.grpcAddress,
        Buffer.concat([frame(hello), frame(bytes), garbage]),
      );
      expect(code).to.be.oneOf([3, 14]);
      expect((await running.get('/healthz')).status).to.equal(200);
    },
    40,
  );

  property(
    'and overrides of any content are answered with a clear 4xx',
    fc.tuple(fc.jsonValue(), fc.string({ maxLength: 40 })),
    async ([body, id]) => {
      for (const path of [
        `/v1/circuits/${encodeURIComponent(circuit)}/override`,
        `/v1/circuits/${encodeURIComponent(id)}/override`,
      ]) {
        const answer = await running.put(path, JSON.stringify(body), { 'content-type': 'application/json' });
        expect(answer.status, `${path} ${answer.text}`).to.be.within(400, 499);
        expect(answer.body.code, answer.text).to.be.a('string');
      }
    },
    60,
  );
});
