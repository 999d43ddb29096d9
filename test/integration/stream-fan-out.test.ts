/** From a write to the agents it concerns, and to nobody else: deltas, resume, coalescing, slow readers. */
import { connect as connectHttp2, constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { AgentSession } from '../../core/sync/session.js';
import { loadWire } from '../../proto/load.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { helloOf, RawAgent, type RawAgentOptions } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

/** Lets everything that is ready run once. */
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('stream: fan-out', () => {
  let plane: Plane;
  let clock: VirtualClock;
  const agents: RawAgent[] = [];
  const connect = async (hello: Parameters<RawAgent['hello']>[0] = {}, options: RawAgentOptions = {}) => {
    const agent = await RawAgent.connect(plane.address, hello, options);
    agents.push(agent);
    await until(() => agent.deltas.length > 0, { what: 'the first delta' });
    return agent;
  };
  const acked = async (agent: string, revision: number) =>
    until(async () => (await plane.face.roster.agent(agent))?.acked === revision, {
      what: `${agent} at ${revision}`,
    });

  beforeEach(async () => {
    clock = new VirtualClock();
    plane = await startPlane({ clock });
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
    await plane.close();
  });

  it('100 edits within one second cause at most 6 pushes, and the last one wins', async () => {
    const agent = await connect();
    await acked('checkout/i1', 0);
    const before = plane.tally.pushes;
    for (let edit = 1; edit <= 100; edit++) {
      await plane.put({ name: 'inventory', to: 'inventory', timeoutMs: edit });
      clock.advance(10);
      await turn();
      await until(async () => (await plane.face.roster.agent('checkout/i1'))?.staleMs === 0, {
        what: 'the answer to what was pushed',
      });
    }
    clock.advance(250);
    await until(() => agent.held.includes('inventory@100'), { what: 'the last edit' });
    const pushes = plane.tally.pushes - before;
    expect(pushes).to.be.within(4, 6);
  });

  it('the first change goes out at once', async () => {
    const agent = await connect();
    await acked('checkout/i1', 0);
    await plane.put({ name: 'inventory', to: 'inventory' });
    await until(() => agent.held.includes('inventory@1'), {
      what: 'the change, with the clock standing still',
    });
  });

  it('with 1,000 policies of other services, editing one of them sends this agent nothing', async () => {
    const others = Array.from({ length: 1000 }, (_, i) => ({ name: `p${i}`, to: `service-${i}` }));
    await plane.put({ name: 'inventory', to: 'inventory' });
    await plane.put(...others);
    const agent = await connect();
    const witness = await connect({ service: 'witness', callees: ['service-7'] });
    expect(agent.held).to.deep.equal(['inventory@1']);
    await plane.put({ name: 'p7', to: 'service-7', timeoutMs: 7 });
    await until(() => witness.held.includes('p7@1002'), { what: 'the witness' });
    clock.advance(1000);
    await plane.put({ name: 'inventory', to: 'inventory', timeoutMs: 7 });
    await until(() => agent.held.includes('inventory@1003'), { what: 'what does concern it' });
    expect(agent.deltas).to.have.length(2);
    expect(agent.deltas[1]?.upserts.map(({ name }) => name)).to.deep.equal(['inventory']);
  });

  it('a policy for another caller does not concern this one', async () => {
    const agent = await connect();
    await plane.put({ name: 'a', to: 'inventory', from: 'cart' });
    await plane.put({ name: 'b', to: 'inventory', from: 'checkout' });
    await until(() => agent.held.length === 1, { what: 'its own' });
    expect(agent.held).to.deep.equal(['b@2']);
  });

  it('all instances of a service get the same bytes', async () => {
    const one = await connect({ instance: 'i1' });
    const other = await connect({ instance: 'i2' });
    const bytes = plane.tally.bytes;
    await plane.put({ name: 'a', to: 'inventory' });
    await until(() => one.held.length === 1 && other.held.length === 1, { what: 'both' });
    expect(one.deltas.at(-1)).to.deep.equal(other.deltas.at(-1));
    expect((plane.tally.bytes - bytes) % 2).to.equal(0);
    expect(one.session.digest()).to.equal(other.session.digest());
  });

  it('after a reconnect an agent gets only what is newer', async () => {
    await plane.put({ name: 'a', to: 'inventory' }, { name: 'b', to: 'inventory' }, { name: 'c', to: '*' });
    const session = new AgentSession({ capabilities: ['timeout'] });
    const first = await connect({}, { session });
    expect(first.deltas[0]?.complete).to.equal(true);
    first.close();
    await plane.put({ name: 'b', to: 'inventory', timeoutMs: 7 });
    await plane.remove('c');
    const second = await connect({}, { session });
    const [delta] = second.deltas;
    expect(delta?.complete).to.equal(false);
    expect(delta?.upserts.map(({ name, revision }) => `${name}@${revision}`)).to.deep.equal(['b@4']);
    expect(delta?.removals).to.deep.equal(['c']);
    expect(second.held).to.deep.equal(['a@1', 'b@4']);
  });

  it('an agent that has everything is told so in a few bytes', async () => {
    await plane.put({ name: 'a', to: 'inventory' });
    const session = new AgentSession({ capabilities: ['timeout'] });
    (await connect({}, { session })).close();
    const { deltas } = await connect({}, { session });
    expect(deltas).to.have.length(1);
    expect(deltas[0]).to.deep.include({ upserts: [], removals: [], complete: false, revision: 1 });
  });

  it('trusts no number: content that differs at the same revision is sent again', async () => {
    await plane.put({ name: 'a', to: 'inventory' });
    const agent = await connect({
      dataset: plane.mirror.dataset,
      revision: 1,
      hashes: [{ name: 'a', hash: '0123456789abcdef', revision: 1 }],
    });
    expect(agent.deltas[0]?.upserts.map(({ name }) => name)).to.deep.equal(['a']);
  });

  it('says nothing to an agent that has seen more, until this replica has too', async () => {
    await plane.put({ name: 'a', to: 'inventory' });
    const { dataset } = plane.mirror;
    const agent = await RawAgent.connect(plane.address, { dataset, revision: 2, hashes: [] });
    agents.push(agent);
    clock.advance(1000);
    expect(agent.deltas).to.deep.equal([]);
    await plane.put({ name: 'b', to: 'elsewhere' });
    clock.advance(100);
    await until(() => agent.held.length === 1, { what: 'what it lacks' });
  });

  it('a refusal is shown with its reason, keeps the last good one, and is not sent again', async () => {
    await plane.put({ name: 'a', to: 'inventory' });
    const refusals: string[] = [];
    plane.face.roster.on('agent', (row, kind) => {
      if (kind === 'refused')
        refusals.push(...row.refused.map(({ policy, revision }) => `${policy}@${revision}`));
    });
    const session = new AgentSession({ capabilities: ['timeout'] });
    const agent = await connect({}, { session });
    await acked('checkout/i1', 1);
    await plane.put({ name: 'a', to: 'inventory', retry: true });
    await acked('checkout/i1', 2);
    expect(agent.held).to.deep.equal(['a@1']);
    const policy = plane.mirror.policy('a');
    if (!policy) throw new Error('a is there');
    const shown = await plane.face.roster.status(policy);
    expect(shown.agents).to.deep.include({ total: 1, applied: 0, pending: 0 });
    expect(shown.agents.refused[0]?.agent).to.equal('checkout/i1');
    expect(shown.agents.refused[0]?.reason).to.contain('retry');
    expect((await plane.face.roster.agent('checkout/i1'))?.applied).to.equal(1);
    expect(refusals).to.deep.equal(['a@2']);
    agent.close();
    const again = await connect({}, { session });
    expect(again.deltas[0]?.upserts).to.deep.equal([]);
    await until(async () => (await plane.face.roster.status(policy)).agents.refused.length === 1, {
      what: 'the refusal to be known again',
    });
  });

  it('a callee that is added brings its policies, to all instances of the service', async () => {
    await plane.put({ name: 'mail', to: 'mail' });
    const one = await connect({ instance: 'i1' });
    const other = await connect({ instance: 'i2' });
    expect(one.held).to.deep.equal([]);
    one.say({ message: 'subscribe', subscribe: { callees: ['mail'] } });
    await until(() => one.held.length === 1 && other.held.length === 1, { what: 'the policy of mail' });
    await until(async () => plane.mirror.interests().get('checkout')?.has('mail'), {
      what: 'the store to learn it',
    });
  });

  it('leaves out callees that are no names', async () => {
    const agent = await connect();
    agent.say({ message: 'subscribe', subscribe: { callees: ['not a name', 'mail'] } });
    await until(async () => (await plane.face.roster.agent('checkout/i1'))?.callees.includes('mail'), {
      what: 'mail',
    });
    expect((await plane.face.roster.agent('checkout/i1'))?.callees).to.deep.equal(['inventory', 'mail']);
    expect(plane.tally.ignoredThings).to.deep.equal(['callee']);
    expect(agent.status).to.equal(undefined);
  });

  it('in another dataset numbers start anew, and all agents follow', async () => {
    await plane.put({ name: 'a', to: 'inventory' });
    const agent = await connect();
    const { dataset } = plane.mirror;
    await plane.store.settleDataset({ dataset, revision: 1000 });
    await until(() => agent.session.dataset !== dataset, { what: 'the new dataset' });
    expect(agent.session.dataset).to.equal(plane.mirror.dataset);
    expect(agent.held).to.deep.equal(['a@1']);
    clock.advance(250);
    await plane.put({ name: 'a', to: 'inventory', timeoutMs: 7 });
    await until(() => agent.held.includes('a@2'), { what: 'the next change' });
  });

  it('a silent agent has one push in flight, delays nobody, and is ended after thirty seconds', async () => {
    const slow = await connect({ instance: 'slow' }, { silent: true });
    const quick = await connect({ instance: 'quick' });
    for (let edit = 1; edit <= 50; edit++) {
      await plane.put({ name: 'a', to: 'inventory', timeoutMs: edit });
      clock.advance(250);
      await until(() => quick.held.includes(`a@${edit}`), { what: `edit ${edit}` });
    }
    expect(slow.deltas).to.have.length(1);
    expect((await plane.face.roster.agent('checkout/slow'))?.staleMs).to.equal(12_500);
    for (let second = 0; second < 20; second++) {
      quick.say({ message: 'heartbeat', heartbeat: {} });
      slow.say({ message: 'heartbeat', heartbeat: {} });
      clock.advance(1000);
    }
    const ended = await slow.ended();
    expect(ended.code).to.equal(status.UNAVAILABLE);
    expect(ended.details).to.contain('was not acknowledged within 30 s');
    expect(plane.tally.ends).to.deep.equal(['unacknowledged']);
    expect(quick.status).to.equal(undefined);
  });

  it('cuts the connection of a reader that takes nothing, also not its end', async () => {
    const { session } = await loadWire();
    const http = connectHttp2(`http://${plane.address}`, { settings: { initialWindowSize: 0 } });
    const closed = new Promise<void>((resolve) => http.once('close', resolve));
    http.on('error', () => {});
    const stream = http.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: session.path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    stream.on('error', () => {});
    const hello = session.requestSerialize({ message: 'hello', hello: helloOf({ instance: 'deaf' }) });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(hello.length, 1);
    stream.write(Buffer.concat([head, hello]));
    await until(() => plane.face.roster.agent('checkout/deaf'), { what: 'its Hello' });
    const quick = await connect({ instance: 'quick' });
    for (let edit = 1; edit <= 200; edit++) await plane.put({ name: 'a', to: 'inventory', timeoutMs: edit });
    clock.advance(250);
    await until(() => quick.held.includes('a@200'), { what: 'the quick one' });
    expect((await plane.face.roster.agent('checkout/deaf'))?.sent).to.equal(0);
    clock.advance(31_000);
    await until(() => plane.tally.ends.includes('unacknowledged'), { what: 'the verdict' });
    expect(http.closed).to.equal(false);
    clock.advance(2_000);
    await closed;
  });
});
