/**
 * The way in. It reads the settings, starts the agent and waits a moment for the control plane's first word; it never fails, and
 * never waits longer, because that is away. Only what somebody has to correct is an error.
 */
import { isLoopback } from '../agent/addresses.js';
import { Agent } from '../agent/agent.js';
import { stderrLogger, tolerant } from '../agent/logger.js';
import { systemClock } from '../core/clock.js';
import { systemRandom } from '../core/random.js';
import { controlPlaneCredentials } from './credentials.js';
import { LiveMesh } from './mesh.js';
import { PassThroughMesh } from './pass-through.js';
import { readSettings } from './settings.js';
import type { ConnectOptions, Mesh } from './types.js';
import { misspelt } from './variables.js';

/** How long the start of a service waits for the control plane. */
const FIRST_STATE_MS = 1_000;

/**
 * Connects this process to its mesh. Resolves at the first complete state, or after 1 s without one: then the service starts
 * under its snapshot, or unprotected, says so in its log, and catches up as soon as it can. `SWITCHGEAR_DISABLED=1` makes a mesh
 * that lets everything pass.
 * @throws MeshError `invalid_configuration`, with an issue for each option or variable that is wrong.
 */
export async function connect(options: ConnectOptions = {}): Promise<Mesh> {
  const settings = readSettings(options, process.env, systemRandom);
  const logger = tolerant(settings.logger ?? stderrLogger);
  for (const { variable, meant } of misspelt(process.env))
    logger.warn({ variable }, `this variable is not known; did you mean ${meant}?`);
  if (settings.disabled) {
    logger.info({ service: settings.service }, 'switchgear is disabled: nothing is enforced');
    return new PassThroughMesh(settings);
  }
  if (settings.token !== undefined && !settings.tls && !settings.addresses.every(isLoopback))
    logger.warn(
      {},
      'the token goes to the control plane unencrypted: use the option tls, or SWITCHGEAR_TLS=1',
    );
  const credentials = await controlPlaneCredentials(settings.tls);
  const agent = new Agent({
    ...settings,
    credentials: { credentials, serverName: settings.tls?.serverName },
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  await agent.start();
  if (!(await agent.level(FIRST_STATE_MS))) {
    const { controlPlane, policies, snapshot } = agent.status();
    const fields = { service: settings.service, controlPlane };
    if (snapshot?.restored)
      logger.warn(
        { ...fields, policies, snapshot: snapshot.path, ageMs: snapshot.ageMs },
        'no state from the control plane yet: starting under the last one known',
      );
    else logger.warn(fields, 'no state from the control plane yet and no snapshot: starting unprotected');
  }
  return new LiveMesh(agent, settings);
}
