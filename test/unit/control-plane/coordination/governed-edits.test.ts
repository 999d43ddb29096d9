/** What is kept of policies from edit to edit, against the same worked out anew: any edits, rollouts and deletions, in any order. */
import { expect } from 'chai';
import { GovernedCircuits } from '../../../../control-plane/coordination/governed.js';
import { MirroredPolicies } from '../../../../control-plane/mirror/policies.js';
import { parsePolicy } from '../../../../core/policy/parse.js';
import { type Random, seededRandom } from '../../../../core/random.js';
import { walks } from '../../../support/property.js';

const callees = ['a', 'b', 'c', 'self', '*'];
const methods = ['', 'x.S/Get', 'x.S/Put'];
const services = ['s', 't'];
const instances = ['i1', 'i2', 'i3', 'i4'];

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T;

function documentOf(random: Random, name: string, circuits: number): string {
  const method = pick(random, [undefined, undefined, 'x.S/*', 'x.S/Get']);
  const from = pick(random, [undefined, undefined, 's']);
  const scope = random.next() < circuits ? 'cluster' : 'local';
  const per = pick(random, ['service', 'method']);
  const parsed = parsePolicy({
    policy: name,
    match: { to: pick(random, callees), ...(method && { method }), ...(from && { from }) },
    mode: pick(random, ['enforce', 'enforce', 'shadow', 'off']),
    priority: pick(random, [0, 0, 5]),
    spec: pick(random, [{ circuit: { scope, per } }, { circuit: { scope, per } }, { timeout: '1s' }]),
    rollout: { percent: pick(random, [100, 100, 20, 60]) },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.policy.document;
}

/** All that can be asked. */
function told(governed: GovernedCircuits, names: readonly string[]): unknown {
  const answers: unknown[] = [governed.any];
  for (const service of services)
    for (const instance of instances)
      for (const callee of [...callees, 'unknown'])
        for (const method of methods)
          answers.push([
            service,
            instance,
            callee,
            method,
            governed.circuitsOf(service, instance, callee, method),
          ]);
  for (const callee of callees)
    for (const name of names)
      for (const id of [`${callee}|${name}`, `${callee}|${name}|x.S/Get`]) {
        const found = governed.governed(id);
        answers.push([id, found && { ...found, endpoints: [...found.endpoints] }]);
      }
  return answers;
}

function walk(random: Random, count: number, circuits: number): void {
  const policies = new MirroredPolicies();
  const view = {
    policy: (name: string) => policies.get(name),
    policies: () => policies.all(),
    policiesTo: (to: string) => policies.to(to),
    instances: () => [],
  };
  const governed = new GovernedCircuits(view);
  const names = Array.from({ length: count }, (_, i) => `p${i}`);
  let revision = 0;
  for (let step = 0; step < 60; step++) {
    const entries = Array.from({ length: pick(random, [1, 1, 1, 2, 5]) }, () => {
      const name = pick(random, names);
      const document = random.next() < 0.25 ? null : documentOf(random, name, circuits);
      return { name, revision: ++revision, document };
    });
    const changes = policies.apply(entries);
    governed.changed(changes);
    const all = [...policies.all()];
    expect(all.map(({ policy }) => policy.name)).to.deep.equal(
      names.filter((name) => policies.get(name)).sort(),
    );
    expect(all).to.deep.equal(all.map(({ policy }) => policies.get(policy.name)));
    // Some are asked for seldom, so that what is kept is older than one edit.
    if (step % 3 === 0) expect(told(governed, names)).to.deep.equal(told(new GovernedCircuits(view), names));
  }
}

describe('circuits that policies govern, from edit to edit', () => {
  walks('are those of the policies as they are now', 20, (random) => walk(random, 8, 0.7));
  walks('also while more rollouts are under way than are told apart', 10, (random) => walk(random, 40, 0.7));
  walks('also where hardly any policy asks for one', 10, (random) => walk(random, 4, 0.15));

  it('keep their answers where an edit does not concern them', () => {
    const random = seededRandom(1);
    const policies = new MirroredPolicies();
    let asked = 0;
    const governed = new GovernedCircuits({
      policy: (name) => policies.get(name),
      policies: () => policies.all(),
      policiesTo: (to) => {
        if (to === 'a') asked++;
        return policies.to(to);
      },
      instances: () => [],
    });
    const put = (name: string, to: string) => {
      const document = { policy: name, match: { to }, spec: { circuit: { scope: 'cluster' } } };
      const parsed = parsePolicy({ ...document, priority: Math.floor(random.next() * 1000) });
      if (!parsed.ok) throw new Error(name);
      const revision = policies.revision + 1;
      governed.changed(policies.apply([{ name, revision, document: parsed.policy.document }]));
    };
    put('p', 'a');
    put('q', 'b');
    expect(governed.circuitsOf('s', 'i', 'a', '')).to.deep.equal(['a|p']);
    const before = asked;
    put('q', 'b');
    put('p', 'a');
    expect(governed.circuitsOf('s', 'i', 'a', '')).to.deep.equal(['a|p']);
    expect(asked, 'lists of policies read anew').to.equal(before);
  });
});
