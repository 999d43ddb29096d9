/**
 * A lease as its instance sees it: asked for until it is stored, on every new stream again, and given back.
 */
import { expect } from 'chai';
import { Registration } from '../../../agent/registration.js';
import { MeshError } from '../../../core/errors.js';
import { seededRandom } from '../../../core/random.js';
import { keptLogger } from '../../support/logs.js';
import { type KeptOutlet, keptOutlet } from '../../support/outlet.js';
import { rejectionOf, settled } from '../../support/targets.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const place = { address: ':50051', protocol: 'grpc', version: '1.0.0' };

function setUp() {
  const clock = new VirtualClock();
  const logger = keptLogger();
  const registration = new Registration({ clock, random: seededRandom(1), logger });
  const outlet = keptOutlet();
  const answer = (to: KeptOutlet, error = '', code = '') => {
    const requestId = to.of('lease').at(-1)?.lease.requestId ?? '';
    registration.result({ requestId, ttlMs: 60_000, error, code });
  };
  return { clock, logger, registration, outlet, answer };
}

describe('a registration', () => {
  it('is said on the stream, and resolves once it is stored', async () => {
    const { registration, outlet, answer } = setUp();
    registration.use(outlet);
    let stored = false;
    const promise = registration.register(place).then(() => {
      stored = true;
    });
    expect(outlet.of('lease')[0]?.lease).to.include({ ...place, release: false, weight: 1 });
    await settled();
    expect(stored).to.equal(false);
    answer(outlet);
    await promise;
    expect(registration.held).to.equal(true);
  });

  it('waits for a stream, however long that takes', async () => {
    const { clock, registration, outlet, answer } = setUp();
    const promise = registration.register(place);
    clock.advance(3_600_000);
    registration.use(outlet);
    answer(outlet);
    await promise;
  });

  it('is said again on each new stream, under the same request', async () => {
    const { registration, outlet, answer } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    answer(outlet);
    await promise;
    registration.use(undefined);
    expect(registration.held).to.equal(false);
    const next = keptOutlet();
    registration.use(next);
    expect(next.of('lease')[0]).to.deep.equal(outlet.of('lease')[0]);
    answer(next);
    expect(registration.held).to.equal(true);
  });

  it('is asked for again, less and less often, while the store is away', async () => {
    const { clock, registration, outlet, answer } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    for (let n = 0; n < 8; n++) {
      answer(outlet, 'the store does not answer', 'store_unavailable');
      clock.advance(30_000);
    }
    expect(outlet.of('lease')).to.have.length(9);
    answer(outlet);
    await promise;
    expect(clock.pendingTimers).to.equal(0);
  });

  it('rejects with the refusal of the control plane, and does not repeat itself', async () => {
    const { clock, registration, outlet, answer } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    answer(outlet, 'a newer process is registered under this name', 'revision_conflict');
    const error = await rejectionOf(promise);
    expect(error).to.be.instanceOf(MeshError).with.property('code', 'revision_conflict');
    registration.use(keptOutlet());
    expect(clock.pendingTimers).to.equal(0);
    expect(registration.address).to.equal(undefined);
  });

  it('calls a code it does not know invalid_request', async () => {
    const { registration, outlet, answer } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    answer(outlet, 'something of tomorrow', 'code_of_tomorrow');
    expect(await rejectionOf(promise)).to.have.property('code', 'invalid_request');
  });

  it('tells people when a lease that was held is refused', async () => {
    const { registration, outlet, answer, logger } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    answer(outlet);
    await promise;
    answer(outlet, 'a newer process', 'revision_conflict');
    expect(logger.of('error')[0]?.message).to.equal('this instance is not registered: a newer process');
    expect(registration.held).to.equal(false);
  });

  it('is replaced by a second one', async () => {
    const { registration, outlet, answer } = setUp();
    registration.use(outlet);
    const first = registration.register(place);
    const second = registration.register({ ...place, address: ':50052' });
    expect(await rejectionOf(first)).to.be.instanceOf(MeshError);
    answer(outlet);
    await second;
    expect(registration.address).to.equal(':50052');
  });

  it('ignores answers to what it did not ask', () => {
    const { registration, outlet } = setUp();
    registration.use(outlet);
    void registration.register(place).catch(() => {});
    registration.result({ requestId: 'another', ttlMs: 1, error: '', code: '' });
    expect(registration.held).to.equal(false);
  });

  it('is given back at the end, and waits for the answer', async () => {
    const { clock, registration, outlet, answer } = setUp();
    registration.use(outlet);
    const promise = registration.register(place);
    answer(outlet);
    await promise;
    const released = registration.release(1_000);
    expect(outlet.of('lease').at(-1)?.lease.release).to.equal(true);
    answer(outlet);
    await released;
    expect(clock.pendingTimers).to.equal(0);
  });

  it('is given back without an answer after a while', async () => {
    const { clock, registration, outlet } = setUp();
    registration.use(outlet);
    void registration.register(place).catch(() => {});
    const released = registration.release(1_000);
    clock.advance(1_000);
    await released;
    expect(clock.pendingTimers).to.equal(0);
  });

  it('rejects who waits when the mesh closes', async () => {
    const { clock, registration } = setUp();
    const promise = registration.register(place);
    await registration.release(1_000);
    expect(await rejectionOf(promise)).to.have.property('code', 'mesh_closed');
    expect(clock.pendingTimers).to.equal(0);
  });
});
