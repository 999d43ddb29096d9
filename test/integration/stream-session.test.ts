/** From Hello to the end of a stream, over real sockets, with agents that behave and agents that don't. */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { brownoutName } from '../../core/brownout/setting.js';
import { LatencyHistogram } from '../../core/resilience/latency.js';
import { type AgentMessage, protocolVersion } from '../../proto/messages.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { helloOf, RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

describe('stream: a session', () => {
  let plane: Plane;
  let clock: VirtualClock;
  const agents: RawAgent[] = [];
  const connect = async (
    ...args: Parameters<typeof RawAgent.connect> extends [string, ...infer R] ? R : never
  ) => {
    const agent = await RawAgent.connect(plane.address, ...args);
    agents.push(agent);
    return agent;
  };
  const open = async () => {
    const agent = await RawAgent.open(plane.address);
    agents.push(agent);
    return agent;
  };
  const alive = async () =>
    expect((await connect({ instance: 'alive' })).last('welcome')).to.include({ mesh: 'test' });

  beforeEach(async () => {
    clock = new VirtualClock();
    plane = await startPlane({ clock });
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
    await plane.close();
  });

  it('welcomes with mesh, dataset, replica and intervals, then sends the complete state', async () => {
    await plane.put(
      { name: 'all', to: '*' },
      { name: 'inventory', to: 'inventory' },
      { name: 'other', to: 'payments' },
    );
    const agent = await connect();
    await until(() => agent.deltas.length === 1, { what: 'the first delta' });
    expect(agent.last('welcome')).to.deep.equal({
      mesh: 'test',
      dataset: plane.mirror.dataset,
      protocol: protocolVersion,
      replica: 'r1',
      intervals: { heartbeatMs: 15_000, reportMs: 1000, urgentReportMs: 100 },
      error: '',
    });
    expect(agent.deltas[0]).to.include({ complete: true, revision: 3, nonce: 3 });
    expect(agent.held).to.deep.equal(['all@1', 'inventory@2']);
  });

  it('tells the roster what was sent, acknowledged and applied', async () => {
    const revision = await plane.put({ name: 'all', to: '*' });
    await connect();
    const row = await until(
      async () => {
        const [first] = await plane.face.roster.agents();
        return first?.applied === revision ? first : undefined;
      },
      { what: 'the acknowledgement' },
    );
    expect(row).to.include({
      agent: 'checkout/i1',
      sent: 1,
      acked: 1,
      applied: 1,
      replica: 'r1',
      protocol: '1.2',
    });
    expect(row.callees).to.deep.equal(['inventory']);
    expect(await plane.face.roster.concerned({ to: 'inventory' })).to.deep.equal(['checkout/i1']);
    expect(await plane.face.roster.concerned({ to: 'inventory', from: 'cart' })).to.deep.equal([]);
  });

  const firsts: AgentMessage[] = [
    { message: 'ack', ack: { nonce: 1, applied: [], rejected: [] } },
    { message: 'subscribe', subscribe: { callees: ['a'] } },
    { message: 'heartbeat', heartbeat: {} },
  ];
  for (const first of firsts) {
    it(`ends a stream whose first message is ${first.message} with INVALID_ARGUMENT`, async () => {
      const agent = await open();
      agent.say(first);
      const ended = await agent.ended();
      expect(ended.code).to.equal(status.INVALID_ARGUMENT);
      expect(ended.details).to.equal(
        `[invalid_request] ${first.message} came before hello: Hello has to be the first message`,
      );
      await alive();
    });
  }

  it('ends a stream on which Hello comes twice', async () => {
    const agent = await connect();
    agent.hello();
    const ended = await agent.ended();
    expect(ended.code).to.equal(status.INVALID_ARGUMENT);
    expect(ended.details).to.contain('hello came twice');
    await alive();
  });

  it('ends a stream on which no Hello came within ten seconds', async () => {
    const agent = await open();
    await until(() => plane.face.roster.connected === 1, { what: 'the stream' });
    clock.advance(9_500);
    expect(agent.status).to.equal(undefined);
    clock.advance(1_500);
    const ended = await agent.ended();
    expect(ended.code).to.equal(status.INVALID_ARGUMENT);
    expect(ended.details).to.contain('no Hello came within 10 s');
    expect(plane.tally.ends).to.deep.equal(['no_hello']);
  });

  const wrong = [
    ['service', helloOf({ service: 'no blanks' }), 'hello.service "no blanks"'],
    ['instance', helloOf({ instance: 'a/b' }), 'hello.instance "a/b"'],
    [
      'agent',
      helloOf({ agent: 'payments/i1' }),
      'hello.agent "payments/i1": it has to be <service>/<instance>',
    ],
    ['an empty service', helloOf({ service: '' }), 'hello.service has to be a name'],
    ['a boot beyond 2^53', helloOf({ boot: 2 ** 60 }), 'hello.boot has to be a whole number'],
    [
      'too many callees',
      helloOf({ callees: Array.from({ length: 1001 }, (_, i) => `c${i}`) }),
      'hello.callees has 1001 items',
    ],
    [
      'a hash too long',
      helloOf({ hashes: [{ name: 'a', hash: 'x'.repeat(65), revision: 1 }] }),
      'hello.hashes[0].hash has to be',
    ],
  ] as const;
  for (const [what, hello, text] of wrong) {
    it(`refuses a Hello with ${what}, naming the field`, async () => {
      const agent = await open();
      agent.say({ message: 'hello', hello });
      const ended = await agent.ended();
      expect(ended.code).to.equal(status.INVALID_ARGUMENT);
      expect(ended.details).to.contain(text);
      await alive();
    });
  }

  it('refuses another major version of the protocol, and says which it speaks', async () => {
    const agent = await connect({ protocol: { major: 2, minor: 0 } });
    const ended = await agent.ended();
    expect(ended.code).to.equal(status.FAILED_PRECONDITION);
    expect(ended.details).to.contain('speaks protocol 2.0, this control plane 1.2');
  });

  it('understands a minor version apart', async () => {
    expect((await connect({ protocol: { major: 1, minor: 1 } })).last('welcome')).to.include({
      mesh: 'test',
    });
  });

  it('ignores and counts an Ack for nothing', async () => {
    const agent = await connect();
    await until(() => plane.tally.acks === 1, { what: 'the first acknowledgement' });
    agent.ack(4711);
    await until(() => plane.tally.ignoredThings.includes('ack'), { what: 'the stray acknowledgement' });
    expect(agent.status).to.equal(undefined);
    await plane.put({ name: 'all', to: '*' });
    await until(() => agent.held.length === 1, { what: 'the next delta' });
  });

  it('leaves out and counts a report for a circuit that nobody has, and takes the rest', async () => {
    await plane.put({ name: 'p', to: 'inventory' });
    const agent = await connect();
    const circuit = {
      callee: 'inventory',
      method: '',
      state: 'open',
      epoch: 3,
      retryAfterMs: 10,
      reason: 'why',
      revision: 1,
    };
    const circuits = [
      { ...circuit, id: 'inventory|ghost', policy: 'ghost' },
      { ...circuit, id: 'something else', policy: 'p' },
      { ...circuit, id: 'inventory|p', policy: 'p' },
    ];
    const told: string[] = [];
    plane.face.roster.on('circuit', ({ before, row }) => told.push(`${row.id} ${before} ${row.state}`));
    agent.say({
      message: 'report',
      report: { seq: 1, elapsedMs: 1000, cells: [], probes: [], circuits, rates: [] },
    });
    const rows = await until(
      async () => {
        const all = await plane.face.roster.circuits();
        return all.length > 0 ? all : undefined;
      },
      { what: 'the circuit' },
    );
    expect(rows.map(({ id, agent: by, state }) => [id, by, state])).to.deep.equal([
      ['inventory|p', 'checkout/i1', 'open'],
    ]);
    expect(told).to.deep.equal(['inventory|p closed open']);
    expect(plane.tally.ignoredThings).to.deep.equal(['circuit', 'circuit']);
    await plane.remove('p');
    expect(await plane.face.roster.circuits()).to.deep.equal([]);
  });

  it('takes a report once: one that is out of order has no effect', async () => {
    const agent = await connect();
    const cell = {
      callee: 'inventory',
      method: '',
      endpoint: '',
      ok: 8,
      failed: 2,
      slow: 3,
      rejected: 1,
      blocked: 0,
      latency: new Uint8Array(),
    };
    const report = (seq: number) =>
      agent.say({
        message: 'report',
        report: { seq, elapsedMs: 1000, cells: [cell], probes: [], circuits: [], rates: [] },
      });
    report(7);
    report(7);
    report(6);
    await until(() => plane.tally.ignoredThings.length === 2, { what: 'the reports' });
    expect(plane.tally.ignoredThings).to.deep.equal(['report', 'report']);
    expect(plane.face.roster.health('inventory')).to.deep.equal({
      calls: 10,
      failed: 2,
      slow: 3,
      rejected: 1,
    });
    clock.advance(11_000);
    expect(plane.face.roster.health('inventory')).to.deep.equal({
      calls: 0,
      failed: 0,
      slow: 0,
      rejected: 0,
    });
  });

  it('counts a latency that is no histogram, and takes the rest of the report', async () => {
    const rules = [{ level: 1, when: { callee: 'inventory', latency: { p99: '1s' } } }];
    await plane.mirror.write({
      requestId: 'rules',
      author: 'ada',
      action: 'brownout',
      operations: [{ kind: 'put', name: brownoutName, document: JSON.stringify({ rules }), expected: 'any' }],
    });
    const agent = await connect();
    const seen = new LatencyHistogram();
    seen.record(40, 16);
    const counts = { ok: 8, failed: 2, slow: 3, rejected: 1, blocked: 0 };
    const cells = [Uint8Array.of(1, 2, 3), seen.encode()].map((latency) => ({
      ...{ callee: 'inventory', method: '', endpoint: '', latency },
      ...counts,
    }));
    agent.say({
      message: 'report',
      report: { seq: 1, elapsedMs: 1000, cells, probes: [], circuits: [], rates: [] },
    });
    await until(() => plane.tally.ignoredThings.length > 0, { what: 'the report' });
    expect(plane.tally.ignoredThings).to.deep.equal(['latency']);
    expect(plane.face.roster.health('inventory').calls).to.equal(20);
    expect(plane.face.roster.latency('inventory')).to.include({ samples: 1, count: 16 });
  });

  it('says something every fifteen seconds, and ends a stream that is silent for three of them', async () => {
    const agent = await connect();
    await until(() => plane.tally.acks === 1, { what: 'the first acknowledgement' });
    clock.advance(16_000);
    await until(() => agent.all('heartbeat').length === 1, { what: 'a heartbeat' });
    agent.say({ message: 'heartbeat', heartbeat: {} });
    agent.ack(99);
    await until(() => plane.tally.ignoredThings.length === 1, { what: 'the heartbeat to arrive' });
    clock.advance(44_000);
    await until(() => agent.all('heartbeat').length === 2, { what: 'another heartbeat' });
    expect(agent.status).to.equal(undefined);
    clock.advance(2_000);
    const ended = await agent.ended();
    expect(ended.code).to.equal(status.UNAVAILABLE);
    expect(ended.details).to.contain('nothing was heard for 45 s');
    expect(plane.tally.ends).to.deep.equal(['silent']);
  });

  it('ends well when the agent does', async () => {
    const agent = await connect();
    agent.halfClose();
    expect((await agent.ended()).code).to.equal(status.OK);
    await until(() => plane.face.roster.connected === 0, { what: 'the stream to go' });
    expect(plane.tally.ends).to.deep.equal(['closed']);
  });
});
