/**
 * The process of one worker: a replica like any other, but its flags come from the primary, its sockets are the primary's, and how it
 * fares is told to the primary. Ctrl-C reaches the whole group of processes and is left to the primary; SIGTERM to this process
 * alone makes it drain and end, and the primary starts another. Without the primary Node ends it at once.
 */
import { systemClock, wait } from '../../core/clock.js';
import type { ControlPlane } from '../main.js';
import type { Siblings } from '../telemetry/siblings.js';
import { failureOf, isMessage, type ToPrimary, type ToWorker, type WorkerOptions } from './messages.js';

/** The primary has its own limit of a second; this is for one that is stuck. */
const GATHER_MS = 2000;

/** Resolves when it is on its way, or can't be sent any more. */
function say(message: ToPrimary): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || !process.send) return resolve();
    process.send(message, undefined, {}, () => resolve());
  });
}

let ownFigures: () => Promise<string> = async () => '';
const gatherings = new Map<number, (texts: readonly string[]) => void>();
let lastGathering = 0;

const siblings: Siblings = {
  answer(own) {
    ownFigures = own;
  },
  async scrapes() {
    const id = ++lastGathering;
    const gathered = new Promise<readonly string[]>((resolve) => gatherings.set(id, resolve));
    void say({ kind: 'gather', id });
    const late = new AbortController();
    const texts = await Promise.race([gathered, wait(systemClock, GATHER_MS, late.signal).then(() => [])]);
    late.abort();
    gatherings.delete(id);
    return texts;
  },
};

let starting: Promise<ControlPlane | undefined> | undefined;

async function start(options: WorkerOptions): Promise<ControlPlane | undefined> {
  try {
    // Loaded here, so that signals are heard from the start.
    const { startControlPlane } = await import('../main.js');
    const plane = await startControlPlane(options, siblings);
    const { restUrl, grpcAddress, mesh, store } = plane;
    await say({ kind: 'ready', ready: { restUrl, grpcAddress, mesh, store } });
    return plane;
  } catch (error) {
    await say({ kind: 'failed', failure: failureOf(error) });
    process.exit(1);
  }
}

async function answer(id: number): Promise<void> {
  await say({ kind: 'figures', id, text: await ownFigures().catch(() => '') });
}

/** Waits for a start that is under way. */
async function stop(signal: string | undefined): Promise<void> {
  const plane = await starting;
  await plane?.close(signal);
  process.exit(0);
}

process.on('SIGINT', () => {});
process.once('SIGTERM', () => void stop('SIGTERM'));
process.on('message', (said: unknown) => {
  if (!isMessage(said)) return;
  const message = said as ToWorker;
  if (message.kind === 'start') starting ??= start(message.options);
  else if (message.kind === 'stop') void stop(message.signal);
  else if (message.kind === 'figures') void answer(message.id);
  else if (message.kind === 'gathered') gatherings.get(message.id)?.(message.texts);
});
void say({ kind: 'hello' });
