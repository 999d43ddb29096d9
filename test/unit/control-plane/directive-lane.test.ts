/** How directives go out to streams: the same bytes for all, permits to their holders alone, again before they lapse. */
import { expect } from 'chai';
import {
  DirectiveBodies,
  DirectiveLane,
  type DirectiveSource,
} from '../../../control-plane/grpc/directive-lane.js';
import { Group } from '../../../control-plane/grpc/group.js';
import type { Outlet } from '../../../control-plane/grpc/outlet.js';
import type { ClusterDirective } from '../../../core/coordination/model.js';
import type { ControlMessage, Directive } from '../../../proto/messages.js';
import { FakeMesh } from '../../support/fake-mesh.js';

const open: ClusterDirective = {
  circuit: 'inventory|p',
  state: 'open',
  epoch: 3,
  seq: 7,
  admitPercent: 100,
  permits: [],
  ttlMs: 10_000,
  reason: 'all fail',
};

class Source implements DirectiveSource {
  holds: readonly ClusterDirective[] = [open];
  readonly permits = new Map<string, readonly number[]>();
  version = 1;
  asked = 0;
  readonly news = {
    source: this as Source,
    get version() {
      return this.source.version;
    },
    isHolder: (agent: string) => this.permits.has(agent),
  };
  directives({ agent = '' }: { agent?: string }): readonly ClusterDirective[] {
    this.asked++;
    return this.holds.map((each) => ({ ...each, permits: this.permits.get(agent) ?? [] }));
  }
}

describe('the lane of directives', () => {
  let source: Source;
  let group: Group;
  let bodies: DirectiveBodies;
  let encoded: ControlMessage[];
  let blocked: boolean;

  beforeEach(() => {
    source = new Source();
    encoded = [];
    blocked = false;
    const encode = (message: ControlMessage) => {
      encoded.push(message);
      return Buffer.from([encoded.length]);
    };
    group = new Group('checkout', new FakeMesh('d1'), encode);
    group.add(['inventory']);
    bodies = new DirectiveBodies(source, encode);
  });

  const lane = (instance: string, { zone = 'z', minor = 2 } = {}) => {
    const hello = { agent: `checkout/${instance}`, service: 'checkout', zone, protocol: { major: 1, minor } };
    const made = new DirectiveLane(bodies, hello, group);
    const written: Buffer[] = [];
    const outlet = {
      get blocked() {
        return blocked;
      },
      write: (bytes: Buffer) => void written.push(bytes),
    } as unknown as Outlet;
    return { written, write: (now: number) => made.write(outlet, now) };
  };
  const said = (bytes: Buffer | undefined): readonly Directive[] => {
    const message = encoded[(bytes?.[0] ?? 0) - 1];
    return message?.message === 'directives' ? message.directives.directives : [];
  };

  it('writes the same bytes to all of a service and zone', () => {
    const lanes = Array.from({ length: 1_000 }, (_, i) => lane(`a${i}`));
    for (const { write } of lanes) write(0);
    expect(encoded).to.have.length(1);
    expect(source.asked).to.equal(1);
    for (const { written } of lanes) expect(written).to.deep.equal([Buffer.from([1])]);
    lane('elsewhere', { zone: 'y' }).write(0);
    expect(encoded).to.have.length(2);
    expect(said(lanes[0]?.written[0])[0]).to.deep.include({
      circuit: 'inventory|p',
      circuitEpoch: 3,
      seq: 7,
      ttlMs: 10_000,
    });
  });

  it('gives permits to their holders alone', () => {
    const [holder, other] = [lane('a'), lane('b')];
    source.permits.set('checkout/a', [768, 769]);
    holder.write(0);
    other.write(0);
    expect(said(holder.written[0])[0]?.permits).to.deep.equal([768, 769]);
    expect(said(other.written[0])[0]?.permits).to.deep.equal([]);
  });

  it('says it again before it lapses, and at once when it is another', () => {
    const one = lane('a');
    for (let now = 0; now <= 9_000; now += 1_000) one.write(now);
    expect(one.written).to.have.length(4);
    source.holds = [{ ...open, state: 'half-open', epoch: 4, seq: 8 }];
    source.version++;
    one.write(9_010);
    expect(one.written).to.have.length(5);
    expect(said(one.written[4])[0]?.state).to.equal('half-open');
  });

  it('says once that it has closed', () => {
    const one = lane('a');
    one.write(0);
    source.holds = [{ ...open, state: 'closed', epoch: 5, seq: 9 }];
    source.version++;
    for (let now = 100; now <= 20_000; now += 1_000) one.write(now);
    expect(one.written).to.have.length(2);
    source.holds = [];
    source.version++;
    one.write(21_000);
    expect(one.written).to.have.length(2);
  });

  it('writes nothing to an agent of a protocol before, and to a stream that takes nothing what holds when it does', () => {
    const [older, slow] = [lane('old', { minor: 1 }), lane('slow')];
    older.write(0);
    blocked = true;
    slow.write(0);
    source.holds = [{ ...open, epoch: 4 }];
    source.version++;
    slow.write(100);
    blocked = false;
    slow.write(200);
    expect(older.written).to.deep.equal([]);
    expect(slow.written).to.have.length(1);
    expect(said(slow.written[0])[0]?.circuitEpoch).to.equal(4);
  });

  it('says no more than a thousand circuits, in messages of two hundred', () => {
    source.holds = Array.from({ length: 1_500 }, (_, i) => ({
      ...open,
      circuit: `inventory|p${i}`,
      reason: 'x'.repeat(9_000),
    }));
    const one = lane('a');
    one.write(0);
    expect(one.written).to.have.length(5);
    const all = one.written.flatMap(said);
    expect(all).to.have.length(1_000);
    expect(all[0]?.reason).to.have.length(500);
  });
});
