/** How often and for how long, on the streams of agents; milliseconds. */

/** Both ends say something at least this often. */
export const heartbeatMs = 15_000;
/** Nothing heard for so many heartbeats: nobody is there. */
export const silentAfterMs = 3 * heartbeatMs;
/** A Hello that hasn't come by then won't. */
export const helloWithinMs = 10_000;
/** Instances of callees: the first change at once, what follows so long after. */
export const endpointsIntervalMs = 100;
/** A reader that has taken nothing for so long won't. */
export const slowAfterMs = 30_000;
export const intervals = { heartbeatMs, reportMs: 1000, urgentReportMs: 100 };
