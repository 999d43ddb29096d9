/**
 * A small fleet under one circuit of the mesh: real agents in this process, each calling a callee that is a function here, so that a
 * test can let it fail, see every call that reaches it, and let agents come and go.
 */
import { connect, type Mesh } from '../../sdk/index.js';
import { keptLogger } from './logs.js';
import { until } from './until.js';

export interface ClusterCircuit {
  window?: string;
  minimumCalls?: number;
  openFor?: string;
  halfOpen?: object;
  cluster?: object;
}

/** Fast enough for a test, with a local window in which nobody's own calls suffice. */
export function clusterPolicy(
  changes: ClusterCircuit = {},
  policy = 'inventory-default',
): Record<string, unknown> {
  const { cluster, ...own } = changes;
  const circuit = {
    window: '60s',
    minimumCalls: 8,
    openFor: '1s',
    halfOpen: { calls: 3 },
    scope: 'cluster',
    ...own,
    cluster: { window: '2s', minReporters: 3, ramp: ['25%', '100%'], rampStep: '1s', ...cluster },
  };
  return { policy, match: { to: 'inventory' }, spec: { circuit } };
}

export class Caller {
  /** Calls that reached the callee, and those of them that failed. */
  reached = 0;
  failed = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly mesh: Mesh,
    private readonly callee: { failing: boolean; reached: number },
  ) {}

  get state(): string {
    return this.mesh.circuit('inventory').state;
  }

  call(): Promise<unknown> {
    const call = this.mesh.guard('inventory', async () => {
      this.reached++;
      this.callee.reached++;
      if (!this.callee.failing) return;
      this.failed++;
      throw new Error('out of order');
    });
    return call.catch((error: unknown) => error);
  }

  /** So many calls a second until told otherwise. */
  load(perSecond: number): this {
    clearInterval(this.#timer);
    if (perSecond > 0) this.#timer = setInterval(() => void this.call(), 1_000 / perSecond);
    return this;
  }
}

export class ClusterFleet {
  readonly callee = { failing: false, reached: 0 };
  readonly callers: Caller[] = [];

  /** `controlPlane`: `host:port`, or several with commas. */
  async join(instance: string, controlPlane: string, options: object = {}): Promise<Caller> {
    const mesh = await connect({
      ...{ service: 'checkout', instance, controlPlane, callees: ['inventory'], snapshot: false },
      logger: keptLogger(),
      ...options,
    });
    const caller = new Caller(mesh, this.callee);
    this.callers.push(caller);
    return caller;
  }

  get states(): string[] {
    return this.callers.map(({ state }) => state);
  }

  all(state: string, what = `all agents ${state}`, timeoutMs = 20_000): Promise<unknown> {
    return until(() => this.states.every((each) => each === state), { what: `${what}`, timeoutMs }).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; they are ${this.states.join()}`);
      },
    );
  }

  async close(): Promise<void> {
    for (const caller of this.callers) caller.load(0);
    await Promise.all(this.callers.map(({ mesh }) => mesh.close()));
  }
}
