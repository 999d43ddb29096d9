/** Names that nobody has: whoever asks for many of them goes through the agents once. */
import { expect } from 'chai';
import { Known, strangers } from '../../../control-plane/rest/strangers.js';
import { agentRow } from '../../support/fake-roster.js';

type Mirror = ConstructorParameters<typeof Known>[0];

const mirror = {
  services: () => new Map(),
  interests: () => new Map(),
  policies: () => [],
  policiesTo: () => [],
} as unknown as Mirror;

describe('names that nobody has', () => {
  it('are looked for in what agents call and are, and the one that was meant is named', () => {
    const known = new Known(mirror, [agentRow('checkout', 'c1', { callees: ['inventory'] })]);
    expect(strangers({ to: 'inventory' }, known)).to.deep.equal([]);
    expect(strangers({ to: 'checkout' }, known)).to.deep.equal([]);
    expect(strangers({ to: 'inventry' }, known)).to.deep.equal([
      'inventry: nobody calls it, registered as it, or has a policy for it yet; did you mean inventory?',
    ]);
  });

  it('take one look at each agent, however many are asked for', () => {
    let looks = 0;
    const rows = Array.from({ length: 20 }, (_, i) =>
      Object.defineProperty(agentRow('checkout', `c${i}`), 'callees', {
        get() {
          looks++;
          return ['inventory'];
        },
      }),
    );
    const known = new Known(mirror, rows);
    for (let i = 0; i < 50; i++) expect(strangers({ to: `nobody-${i}` }, known)).to.have.length(1);
    expect(looks).to.equal(20);
  });
});
