/**
 * Whatever happens on the way (writes, deletions, lost data, replicas that lag, streams that break with a push or an answer
 * under way), an agent ends with exactly the policies of its interest, is never told of others, and never goes back.
 * The twin is dumb: it filters all policies by hand.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { PolicyRevision } from '../../../core/policy/index.js';
import type { DeltaContent, Rejection } from '../../../core/sync/delta.js';
import { differences } from '../../../core/sync/differences.js';
import { Interest } from '../../../core/sync/interest.js';
import { AgentSession } from '../../../core/sync/session.js';
import { Subscription } from '../../../core/sync/subscription.js';
import { FakeMesh } from '../../support/fake-mesh.js';
import type { PolicySketch } from '../../support/policies.js';

const callees = ['inventory', 'payments', 'mail'];
const policyNames = ['a', 'b', 'c', 'd'];
const service = 'checkout';

type Step =
  | { kind: 'put'; sketch: PolicySketch }
  | { kind: 'remove'; name: string }
  | { kind: 'lose' }
  | { kind: 'tail'; replica: number; entries: number }
  | { kind: 'connect'; agent: number; replica: number }
  | { kind: 'break'; agent: number }
  | { kind: 'restart'; agent: number }
  | { kind: 'use'; agent: number; callee: string }
  | { kind: 'push' | 'deliver' | 'answer'; agent: number }
  | { kind: 'pass'; ms: number };

const index = fc.integer({ min: 0, max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      sketch: fc.record(
        {
          name: fc.constantFrom(...policyNames),
          to: fc.constantFrom('*', ...callees),
          from: fc.constantFrom(service, 'cart'),
          timeoutMs: fc.integer({ min: 1, max: 3 }),
          retry: fc.boolean(),
        },
        { requiredKeys: ['name', 'to', 'timeoutMs'] },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), name: fc.constantFrom(...policyNames) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'lose' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('tail' as const),
      replica: index,
      entries: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('connect' as const), agent: index, replica: index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('break' as const, 'restart' as const), agent: index }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('use' as const),
      agent: index,
      callee: fc.constantFrom(...callees),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constantFrom('push' as const, 'deliver' as const, 'answer' as const),
      agent: index,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 400 }) }),
  },
);

/** Entry of the store's log; `all`: the data were replaced. */
type Entry = (
  mesh: FakeMesh,
) => { name: string; before?: PolicyRevision | undefined; after?: PolicyRevision | undefined } | 'all';

/** One replica: a mesh that follows the log at its own pace, and the interest of the one service. */
class Replica {
  readonly mesh = new FakeMesh('d0');
  readonly interest = new Interest(service);
  readonly streams = new Set<Stream>();
  #read = 0;

  tail(log: readonly Entry[], entries: number): void {
    for (const entry of log.slice(this.#read, this.#read + entries)) {
      const before = new Map(this.mesh.policies().map((one) => [one.policy.name, one]));
      const change = entry(this.mesh);
      if (change !== 'all') this.interest.note(change.name, change.before, change.after);
      else {
        const after = new Map(this.mesh.policies().map((one) => [one.policy.name, one]));
        for (const one of differences(before, after)) this.interest.note(one.name, one.before, one.after);
        this.interest.log.touch();
        for (const stream of this.streams) stream.subscription.forgetRevisions();
      }
      this.#read++;
    }
  }
}

interface Stream {
  readonly replica: Replica;
  readonly subscription: Subscription;
  readonly hello: ReturnType<AgentSession['hello']>;
  readonly down: DeltaContent[];
  readonly up: { nonce: number; rejected: readonly Rejection[] }[];
}

class Agent {
  session = new AgentSession({ capabilities: ['timeout'] });
  readonly used = new Set<string>();
  stream: Stream | undefined;

  connect(replica: Replica): void {
    this.break();
    replica.interest.add(this.used, replica.mesh);
    const hello = this.session.hello();
    this.stream = { replica, subscription: new Subscription(), hello, down: [], up: [] };
    replica.streams.add(this.stream);
  }

  break(): void {
    if (this.stream) this.stream.replica.streams.delete(this.stream);
    this.stream = undefined;
  }

  restart(): void {
    this.break();
    const saved = this.session.save();
    this.session = new AgentSession({ capabilities: ['timeout'] });
    this.session.restore(JSON.parse(JSON.stringify(saved)));
  }

  push(now: number): void {
    if (!this.stream) return;
    const { replica, subscription, hello, down } = this.stream;
    const { interest, mesh } = replica;
    const next = subscription.next(interest.log.position, now);
    if (next.kind !== 'push') return;
    const selection = next.from === undefined ? interest.resume(hello, mesh) : interest.since(next.from);
    if (selection.kind === 'ahead') return;
    const content = interest.content(selection, mesh);
    for (const { name } of content.upserts) {
      const match = mesh.policy(name)?.policy.match;
      expect(match && relevant(match, interest.callees), `${name} is of no interest`).to.equal(true);
    }
    subscription.pushed(
      { nonce: content.revision, revision: content.revision, position: interest.log.position },
      now,
    );
    down.push(content);
  }

  deliver(): void {
    const delta = this.stream?.down.shift();
    if (!this.stream || !delta) return;
    const before = { dataset: this.session.dataset, revision: this.session.revision };
    const { rejected } = this.session.apply(delta);
    if (before.dataset === this.session.dataset)
      expect(this.session.revision).to.be.at.least(before.revision);
    this.stream.up.push({ nonce: delta.revision, rejected });
  }

  answer(now: number): void {
    const ack = this.stream?.up.shift();
    if (this.stream && ack) this.stream.subscription.ack(ack.nonce, ack.rejected, now);
  }
}

function relevant(match: { to: string; from?: string }, used: ReadonlySet<string>): boolean {
  return (match.from === undefined || match.from === service) && (match.to === '*' || used.has(match.to));
}

function run(steps: readonly Step[]): void {
  const log: Entry[] = [];
  const replicas = [new Replica(), new Replica()];
  const agents = [new Agent(), new Agent()];
  let now = 0;
  let losses = 0;
  const at = <T>(list: readonly T[], i: number): T => list[i] as T;
  const act = (one: Step) => {
    if (one.kind === 'put') log.push((mesh) => mesh.put(one.sketch));
    else if (one.kind === 'remove')
      log.push((mesh) => (mesh.policy(one.name) ? mesh.remove(one.name) : { name: one.name }));
    else if (one.kind === 'lose') {
      const dataset = `d${++losses}`;
      log.push((mesh) => {
        mesh.replace(dataset, [{ name: 'a', to: '*', timeoutMs: 1 }]);
        return 'all';
      });
    } else if (one.kind === 'tail') at(replicas, one.replica).tail(log, one.entries);
    else if (one.kind === 'connect') at(agents, one.agent).connect(at(replicas, one.replica));
    else if (one.kind === 'use') {
      const agent = at(agents, one.agent);
      agent.used.add(one.callee);
      agent.stream?.replica.interest.add([one.callee], agent.stream.replica.mesh);
    } else if (one.kind === 'pass') now += one.ms;
    else if (one.kind === 'push' || one.kind === 'answer') at(agents, one.agent)[one.kind](now);
    else at(agents, one.agent)[one.kind]();
  };
  for (const one of steps) act(one);
  settle(log, replicas, agents, () => {
    now += 250;
    return now;
  });
}

/** Everybody catches up; then the agents have to hold what the dumb twin says. */
function settle(
  log: readonly Entry[],
  replicas: readonly Replica[],
  agents: readonly Agent[],
  tick: () => number,
): void {
  for (const replica of replicas) {
    replica.tail(log, log.length);
    for (const agent of agents) replica.interest.add(agent.used, replica.mesh);
  }
  for (const agent of agents) {
    if (!agent.stream) agent.connect(replicas[0] as Replica);
    for (let round = 0; round < 4; round++) {
      agent.push(tick());
      while (agent.stream?.down.length) agent.deliver();
      while (agent.stream?.up.length) agent.answer(tick());
    }
    const { mesh, interest } = (agent.stream as Stream).replica;
    const wanted = mesh.policies().filter(({ policy }) => relevant(policy.match, interest.callees));
    const list = (all: readonly PolicyRevision[]) =>
      all.map(({ policy, revision }) => `${policy.name}@${revision} ${policy.hash}`).sort();
    const seen = agent.session
      .hello()
      .hashes.map(({ name, revision, hash }) => `${name}@${revision} ${hash}`)
      .sort();
    expect(seen).to.deep.equal(list(wanted));
    expect(agent.session.dataset).to.equal(mesh.dataset);
    const refused = new Set(agent.session.refused().map(({ name }) => name));
    const usable = wanted.filter(({ policy }) => policy.spec.retry === undefined);
    const held = [...agent.session.policies().values()].filter(({ policy }) => !refused.has(policy.name));
    expect(list(held)).to.deep.equal(list(usable));
  }
}

describe('sync, by random histories', () => {
  it('every agent converges to exactly what concerns it, and is never told of anything else', () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => run(steps)),
      { numRuns: 1500, seed, verbose: 1 },
    );
    console.log(`        seed ${seed}`);
  });
});
