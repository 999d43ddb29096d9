/**
 * The night in five scenes, under the same load throughout: all is well; the orders' database hangs, and nothing protects from it;
 * a policy is put over REST while it still hangs; it hangs on; it is well again. This only acts and records: what must be true of
 * the record is `promises.ts`, how it looks `report.ts`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ControlPlane } from '../../control-plane/index.js';
import { type Protection, protect } from './control.js';
import type { Scene } from './figures.js';
import type { Process, Processes } from './processes.js';

export const scenes = {
  healthy: 'healthy',
  unguarded: 'hangs, no policy',
  arriving: 'hangs, policy arrives',
  guarded: 'hangs, guarded',
  recovered: 'well again',
} as const;
export type SceneName = keyof typeof scenes;

export interface Transition {
  readonly from: string;
  readonly to: string;
  readonly policy: string;
  readonly revision: number;
}

export interface Story {
  readonly scenes: Partial<Record<SceneName, Scene>>;
  readonly transitions: Transition[];
  protection?: Protection;
}

const WARM_UP_MS = 3000;
const HEALTHY_MS = 5000;
const UNGUARDED_MS = 3000;
const GUARDED_MS = 5000;
const RECOVERED_MS = 2000;
/** The circuit's wait doubles while the database hangs; what is left of it when that ends is less. */
const RECOVERY_WITHIN_MS = 12_000;

export async function play(
  processes: Processes,
  plane: Pick<ControlPlane, 'restUrl' | 'grpcAddress'>,
  tell: (text: string) => void,
): Promise<Story> {
  const story: Story = { scenes: {}, transitions: [] };
  const databases = await processes.start('databases');
  const storefront = await processes.start('storefront', {
    THREE_AM_ORDERS: String(databases.ready.orders),
    THREE_AM_CATALOGUE: String(databases.ready.catalogue),
    SWITCHGEAR_CONTROL_PLANE: plane.grpcAddress,
    SWITCHGEAR_SNAPSHOT: 'off',
  });
  storefront.onMessage(({ circuit }) => story.transitions.push(circuit as Transition));
  const gateway = await processes.start('gateway', { THREE_AM_STOREFRONT: String(storefront.ready.port) });
  const upstreamTimeoutMs = Number(gateway.ready.upstreamTimeoutMs);
  const scene = scenesOf(gateway, story);

  tell(`two databases, storefront, gateway (${gateway.ready.sockets} sockets) and control plane are running`);
  await pause(WARM_UP_MS);
  tell('all is well');
  await scene('healthy', () => pause(HEALTHY_MS));
  tell("03:00, the orders' database hangs (SIGSTOP), and no policy says what to do then");
  databases.send('hang');
  await scene('unguarded', () => pause(UNGUARDED_MS));
  await scene('arriving', async () => {
    const protection = await protect(plane.restUrl);
    story.protection = protection;
    const { policy, revision, inForceMs } = protection;
    tell(
      `still hanging; ${policy}@${revision} put over REST, in force after ${inForceMs.toFixed(0)} ms, nothing restarted`,
    );
    // What was under way goes on as it began, until the gateway gives it up.
    await pause(upstreamTimeoutMs);
  });
  tell('still hanging, under that policy');
  await scene('guarded', () => pause(GUARDED_MS));
  databases.send('go on');
  tell('the database goes on (SIGCONT)');
  await closing(story);
  await scene('recovered', () => pause(RECOVERED_MS));
  return story;
}

/** Gives the gateway's time a name while something lasts, and waits for the last call that began in it. */
function scenesOf(gateway: Process, { scenes: played }: Story) {
  const settled = new Map<string, (scene: Scene) => void>();
  gateway.onMessage(({ label, scene }) => settled.get(String(label))?.(scene as Scene));
  return async (name: SceneName, lasts: () => Promise<unknown>): Promise<void> => {
    const ended = new Promise<Scene>((resolve) => settled.set(name, resolve));
    gateway.send(name);
    await lasts();
    gateway.send('');
    played[name] = await ended;
  };
}

/** Until the circuit has closed; if it doesn't in time, the promises say so. */
async function closing({ transitions }: Story): Promise<void> {
  for (let waitedMs = 0; transitions.at(-1)?.to !== 'closed' && waitedMs < RECOVERY_WITHIN_MS; waitedMs += 20)
    await pause(20);
}
