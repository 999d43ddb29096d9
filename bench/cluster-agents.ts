/**
 * Some of the agents of `cluster.ts`, in a process of their own: each a mesh with a stream of its own, calling at a pace and on a
 * word of its parent. What each call came to is counted here; instants are of the machine's clock, which all processes share.
 */
type Sdk = typeof import('../sdk/index.js');
type Mesh = import('../sdk/index.js').Mesh;

export interface Start {
  readonly type: 'start';
  readonly service: string;
  readonly from: number;
  readonly count: number;
  readonly controlPlanes: readonly string[];
  readonly callees: readonly string[];
}

/** Calls to a callee fail from now on, or no more. */
export interface Fate {
  readonly type: 'fate';
  readonly callee: string;
  readonly dead: boolean;
}

/** One call of every agent at once. */
export interface Burst {
  readonly type: 'burst';
  readonly callee: string;
}

/** Each agent calls these once a second, each at a moment of its own; empty: none. */
export interface Pace {
  readonly type: 'pace';
  readonly callees: readonly string[];
}

/** Answered with `Seen` once every agent's circuit is in one of these states. */
export interface Await {
  readonly type: 'await';
  readonly callee: string;
  readonly states: readonly string[];
}

export type ToAgents =
  | Start
  | Fate
  | Burst
  | Pace
  | Await
  | { readonly type: 'count'; readonly callee: string };

export type FromAgents =
  | { readonly type: 'ready' }
  /** `at`: when the last of them was. */
  | { readonly type: 'seen'; readonly callee: string; readonly at: number }
  /** Calls that reached the callee and failed, since the last time. */
  | { readonly type: 'counted'; readonly callee: string; readonly failed: number };

const SECOND_MS = 1000;
const LOOK_MS = 1;

const meshes: Mesh[] = [];
const dead = new Set<string>();
const failed = new Map<string, number>();
let paced: readonly string[] = [];

const tell = (message: FromAgents) => process.send?.(message);
const instant = () => performance.timeOrigin + performance.now();

function call(mesh: Mesh, callee: string): void {
  const fn = async () => {
    if (!dead.has(callee)) return;
    failed.set(callee, (failed.get(callee) ?? 0) + 1);
    throw Object.assign(new Error('dead'), { code: 'UNAVAILABLE' });
  };
  mesh.guard(callee, fn).catch(() => {});
}

async function start({ service, from, count, controlPlanes, callees }: Start): Promise<void> {
  const { connect } = (await import(new URL('../dist/light/sdk.js', import.meta.url).href)) as Sdk;
  for (let i = 0; i < count; i++) {
    const mesh = await connect({
      service,
      instance: `agent-${from + i}`,
      callees: [...callees],
      controlPlane: controlPlanes[(from + i) % controlPlanes.length] as string,
      snapshot: false,
    });
    meshes.push(mesh);
    const pace = () => {
      for (const callee of paced) call(mesh, callee);
    };
    setTimeout(() => setInterval(pace, SECOND_MS), Math.random() * SECOND_MS);
  }
  tell({ type: 'ready' });
}

function await_({ callee, states }: Await): void {
  const waiting = new Set(meshes);
  const look = () => {
    for (const mesh of waiting) if (states.includes(mesh.circuit(callee).state)) waiting.delete(mesh);
    if (waiting.size > 0) setTimeout(look, LOOK_MS);
    else tell({ type: 'seen', callee, at: instant() });
  };
  look();
}

process.on('message', (message: ToAgents) => {
  if (message.type === 'start') void start(message);
  else if (message.type === 'burst') for (const mesh of meshes) call(mesh, message.callee);
  else if (message.type === 'pace') paced = message.callees;
  else if (message.type === 'await') await_(message);
  else if (message.type === 'count') {
    tell({ type: 'counted', callee: message.callee, failed: failed.get(message.callee) ?? 0 });
    failed.set(message.callee, 0);
  } else if (message.dead) dead.add(message.callee);
  else dead.delete(message.callee);
});
process.on('disconnect', () => process.exit(0));
