/**
 * Everything the demo plays with: a control plane on an embedded store in a directory of its own, the three services and their
 * customers, each a process of its own, and the few ways to act on them. All of it goes over REST and gRPC as anybody's would.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '../../core/errors.js';
import type { Io } from '../io.js';
import { RestClient, type ServerEvent } from '../rest-client.js';
import type { Stage } from './stage.js';
import { Traffic } from './traffic.js';

export type Weather = 'healthy' | 'slow' | 'failing';

export const POLICY = 'payments-guard';

export interface Rig {
  readonly rest: RestClient;
  readonly grpcAddress: string;
  readonly weatherUrl: string;
  readonly traffic: Traffic;
  /** Calls that have reached payments so far. */
  reached(): Promise<number>;
  setWeather(weather: Weather): Promise<void>;
  /** Puts the policy; answers its revision once every agent concerned has it, and how long that took. */
  protect(): Promise<{ revision: number; agents: number; tookMs: number }>;
}

const REQUEST_TIMEOUT_MS = 5000;
const ROLLOUT_MS = 5000;
const shop = new URL('../../examples/shop/', import.meta.url);

/** Starts everything on that stage; `onEvent` hears of circuits. */
export async function startRig(stage: Stage, onEvent: (event: ServerEvent) => void): Promise<Rig> {
  const { children, directory, io } = stage;
  const control = await children.start('the control plane', new URL('../main.js', import.meta.url), {
    args: ['up', '--rest', '127.0.0.1:0', '--grpc', '127.0.0.1:0', '--mesh', 'demo'],
    env: { SWITCHGEAR_STORE: `embedded:${join(directory, 'store')}` },
  });
  const { rest: restUrl, grpc } = control.ready as { rest: string; grpc: string };
  const rest = clientOf(restUrl, io);
  rest.events('/v1/events?types=circuit', onEvent, stage.signal).catch((error: Error) => stage.fail(error));
  const parts = await startShop(stage, grpc);
  const weather = clientOf(parts.weatherUrl, io);
  return {
    rest,
    grpcAddress: grpc,
    weatherUrl: parts.weatherUrl,
    traffic: parts.traffic,
    reached: async () => (await weather.ask<{ calls: number }>('/')).body.calls,
    setWeather: async (name) => void (await weather.ask(`/weather/${name}`, { method: 'POST' })),
    protect: () => protect(rest, stage),
  };
}

function clientOf(url: string, io: Io): RestClient {
  return new RestClient({ server: new URL(url), timeoutMs: REQUEST_TIMEOUT_MS }, io.clock);
}

async function startShop({ children, directory }: Stage, grpc: string) {
  const env = { SWITCHGEAR_CONTROL_PLANE: grpc, XDG_STATE_HOME: directory };
  const [payments, , checkout] = await Promise.all([
    children.start('payments', new URL('payments.js', shop), { env }),
    children.start('inventory', new URL('inventory.js', shop), { env }),
    children.start('checkout', new URL('checkout.js', shop), { env }),
  ]);
  const customers = await children.start('customers', new URL('customers.js', shop), {
    env: { SHOP_CHECKOUT: `127.0.0.1:${checkout.ready.port}` },
  });
  return { weatherUrl: String(payments.ready.weather), traffic: new Traffic(customers) };
}

async function protect(rest: RestClient, stage: Stage): ReturnType<Rig['protect']> {
  const { clock } = stage.io;
  const start = clock.now();
  const { body: written } = await rest.ask<{ revision: number }>(`/v1/policies/${POLICY}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/yaml' },
    body: readFileSync(new URL(`${POLICY}.yaml`, shop), 'utf8'),
  });
  while (clock.now() - start < ROLLOUT_MS) {
    const { body } = await rest.ask<{ agents: { total: number; applied: number; refused: unknown[] } }>(
      `/v1/policies/${POLICY}/status`,
    );
    const { total, applied, refused } = body.agents;
    if (refused.length > 0)
      throw new MeshError('internal', `an agent refuses ${POLICY}: ${JSON.stringify(refused)}`);
    if (total > 0 && applied === total)
      return { revision: written.revision, agents: total, tookMs: clock.now() - start };
    await stage.pause(5);
  }
  throw new MeshError('unavailable', `${POLICY} was not in force on all agents within ${ROLLOUT_MS} ms`);
}
