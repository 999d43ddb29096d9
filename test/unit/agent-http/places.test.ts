/**
 * Where the HTTP instances of a callee are, and waiting for the first word of it.
 */
import { expect } from 'chai';
import { Places } from '../../../agent/http/places.js';
import { seededRandom } from '../../../core/random.js';
import type { Endpoint } from '../../../proto/messages.js';
import { endpoints } from '../../support/http-callee.js';
import { rejectionOf } from '../../support/targets.js';

function directory() {
  const lists = new Map<string, readonly Endpoint[]>();
  const watchers = new Set<() => void>();
  return {
    lists,
    watchers,
    get: (service: string) => lists.get(service),
    watch(_service: string, changed: () => void) {
      watchers.add(changed);
      return () => void watchers.delete(changed);
    },
    tell(list: readonly Endpoint[]) {
      lists.set('payments', list);
      for (const watcher of [...watchers]) watcher();
    },
  };
}

describe('the places of HTTP instances', () => {
  const made = () => {
    const known = directory();
    return { known, places: new Places(known, seededRandom(1)) };
  };
  const signal = () => new AbortController().signal;

  it('are unknown until somebody says', () => {
    expect(made().places.get('payments')).to.equal(undefined);
  });

  it('are those that speak HTTP and can be connected to, each once', () => {
    const { known, places } = made();
    known.tell([
      ...endpoints(['10.0.0.1:80', '10.0.0.1:80', '[fe80::1%eth0]:80', 'nonsense', '[::1]:80']),
      ...endpoints(['10.0.0.2:80'], 'grpc'),
    ]);
    expect(places.get('payments')?.size).to.equal(2);
  });

  it('are known by what a URL calls their host', () => {
    const { known, places } = made();
    known.tell(endpoints(['10.0.0.1:80', '10.0.0.2:8080']));
    places.get('payments');
    for (const [host, is] of [
      ['10.0.0.1', true],
      ['10.0.0.2:8080', true],
      ['10.0.0.2', false],
      ['10.0.0.3:8080', false],
    ] as const)
      expect(places.has('payments', host), host).to.equal(is);
    expect(places.has('inventory', '10.0.0.1')).to.equal(false);
  });

  it('keep their turns while the list holds', () => {
    const { known, places } = made();
    known.tell(endpoints(['a:1', 'b:1']));
    const balance = places.get('payments');
    expect(places.get('payments')).to.equal(balance);
    known.tell(endpoints(['a:1', 'b:1', 'c:1']));
    expect(places.get('payments')).to.not.equal(balance);
  });

  it('that are none say what to do', () => {
    const { known, places } = made();
    known.tell([]);
    expect(() => places.get('payments')).to.throw(
      /^\[no_instances\] payments: no instance is registered; start one that calls mesh\.register\(\{ port, protocol: 'http' \}\)/,
    );
    known.tell(endpoints(['10.0.0.1:80'], 'grpc'));
    expect(() => places.get('payments')).to.throw(
      /^\[no_instances\] payments: none of its 1 instances speaks HTTP \(the first registered grpc at 10\.0\.0\.1:80\)/,
    );
  });

  it('are waited for, and nobody is left listening', async () => {
    const { known, places } = made();
    const waiting = places.wait('payments', signal());
    known.tell(endpoints(['a:1']));
    expect((await waiting).pick(0)).to.equal('a:1');
    expect(known.watchers.size).to.equal(0);
  });

  it('are waited for in vain where the first word is that there are none', async () => {
    const { known, places } = made();
    const waiting = places.wait('payments', signal());
    known.tell([]);
    expect(await rejectionOf(waiting)).to.have.property('code', 'no_instances');
    expect(known.watchers.size).to.equal(0);
  });

  it('are waited for until the signal aborts', async () => {
    const { known, places } = made();
    const controller = new AbortController();
    const waiting = places.wait('payments', controller.signal);
    controller.abort('enough');
    expect(await rejectionOf(waiting)).to.equal('enough');
    expect(await rejectionOf(places.wait('payments', controller.signal))).to.equal('enough');
    expect(known.watchers.size).to.equal(0);
  });

  it('are waited for until the mesh closes', async () => {
    const { known, places } = made();
    const waiting = places.wait('payments', signal());
    places.close();
    expect(await rejectionOf(waiting)).to.have.property('code', 'mesh_closed');
    expect(await rejectionOf(places.wait('payments', signal()))).to.have.property('code', 'mesh_closed');
    expect(known.watchers.size).to.equal(0);
  });
});
