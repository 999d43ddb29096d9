/** The numbered list of what happened: what becomes an event, how far back it remembers, and that a reader can't harm it. */
import { expect } from 'chai';
import { createBrownout } from '../../../control-plane/brownout.js';
import { createEventHub, type EventHub, type MeshEvent } from '../../../control-plane/events.js';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Brownout, ClusterChange, Mirror, MirrorEvents } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Instance, Store } from '../../../control-plane/store/store.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { systemClock } from '../../../core/clock.js';
import { parsePolicy } from '../../../core/policy/index.js';
import { agentRow, circuitRow, FakeRoster } from '../../support/fake-roster.js';
import { mirrorView } from '../../support/mirror-view.js';
import { until } from '../../support/until.js';

function documentOf(name: string, timeout: string): string {
  const result = parsePolicy({ policy: name, match: { to: 'inventory' }, spec: { timeout } });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.policy.document;
}

describe('event hub', () => {
  let store: Store;
  let mirror: Mirror;
  let roster: FakeRoster;
  let hub: EventHub;
  let brownout: Brownout;
  let seen: MeshEvent[];
  let changeCircuit: (change: ClusterChange) => void;
  const logged: string[] = [];

  beforeEach(async () => {
    store = await openStore('memory', { mesh: 'm', replica: 'r1' });
    mirror = await openMirror(store, { replica: 'r1' });
    roster = new FakeRoster();
    brownout = createBrownout({ mirror, clock: systemClock, logger: silentLogger });
    hub = createEventHub({
      mirror,
      roster,
      brownout,
      circuits: {
        onTransition(listener) {
          changeCircuit = listener;
          return () => {};
        },
      },
      now: () => 0,
      wallNow: () => 0,
      source: 'r1-abcd',
      logger: { ...silentLogger, error: (_fields, message) => logged.push(message) },
    });
    seen = [];
    hub.read((event) => seen.push(event));
  });

  afterEach(async () => {
    hub.close();
    brownout.close();
    expect(roster.listeners, 'listeners left at the roster').to.equal(0);
    await mirror.close();
    await store.close();
  });

  it('tells how a circuit of the mesh changed, and why', () => {
    const common = { id: 'inventory|p', seq: 4, ageMs: 0, openMs: 0, openings: 1, step: 0, permits: [] };
    const before = { ...common, state: 'closed', epoch: 1, reason: 'fine', ejections: [] } as const;
    const ejections = [
      { endpoint: 'a:1', leftMs: 500, times: 1 },
      { endpoint: 'b:1', leftMs: -500, times: 1 },
    ];
    const policy = { policy: 'p', revision: 9 };
    const after = { ...before, state: 'open', epoch: 2, reason: '9 of 9 failed', ejections, policy } as const;
    changeCircuit({ before: { ...before, policy }, after, shadow: false });
    expect(seen).to.have.length(1);
    expect(seen[0]?.type).to.equal('cluster-circuit');
    expect(seen[0]?.data).to.deep.equal({
      ...{
        id: 'inventory|p',
        policy: 'p',
        revision: 9,
        before: 'closed',
        state: 'open',
        epoch: 2,
        seq: 4,
        step: 0,
      },
      ...{ reason: '9 of 9 failed', shadow: false, override: null, ejected: ['a:1'] },
    });
  });

  let requests = 0;
  const write = (operations: Parameters<Mirror['write']>[0]['operations']) =>
    mirror.write({ requestId: `r${requests++}`, author: 'a', action: 'put', operations });
  const put = (name: string, timeout: string) =>
    write([{ kind: 'put', name, document: documentOf(name, timeout), expected: 'any' }]);

  it('tells a policy that came, changed and went', async () => {
    await put('a', '1s');
    await put('a', '2s');
    await write([{ kind: 'delete', name: 'a', expected: 'any' }]);
    expect(seen.map(({ type, data }) => ({ type, ...data }))).to.deep.equal([
      { type: 'policy', policy: 'a', revision: 1, change: 'created', previous: null },
      { type: 'policy', policy: 'a', revision: 2, change: 'changed', previous: 1 },
      { type: 'policy', policy: 'a', revision: 3, change: 'deleted', previous: 2 },
    ]);
    expect(seen[0]?.id).to.equal('r1-abcd-1');
    expect(seen[0]?.frame).to.match(/^id: r1-abcd-1\nevent: policy\ndata: \{"at":"1970-.*\}\n\n$/);
  });

  it('tells agents and circuits', () => {
    const refused = Array.from({ length: 30 }, (_, n) => ({ policy: `p${n}`, revision: 1, reason: 'retry' }));
    roster.tellAgent(agentRow('checkout', 'c1', { refused }), 'refused');
    roster.tellAgent(agentRow('checkout', 'c1'), 'disconnected');
    roster.tellCircuit({
      agent: 'checkout/c1',
      before: 'closed',
      row: circuitRow('checkout/c1', 'open', { reason: '9 of 10 failed' }),
    });
    expect(seen.map(({ type }) => type)).to.deep.equal(['agent', 'agent', 'circuit']);
    expect(seen[0]?.data).to.include({ agent: 'checkout/c1', change: 'refused' });
    expect(seen[0]?.data).to.have.property('refused').with.length(10);
    expect(seen[1]?.data).not.to.have.property('refused');
    expect(seen[2]?.data).to.include({
      agent: 'checkout/c1',
      before: 'closed',
      state: 'open',
      reason: '9 of 10 failed',
    });
  });

  it('tells which instances came and went', async () => {
    const instance: Instance = {
      id: 'inventory/i1',
      service: 'inventory',
      instance: 'i1',
      boot: 1,
      address: '127.0.0.1:1',
      protocol: 'grpc',
      zone: '',
      version: '1',
      weight: 1,
      registeredAt: 0,
      replica: 'r1',
    };
    await store.lease([instance], 60_000);
    await until(() => seen.length === 1, { what: 'the event of the registration' });
    await store.release(instance.id, 1);
    await until(() => seen.length === 2, { what: 'the event of the release' });
    expect(seen.map(({ type, data }) => ({ type, ...data }))).to.deep.equal([
      { type: 'instance', service: 'inventory', up: ['inventory/i1'], down: [], instances: 1 },
      { type: 'instance', service: 'inventory', up: [], down: ['inventory/i1'], instances: 0 },
    ]);
  });

  it('tells that the store went and came, and that all was loaded anew', () => {
    const listeners: Partial<MirrorEvents> = {};
    const told: MeshEvent[] = [];
    const on = (event: keyof MirrorEvents, listener: () => void) => {
      Object.assign(listeners, { [event]: listener });
      return () => {};
    };
    const shown = mirrorView(mirror, () => ({ on }));
    const other = createEventHub({
      mirror: shown,
      roster,
      brownout,
      now: () => 0,
      wallNow: () => 0,
      source: 's',
      logger: silentLogger,
    });
    other.read((event) => told.push(event));
    listeners.health?.({ up: false, reason: 'connection refused' });
    listeners.health?.({ up: true, reason: '' });
    listeners.reset?.();
    other.close();
    expect(told.map(({ type, data }) => ({ type, ...data }))).to.deep.equal([
      { type: 'store', change: 'down', reason: 'connection refused' },
      { type: 'store', change: 'up', reason: '' },
      { type: 'store', change: 'reset', dataset: mirror.dataset, revision: 0 },
    ]);
  });

  it('gives what came after an id, in order, and nothing after the last', async () => {
    for (const n of [1, 2, 3]) await put('a', `${n}s`);
    expect(hub.since('r1-abcd-1')?.map(({ id }) => id)).to.deep.equal(['r1-abcd-2', 'r1-abcd-3']);
    expect(hub.since('r1-abcd-3')).to.deep.equal([]);
  });

  it('remembers a thousand, and says so rather than leave a gap in silence', () => {
    for (let n = 0; n < 1500; n++) roster.tellAgent(agentRow('checkout', `c${n}`), 'connected');
    expect(hub.since('r1-abcd-500')).to.have.length(1000);
    expect(hub.since('r1-abcd-500')?.[0]?.id).to.equal('r1-abcd-501');
    expect(hub.since('r1-abcd-499')).to.equal(undefined);
  });

  for (const id of ['', 'nonsense', 'r2-ffff-1', 'r1-abcd-99', 'r1-abcd-', 'r1-abcd--1', 'r1-abcd-1e3'])
    it(`does not know the id "${id}"`, () => {
      roster.tellAgent(agentRow('checkout', 'c1'), 'connected');
      expect(hub.since(id)).to.equal(undefined);
    });

  it('names in a gap where a reader is complete again', () => {
    roster.tellAgent(agentRow('checkout', 'c1'), 'connected');
    expect(hub.gap('r2-ffff-1\n\ninjected')).to.match(/^id: r1-abcd-1\nevent: gap\ndata: \{[^\n]*\}\n\n$/);
  });

  it('goes on when a reader throws, and logs it', () => {
    hub.read(() => {
      throw new Error('a broken reader');
    });
    const after: MeshEvent[] = [];
    hub.read((event) => after.push(event));
    roster.tellAgent(agentRow('checkout', 'c1'), 'connected');
    expect(after).to.have.length(1);
    expect(logged).to.deep.equal(['a reader of the events failed']);
  });
});
