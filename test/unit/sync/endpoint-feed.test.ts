/** How one stream is told of instances: all lists first, then what changed, never past a stream that takes no more. */
import { expect } from 'chai';
import { EndpointBodies } from '../../../control-plane/grpc/bodies.js';
import { EndpointFeed } from '../../../control-plane/grpc/endpoint-feed.js';
import { Group } from '../../../control-plane/grpc/group.js';
import type { Outlet } from '../../../control-plane/grpc/outlet.js';
import { FakeMesh } from '../../support/fake-mesh.js';

function setUp(callees: readonly string[]) {
  const written: string[] = [];
  const outlet = { blocked: false, write: (bytes: Buffer) => void written.push(bytes.toString()) };
  const encode = (message: object) =>
    Buffer.from((message as { endpoints: { service: string } }).endpoints.service);
  const group = new Group('checkout', new FakeMesh('d'), encode);
  group.add(callees);
  const feed = new EndpointFeed(group, new EndpointBodies({ instances: () => [] }, encode));
  const write = (now: number) => feed.write(outlet as unknown as Outlet, now);
  return { written, outlet, group, write };
}

describe('endpoint feed', () => {
  it('tells of all callees first, in portions', () => {
    const callees = Array.from({ length: 40 }, (_, i) => `s${i}`);
    const { written, write } = setUp(callees);
    expect(write(0)).to.equal(0);
    expect(written).to.have.length(16);
    write(0);
    expect(write(0)).to.equal(undefined);
    expect(written).to.deep.equal(callees);
  });

  it('then of what changed: the first at once, what follows 100 ms later', () => {
    const { written, group, write } = setUp(['a', 'b']);
    write(0);
    group.noteInstances(new Set(['b', 'stranger']));
    expect(write(1)).to.equal(undefined);
    group.noteInstances(new Set(['a']));
    expect(write(2)).to.equal(101);
    write(101);
    expect(written).to.deep.equal(['a', 'b', 'b', 'a']);
  });

  it('comes back for what changed while it was busy', () => {
    const { written, group, outlet, write } = setUp(['a', 'b']);
    outlet.blocked = true;
    write(0);
    expect(written).to.deep.equal([]);
    group.noteInstances(new Set(['b']));
    outlet.blocked = false;
    expect(write(5)).to.equal(5);
    expect(write(5)).to.equal(undefined);
    expect(written).to.deep.equal(['a', 'b', 'b']);
  });
});
