/**
 * What the routes are given, and what a request carries on its way through them. Routes read the mirror and the roster, write
 * through the mirror, and know nothing of stores, streams or each other.
 */
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import type { Authenticator } from '../auth/authenticate.js';
import type { Role } from '../auth/tokens.js';
import type { Form } from '../documents.js';
import type { EventHub } from '../events.js';
import type { Brownout, Circuits, Mirror, Overrides, Roster } from '../ports.js';
import type { Logger } from '../telemetry/logger.js';
import type { Telemetry } from '../telemetry/metrics.js';

export interface RestContext {
  readonly mesh: string;
  readonly replica: string;
  readonly mirror: Mirror;
  readonly roster: Roster;
  readonly brownout: Brownout;
  readonly circuits: Circuits;
  readonly overrides: Overrides;
  readonly events: EventHub;
  readonly telemetry: Telemetry;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Why this replica takes no new agents at present; empty: it does. */
  readonly unreadyReason: () => string;
  /** Whether this face listens on loopback only. */
  readonly onLoopback: boolean;
}

export type App = FastifyInstance;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a token needs for this route; `open`: no token. Absent: `operator`, so that a forgotten one fails safe. */
    access?: Role | 'open';
    /** Forms of the answer, the usual one first; empty: the route sees to `Accept` itself. Absent: JSON and YAML. */
    forms?: readonly Form[];
    /** Its path in the description, where the router needs another. */
    shownAs?: string;
    /** Whether it answers from what the store holds. */
    needsStore?: boolean;
  }

  interface FastifyRequest {
    /** Whose token it is, or `anonymous`: the author of what the request does. */
    author: string;
    /** What the client wants the answer in. */
    form: Form;
    /** Monotonic milliseconds of arrival. */
    arrivedAt: number;
  }
}
