/**
 * What REST is given, with the parts a test wants to hold in its hands: a real mirror over the memory store, a roster that says
 * what the test says, a clock that stands still if one is given.
 */
import { createAuthenticator } from '../../control-plane/auth/authenticate.js';
import { createBrownout } from '../../control-plane/brownout.js';
import { CircuitRoom } from '../../control-plane/coordination/room.js';
import { createEventHub } from '../../control-plane/events.js';
import { openMirror } from '../../control-plane/mirror.js';
import { createOverrides } from '../../control-plane/overrides.js';
import type { Mirror } from '../../control-plane/ports.js';
import type { RestContext } from '../../control-plane/rest/context.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { type Logger, silentLogger } from '../../control-plane/telemetry/logger.js';
import { createTelemetry } from '../../control-plane/telemetry/metrics.js';
import { type Clock, systemClock } from '../../core/clock.js';
import type { ClusterView } from '../../core/coordination/contract.js';
import { systemRandom } from '../../core/random.js';
import { FakeRoster } from './fake-roster.js';

export interface TestContext extends RestContext {
  readonly roster: FakeRoster;
  readonly store: Store;
  /** What is said of circuits of the mesh, instead of the room. */
  views: readonly ClusterView[] | undefined;
  close(): Promise<void>;
}

export async function restContext(
  options: {
    clock?: Clock;
    logger?: Logger;
    mirror?: (real: Mirror) => Mirror;
    unreadyReason?: () => string;
  } = {},
): Promise<TestContext> {
  const { clock = systemClock, logger = silentLogger } = options;
  const store = await openStore('memory', { mesh: 'm', replica: 'r1' });
  const real = await openMirror(store, { replica: 'r1' });
  const mirror = options.mirror?.(real) ?? real;
  const roster = new FakeRoster();
  const brownout = createBrownout({ mirror, clock, logger });
  const overrides = createOverrides({ mirror, clock, logger });
  const room = new CircuitRoom({ mirror, store, replica: 'r1', clock, random: systemRandom, logger });
  brownout.observe(roster, room);
  const wallNow = () => clock.wallNow();
  const now = () => clock.now();
  const events = createEventHub({ mirror, roster, brownout, overrides, now, wallNow, source: 'r1', logger });
  const telemetry = createTelemetry({ mesh: 'm', replica: 'r1' });
  telemetry.observe({ mirror, roster, brownout, eventStreams: () => events.readers });
  const context: TestContext = {
    mesh: 'm',
    replica: 'r1',
    mirror,
    store,
    roster,
    brownout,
    circuits: {
      views: () => context.views ?? room.views(),
      get frozen() {
        return room.frozen;
      },
      ejected: (callee) => room.ejected(callee),
      onTransition: (listener) => room.onTransition(listener),
      wake: () => room.wake(),
    },
    overrides,
    views: undefined,
    events,
    telemetry,
    authenticator: createAuthenticator(undefined),
    clock,
    random: systemRandom,
    logger,
    onLoopback: true,
    unreadyReason: options.unreadyReason ?? (() => ''),
    async close() {
      events.close();
      brownout.close();
      await room.close();
      overrides.close();
      await real.close();
      await store.close();
    },
  };
  return context;
}
