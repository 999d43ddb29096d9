/** What one connection reports counts once and in order, whatever it sends again or sends late. */
import { expect } from 'chai';
import { noMetrics } from '../../../control-plane/grpc/metrics.js';
import { Reports } from '../../../control-plane/grpc/reports.js';
import type { Room } from '../../../control-plane/grpc/room.js';
import type { Report } from '../../../proto/messages.js';
import { helloOf } from '../../support/stream/raw-agent.js';

describe('reports of one connection', () => {
  it('count once and in order: one that is stale is left out whole, and told of', () => {
    const heard: number[] = [];
    const ignored: string[] = [];
    const room = {
      circuits: { intake: () => ({ take: ({ seq }: Report) => void heard.push(seq) }) },
      metrics: { ...noMetrics, ignored: (what: string) => void ignored.push(what) },
      events: { circuit: () => {}, changed: () => {} },
      mirror: { revision: 9, policy: () => undefined },
    } as unknown as Room;
    const reports = new Reports(helloOf({ agent: 'checkout/a' }), room, undefined);
    const empty = { elapsedMs: 0, cells: [], probes: [], rates: [], circuits: [] };
    const taken = [7, 7, 6, 8, 0, 9].map((seq) => reports.take({ seq, ...empty }, 0));
    expect(taken).to.deep.equal([true, false, false, true, false, true]);
    expect(heard).to.deep.equal([7, 8, 9]);
    expect(ignored).to.deep.equal(['report', 'report', 'report']);
  });
});
