/**
 * Targets of the service `inventory` on the system's clock, for calls over real sockets: the policies that hold are whatever the test
 * says last.
 */
import { Targets } from '../../agent/targets.js';
import { systemClock } from '../../core/clock.js';
import type { Effective } from '../../core/policy/model.js';
import { keptLogger } from './logs.js';
import { evenRandom } from './specs.js';

export function liveTargets(effective: () => Effective): Targets {
  return new Targets({
    service: 'inventory',
    clock: systemClock,
    random: evenRandom,
    logger: keptLogger(),
    effective,
    onNewCallee: () => undefined,
    onCircuit: () => undefined,
  });
}
