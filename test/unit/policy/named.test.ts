/** Policies by name, against a map that is sorted at each question. */
import { expect } from 'chai';
import type { PolicyRevision } from '../../../core/policy/model.js';
import { NamedPolicies } from '../../../core/policy/named.js';
import { policyRevision } from '../../support/policies.js';
import { walks } from '../../support/property.js';

describe('policies by name', () => {
  walks('come in order after any changes, and a list that was given away stays as it was', 20, (random) => {
    const named = new NamedPolicies();
    const twin = new Map<string, PolicyRevision>();
    const given: { list: readonly PolicyRevision[]; copy: readonly PolicyRevision[] }[] = [];
    for (let step = 1; step < 200; step++) {
      const changes = random.next() < 0.1 ? 150 : Math.floor(random.next() * 5);
      for (let i = 0; i < changes; i++) {
        const name = `p${Math.floor(random.next() * 120)}`;
        if (random.next() < 0.4) expect(named.delete(name)).to.equal(twin.delete(name));
        else {
          const entry = policyRevision({ name, to: 'a' }, step);
          named.set(entry);
          twin.set(name, entry);
        }
      }
      if (random.next() < 0.02) {
        named.clear();
        twin.clear();
      }
      if (random.next() < 0.3) continue;
      const list = named.list();
      const wanted = [...twin.keys()].sort().map((name) => twin.get(name));
      expect(list.length).to.equal(wanted.length);
      expect(list.every((entry, at) => entry === wanted[at])).to.equal(true);
      expect(named.size).to.equal(twin.size);
      given.push({ list, copy: [...list] });
    }
    for (const { list, copy } of given) expect(list.every((entry, at) => entry === copy[at])).to.equal(true);
  });
});
