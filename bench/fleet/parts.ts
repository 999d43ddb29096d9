/**
 * The processes of the fleet benchmark: light agents in some, a bare server in one, and what `/proc` says of any.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Expect, FromAgents, ToAgents, Who } from './agents.js';
import type { FromBare, ToBare } from './bare.js';

/** Of /proc/<pid>/stat; Linux has 100 in a second. */
const TICK_MS = 10;
const HEARD_WITHIN_MS = 120_000;

export const instant = () => performance.timeOrigin + performance.now();

/** Processes that this one has started and that live. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Milliseconds of CPU that a process has used, and those that it has started. */
export function cpuMs(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + cpuOf(each), 0);
}

function cpuOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Kilobytes of memory that a process holds. */
export function rssKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

class Process<To extends object, From extends { readonly type: string }> {
  readonly #child: ChildProcess;

  constructor(file: string) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    this.#child = fork(script, [], {
      execArgv: ['--import', 'tsx'],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  tell(message: To): void {
    this.#child.send(message);
  }

  /** The next message of this type; rejects if the process ends before, or says nothing for two minutes. */
  hear<T extends From['type']>(type: T): Promise<Extract<From, { type: T }>> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        forget();
        reject(new Error(`process ${this.pid} of the benchmark ${why}`));
      };
      const gone = () => fail('has ended');
      const late = setTimeout(
        () => fail(`said nothing of "${type}" within ${HEARD_WITHIN_MS} ms`),
        HEARD_WITHIN_MS,
      );
      const forget = () => {
        clearTimeout(late);
        this.#child.off('message', hear);
        this.#child.off('exit', gone);
      };
      const hear = (message: From) => {
        if (message.type !== type) return;
        forget();
        resolve(message as Extract<From, { type: T }>);
      };
      this.#child.on('message', hear);
      this.#child.once('exit', gone);
    });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}

export type Bare = Process<ToBare, FromBare>;

export interface BareServer {
  readonly name: 'grpc-js' | 'node:http2';
  readonly pid: number;
  readonly port: number;
  readonly process: Bare;
  lagMs(): Promise<number>;
}

/** `first`: what each agent hears when it comes. */
export async function startBare(name: BareServer['name'], first: readonly Uint8Array[]): Promise<BareServer> {
  const child: Bare = new Process('bare.ts');
  const listening = child.hear('listening');
  child.tell({ type: 'start', kind: name, first });
  const { port } = await listening;
  const lagMs = async () => {
    const answer = child.hear('lag');
    child.tell({ type: 'lag' });
    return (await answer).ms;
  };
  return { name, pid: child.pid, port, process: child, lagMs };
}

/** Fleets of light agents, spread over some processes. */
export class Generators {
  private constructor(private readonly processes: readonly Process<ToAgents, FromAgents>[]) {}

  static async start(count: number): Promise<Generators> {
    const processes = Array.from({ length: count }, () => new Process<ToAgents, FromAgents>('agents.ts'));
    await Promise.all(processes.map((each) => each.hear('ready')));
    return new Generators(processes);
  }

  /** All at once; the instants at which each knew all, how many were turned away before, and what one of them heard. */
  async connect(
    fleet: string,
    ports: readonly number[],
    agents: number,
    callees: readonly string[],
    who?: Who,
  ) {
    const each = Math.floor(agents / this.processes.length);
    const answers = this.processes.map((child) => child.hear('connected'));
    for (const [i, child] of this.processes.entries())
      child.tell({ type: 'connect', fleet, ports, from: i * each, count: each, callees, who });
    const all = await Promise.all(answers);
    return {
      at: all.flatMap(({ at }) => [...at]),
      refused: all.reduce((sum, { refused }) => sum + refused, 0),
      first: all[0]?.first ?? [],
    };
  }

  /** To be called before what is expected can come. */
  expect(fleet: string, kind: Expect['kind']): Promise<{ at: number[]; sample: Uint8Array }> {
    const answers = this.processes.map((child) => child.hear('arrived'));
    for (const child of this.processes) child.tell({ type: 'expect', fleet, kind });
    return Promise.all(answers).then((all) => ({
      at: all.flatMap(({ at }) => [...at]),
      sample: all[0]?.sample ?? new Uint8Array(),
    }));
  }

  /** When each agent heard its last policies. */
  async latest(fleet: string): Promise<number[]> {
    const answers = this.processes.map((child) => child.hear('latest'));
    this.tell({ type: 'latest', fleet });
    return (await Promise.all(answers)).flatMap(({ at }) => [...at]);
  }

  tell(message: ToAgents): void {
    for (const child of this.processes) child.tell(message);
  }

  /** Bytes of messages that a fleet has heard so far, but for heartbeats. */
  async count(fleet: string): Promise<number> {
    const answers = this.processes.map((child) => child.hear('counted'));
    this.tell({ type: 'count', fleet });
    return (await Promise.all(answers)).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Answers how many streams were lost meanwhile. */
  async leave(fleet: string): Promise<number> {
    const answers = this.processes.map((child) => child.hear('left'));
    this.tell({ type: 'leave', fleet });
    return (await Promise.all(answers)).reduce((sum, { lost }) => sum + lost, 0);
  }

  close(): void {
    for (const child of this.processes) child.close();
  }
}
