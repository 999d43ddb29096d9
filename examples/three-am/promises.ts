/**
 * What the example promises, checked on counts alone, never on how fast a machine is. The ratio of latencies is a figure of one
 * run: it is shown, and decides nothing.
 */
import type { Figures } from './figures.js';
import type { Story } from './story.js';

export interface Promised {
  readonly what: string;
  readonly kept: boolean;
  readonly seen: string;
}

/** A share of the calls. Generous: a busy machine may lose a call of its own accord. */
const HEALTHY_FAILURES_MAX = 0.05;
/** Some are always served before the sockets are full. */
const UNGUARDED_FAILURES_MIN = 0.3;
const RECOVERED_ORDERS_MIN = 0.8;

export function judge({ scenes, transitions, protection }: Story): Promised[] {
  const { healthy, unguarded, guarded, recovered } = scenes;
  const opened = transitions.filter(
    ({ to, policy }) => to === 'open' && policy === protection?.policy,
  ).length;
  const few = (figures?: Figures) =>
    all(figures, ({ failed, calls }) => failed <= calls * HEALTHY_FAILURES_MAX);
  return [
    {
      what: 'all well, orders are placed and the catalogue is shown',
      kept: few(healthy?.orders) && few(healthy?.catalogue),
      seen: `${seen(healthy?.orders)}; ${seen(healthy?.catalogue)}`,
    },
    {
      what: 'no policy: the catalogue, which needs nothing of that database, fails with it',
      kept: all(unguarded?.catalogue, ({ failed, calls }) => failed >= calls * UNGUARDED_FAILURES_MIN),
      seen: seen(unguarded?.catalogue),
    },
    {
      what: 'guarded: the catalogue does not fail once',
      kept: all(guarded?.catalogue, ({ failed }) => failed === 0),
      seen: seen(guarded?.catalogue),
    },
    {
      what: 'guarded: every customer with an order is answered, with the basket kept',
      kept: all(guarded?.orders, ({ failed, degraded }) => failed === 0 && degraded > 0),
      seen: seen(guarded?.orders),
    },
    {
      what: 'the circuit opened, by that policy',
      kept: opened > 0,
      seen: ['closed', ...transitions.map(({ to }) => to)].join(' → '),
    },
    {
      what: 'well again, orders are placed, and the circuit is closed',
      kept:
        all(recovered?.orders, ({ ok, calls }) => ok >= calls * RECOVERED_ORDERS_MIN) &&
        transitions.at(-1)?.to === 'closed',
      seen: seen(recovered?.orders),
    },
  ];
}

/** How much longer the slowest in a hundred wait for the catalogue while the database hangs; NaN: not known. */
export function catalogueRatio({ scenes: { healthy, guarded } }: Story): number {
  return (guarded?.catalogue.p99Ms ?? Number.NaN) / (healthy?.catalogue.p99Ms ?? Number.NaN);
}

function all(figures: Figures | undefined, holds: (figures: Figures) => boolean): boolean {
  return figures !== undefined && figures.calls > 0 && holds(figures);
}

function seen(figures?: Figures): string {
  if (!figures) return 'nothing';
  const { calls, ok, degraded, failed } = figures;
  return `${calls} calls: ${ok} ok, ${degraded} degraded, ${failed} failed`;
}
