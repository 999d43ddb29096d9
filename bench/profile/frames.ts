/**
 * What V8's sampling profiler wrote, as a tree of frames: one for each function under each caller, with the time that was spent in it
 * and under it. Idle time and the time outside of JavaScript are no part of the tree; they stand beside it.
 */

/** As `Profiler.stop` answers it and `--cpu-prof` writes it; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  /** Ids of nodes, and the time that passed before each sample. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

export interface CallFrame {
  readonly functionName: string;
  /** `'0'`: no script, so a function of the machine. */
  readonly scriptId: string;
  readonly url: string;
  /** From 0; -1 where there is none. */
  readonly lineNumber: number;
}

/** What a frame belongs to: `ours`, `benchmark`, `node`, `node http2`, `gc`, or the name of a package. */
export type Owner = string;

export interface Frame {
  readonly name: string;
  /** `dist/agent/guard.js:41`, `@grpc/grpc-js/build/src/server.js:310`, `node:net:7`; `native` or `generated` where there is no file. */
  readonly place: string;
  readonly owner: Owner;
  /** In the function itself, microseconds. */
  selfUs: number;
  /** With everything that it called. */
  totalUs: number;
  readonly children: Frame[];
}

export interface Tree {
  /** Named `all`; its total is the time in JavaScript, in what that called, and in the collector. */
  readonly root: Frame;
  /** Waiting, as V8 sees it: what Node does for its sockets before it calls JavaScript is in here. */
  readonly idleUs: number;
  /** Outside of JavaScript and not waiting. */
  readonly programUs: number;
  /** From start to stop. */
  readonly wallUs: number;
}

const IDLE = '(idle)';
const PROGRAM = '(program)';
const COLLECTOR = '(garbage collector)';

/**
 * Frames of a profile, largest first at each level. `root`: the repository's directory as a URL with a slash at its end; no path of the
 * machine gets into the tree. Throws on a profile without a root, or with samples of nodes that it doesn't have.
 */
export function frames(profile: CpuProfile, root: string): Tree {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const top = profile.nodes[0];
  if (top?.callFrame.functionName !== '(root)')
    throw new Error('a profile opens with the node "(root)"; this one does not');
  const spent = weights(profile, nodes);
  const all: Frame = { name: 'all', place: '', owner: '', selfUs: 0, totalUs: 0, children: [] };
  let idleUs = 0;
  let programUs = 0;
  const childrenOf = (node: ProfileNode) =>
    (node.children ?? []).flatMap((id) => {
      const child = nodes.get(id);
      return child ? [child] : [];
    });
  const add = (node: ProfileNode, parent: Frame): void => {
    const frame = frameOf(node.callFrame, parent, root);
    frame.selfUs += spent.get(node.id) ?? 0;
    for (const child of childrenOf(node)) add(child, frame);
  };
  for (const node of childrenOf(top)) {
    const { functionName } = node.callFrame;
    if (functionName === IDLE) idleUs += spent.get(node.id) ?? 0;
    else if (functionName === PROGRAM) programUs += spent.get(node.id) ?? 0;
    else add(node, all);
  }
  settle(all);
  return { root: all, idleUs, programUs, wallUs: profile.endTime - profile.startTime };
}

/** Microseconds by node: a sample stands for the time until the next one. */
function weights(
  { samples, timeDeltas }: CpuProfile,
  nodes: ReadonlyMap<number, ProfileNode>,
): Map<number, number> {
  const spent = new Map<number, number>();
  for (const [i, id] of samples.entries()) {
    if (!nodes.has(id)) throw new Error(`sample ${i} is of node ${id}, which the profile does not have`);
    // V8 sorts no samples: one that was taken late has a negative time.
    const us = Math.max(0, timeDeltas[i + 1] ?? 0);
    spent.set(id, (spent.get(id) ?? 0) + us);
  }
  return spent;
}

/** The parent's frame of that function, made by the first node that needs it: V8 has several nodes for one. */
function frameOf(callFrame: CallFrame, parent: Frame, root: string): Frame {
  const { name, place, owner } = identify(callFrame, parent.owner, root);
  const known = parent.children.find((child) => child.name === name && child.place === place);
  if (known) return known;
  const made: Frame = { name, place, owner, selfUs: 0, totalUs: 0, children: [] };
  parent.children.push(made);
  return made;
}

/** Totals, and the order of children: largest first, then by name, so that the same profile makes the same picture. */
function settle(frame: Frame): void {
  for (const child of frame.children) settle(child);
  frame.totalUs = frame.children.reduce((sum, { totalUs }) => sum + totalUs, frame.selfUs);
  frame.children.sort(
    (a, b) => b.totalUs - a.totalUs || `${a.name} ${a.place}`.localeCompare(`${b.name} ${b.place}`),
  );
}

/** A function without a file belongs to whoever called it. */
function identify(
  { functionName, scriptId, url, lineNumber }: CallFrame,
  caller: Owner,
  root: string,
): Pick<Frame, 'name' | 'place' | 'owner'> {
  if (functionName === COLLECTOR) return { name: 'garbage collector', place: 'native', owner: 'gc' };
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') {
    const place = scriptId === '0' ? 'native' : 'generated';
    return { name, place, owner: caller === '' ? 'node' : caller };
  }
  const line = `:${lineNumber + 1}`;
  if (url.startsWith('node:')) {
    const owner = url.startsWith('node:internal/http2/') || url === 'node:http2' ? 'node http2' : 'node';
    return { name, place: `${url}${line}`, owner };
  }
  const path = url.startsWith(root) ? url.slice(root.length) : url;
  const package_ = path.split('node_modules/').at(-1) ?? path;
  if (package_ !== path) return { name, place: `${package_}${line}`, owner: packageName(package_) };
  // Of a file outside of the repository no more than its name.
  const inside = path !== url || !/^[a-z]+:/.test(url);
  if (!inside) return { name, place: `${path.split('/').at(-1)}${line}`, owner: 'other' };
  return { name, place: `${path}${line}`, owner: path.startsWith('bench/') ? 'benchmark' : 'ours' };
}

/** `@grpc/grpc-js/build/x.js` → `@grpc/grpc-js`. */
function packageName(path: string): string {
  const parts = path.split('/');
  return parts.slice(0, path.startsWith('@') ? 2 : 1).join('/');
}
