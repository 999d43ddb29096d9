/**
 * The gateway, with the customers before it: calls come at a steady rate whatever becomes of those before (an open loop), and all
 * go to the storefront through one pool of sockets, as they do through any proxy, sidecar or HTTP client. That pool is what the
 * orders and the catalogue share. A customer leaves after a while; a request already sent is kept until the gateway's own limit,
 * one still in line is withdrawn. The parent gives the time a label, and gets each label's figures once its last call has ended.
 */
import { Agent, request } from 'node:http';
import { cpus } from 'node:os';
import { type Endpoint, endpoints, figuresOf, type Outcome, type Scene } from './figures.js';

const SOCKETS = 16;
const PATIENCE_MS = 1500;
const UPSTREAM_TIMEOUT_MS = 4000;
const TICK_MS = 5;
/** A process that was held up catches up with so many calls a tick at most. */
const BURST_MAX = 5;
const ratesPerSecond = { orders: 30, catalogue: 100 } as const satisfies Record<Endpoint, number>;

/** Of the whole machine, since it was started. */
interface ProcessorTime {
  readonly totalMs: number;
  readonly idleMs: number;
}

interface Phase {
  readonly label: string;
  readonly begunAt: number;
  readonly outcomes: Record<Endpoint, Outcome[]>;
  readonly processorsAtStart: ProcessorTime;
  inFlight: number;
}

const port = Number(process.env.THREE_AM_STOREFRONT);
const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS });
let phase = begin('');

function begin(label: string): Phase {
  return {
    label,
    begunAt: performance.now(),
    outcomes: { orders: [], catalogue: [] },
    processorsAtStart: processorTime(),
    inFlight: 0,
  };
}

/** What a customer saw; undefined: nothing, and they left. */
function call(endpoint: Endpoint): Promise<number | undefined> {
  return new Promise((resolve) => {
    const sent = request({ agent, host: '127.0.0.1', port, path: `/${endpoint}` });
    const patience = setTimeout(() => {
      resolve(undefined);
      if (!sent.socket) sent.destroy();
    }, PATIENCE_MS);
    let limit: NodeJS.Timeout | undefined;
    const end = (status?: number) => {
      clearTimeout(patience);
      clearTimeout(limit);
      resolve(status);
    };
    sent.once('socket', () => {
      limit = setTimeout(() => sent.destroy(), UPSTREAM_TIMEOUT_MS);
    });
    sent.once('response', (response) => {
      response.resume().once('end', () => end(response.statusCode));
    });
    sent.on('error', () => undefined).once('close', () => end());
    sent.end();
  });
}

async function serve(endpoint: Endpoint): Promise<void> {
  const mine = phase;
  mine.inFlight += 1;
  const startedAt = performance.now();
  const status = await call(endpoint);
  const endedAt = performance.now();
  mine.outcomes[endpoint].push({ status, latencyMs: endedAt - startedAt, atMs: endedAt - mine.begunAt });
  mine.inFlight -= 1;
  settle(mine);
}

function settle(former: Phase): void {
  if (former === phase || former.inFlight > 0) return;
  const { label, outcomes, processorsAtStart } = former;
  const scene: Scene = {
    orders: figuresOf(outcomes.orders),
    catalogue: figuresOf(outcomes.catalogue),
    processorsBusyPercent: busyPercent(processorsAtStart, processorTime()),
  };
  process.send?.({ label, scene });
}

function processorTime(): ProcessorTime {
  const times = cpus().map((cpu) => cpu.times);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    totalMs: sum(times.map(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq)),
    idleMs: sum(times.map(({ idle }) => idle)),
  };
}

function busyPercent(from: ProcessorTime, to: ProcessorTime): number {
  const totalMs = Math.max(1, to.totalMs - from.totalMs);
  return 100 * (1 - (to.idleMs - from.idleMs) / totalMs);
}

const startedAt = performance.now();
const begun = { orders: 0, catalogue: 0 };

/** As many as the clock says, so that a late timer lowers no rate. */
function tick(): void {
  const elapsedMs = performance.now() - startedAt;
  for (const endpoint of endpoints) {
    const due = Math.floor((elapsedMs * ratesPerSecond[endpoint]) / 1000);
    for (let i = 0; begun[endpoint] < due && i < BURST_MAX; i += 1) {
      begun[endpoint] += 1;
      void serve(endpoint);
    }
  }
}

setInterval(tick, TICK_MS);
process.on('message', (label) => {
  const former = phase;
  phase = begin(String(label));
  settle(former);
});
process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.exit());
process.send?.({ sockets: SOCKETS, patienceMs: PATIENCE_MS, upstreamTimeoutMs: UPSTREAM_TIMEOUT_MS });
