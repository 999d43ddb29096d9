/** What replicas tell each other, and what becomes of it on the way. */
import { expect } from 'chai';
import { decodeSummary, encodeSummary, type ReplicaView } from '../../../control-plane/grpc/summary.js';

const view: ReplicaView = {
  replica: 'r1',
  agents: ['a', 'b'].map((instance, boot) => ({
    boot,
    row: {
      agent: `checkout/${instance}`,
      service: 'checkout',
      instance,
      zone: 'z',
      version: '1',
      replica: 'r1',
      protocol: '1.0',
      capabilities: ['timeout'],
      callees: ['inventory', 'mail'],
      dataset: 'd',
      sent: 9,
      acked: 8,
      applied: 7,
      staleMs: 3,
      connectedMs: 100,
      refused: [{ policy: 'p', revision: 8, reason: 'why' }],
      ...(boot === 1 ? { notice: 'look' } : {}),
    },
  })),
  circuits: ['open', 'closed'].map((state, epoch) => ({
    id: `inventory|p${epoch}`,
    callee: 'inventory',
    method: '',
    policy: `p${epoch}`,
    revision: 2,
    agent: 'checkout/a',
    state,
    epoch,
    retryAfterMs: 5,
    reason: 'because',
    ageMs: 12,
  })),
  health: new Map([['inventory', { calls: 3, failed: 2, rejected: 1 }]]),
};

describe('replica summary', () => {
  it('comes back as it went, but for closed circuits, which stay at home', () => {
    expect(decodeSummary(encodeSummary(view))).to.deep.equal({
      ...view,
      circuits: view.circuits.filter(({ state }) => state === 'open'),
    });
  });

  it('says lists that many rows share only once', () => {
    const body = encodeSummary(view);
    expect(body.split('mail')).to.have.length(2);
  });

  for (const body of ['', 'null', '[]', '{}', '{"format":2,"replica":"r"}', '{"format":1}'])
    it(`is not read from ${body || 'nothing'}`, () => expect(decodeSummary(body)).to.equal(undefined));

  it('survives rows of the wrong kind', () => {
    const body = JSON.stringify({
      format: 1,
      replica: 'r',
      lists: 7,
      agents: [null, [1, 2, {}]],
      circuits: ['x'],
      health: {},
    });
    const read = decodeSummary(body);
    expect(read?.agents).to.have.length(2);
    expect(read?.agents[0]?.row).to.deep.include({ service: '', sent: 0, callees: [] });
    expect(read?.health.size).to.equal(0);
  });
});
