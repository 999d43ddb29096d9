/**
 * What the streams of one replica share, handed to each of them as one value. Put together once, in `server.ts`.
 */
import type { Clock } from '../../core/clock.js';
import type { CircuitRoom } from '../coordination/room.js';
import type { Mirror } from '../ports.js';
import type { Rates } from '../rates/rates.js';
import type { Learner } from '../registry/learner.js';
import type { Leases } from '../registry/leases.js';
import type { Logger } from '../telemetry/logger.js';
import type { BrownoutBodies } from './brownout-feed.js';
import type { DirectiveBodies } from './directive-lane.js';
import type { FanOut } from './fan-out.js';
import type { HealthWindow } from './health-window.js';
import type { LatencyWindow } from './latency-window.js';
import type { Lists } from './lists.js';
import type { GrpcMetrics } from './metrics.js';
import type { Pump } from './pump.js';
import type { RateShares } from './rate-shares.js';
import type { RosterEvents } from './roster-events.js';
import type { Welcomes } from './welcomes.js';

export interface Room {
  readonly mesh: string;
  readonly replica: string;
  readonly mirror: Mirror;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GrpcMetrics;
  readonly pump: Pump;
  readonly fanOut: FanOut;
  readonly leases: Leases;
  readonly learner: Learner;
  readonly health: HealthWindow;
  readonly latencies: LatencyWindow;
  readonly events: RosterEvents;
  /** What agents say of themselves in the same words. */
  readonly lists: Lists;
  readonly rates: Rates;
  /** Circuits of the mesh; undefined: there are none, and reports are for people only. */
  readonly circuits: CircuitRoom | undefined;
  /** Undefined: agents are told of none. */
  readonly directives: DirectiveBodies | undefined;
  readonly rateShares: RateShares;
  readonly welcomes: Welcomes;
  /** Undefined: agents are told of none. */
  readonly brownout: BrownoutBodies | undefined;
}
