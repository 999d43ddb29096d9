/**
 * Customers: buy at the checkout at a steady rate (`SHOP_RATE` a second), whatever becomes of the calls before, and give up after
 * two seconds. They stand outside the mesh. A parent process is sent each call's outcome under the label it last gave, and told
 * when the last call of a former label has ended; alone, a line every five seconds says how it goes.
 */
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { ask, Checkout } from './proto.js';

/** What a parent is told of one call; of a label whose calls have all ended it is told `{ settled: label }`. */
interface CallOutcome {
  /** What the parent had called the time in which the call began. */
  readonly label: string;
  readonly latencyMs: number;
  /** Status code of gRPC; 0: the customer has the goods. */
  readonly code: number;
}

const PATIENCE_MS = 2000;
const SUMMARY_MS = 5000;
const TICK_MS = 10;
/** A process that was held up catches up with so many calls a tick at most. */
const BURST_MAX = 5;

const ratePerSecond = Number(process.env.SHOP_RATE ?? 50);
const checkout = new Checkout(process.env.SHOP_CHECKOUT ?? '127.0.0.1:50051', credentials.createInsecure());

let label = '';
let orders = 0;
let outcomes: CallOutcome[] = [];
const inFlight = new Map<string, number>();

async function buy(): Promise<void> {
  const started = performance.now();
  const labelAtStart = label;
  orders += 1;
  inFlight.set(label, (inFlight.get(label) ?? 0) + 1);
  let code = 0;
  try {
    await ask(checkout, checkout.buy, { id: `order-${orders}`, article: 'a lamp' }, PATIENCE_MS);
  } catch (error) {
    code = (error as ServiceError).code;
  }
  const outcome = { label: labelAtStart, latencyMs: performance.now() - started, code };
  inFlight.set(labelAtStart, (inFlight.get(labelAtStart) ?? 0) - 1);
  if (process.send) process.send(outcome);
  else outcomes.push(outcome);
  settle(labelAtStart);
}

function settle(former: string): void {
  if (former === label || (inFlight.get(former) ?? 0) > 0) return;
  inFlight.delete(former);
  process.send?.({ settled: former });
}

function summarise(): void {
  const seen = outcomes;
  outcomes = [];
  const latencies = seen.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const at = (share: number) => Math.round(latencies[Math.floor(share * (latencies.length - 1))] ?? 0);
  const failed = seen.filter(({ code }) => code !== 0).length;
  process.stdout.write(`${seen.length} calls, ${failed} failed, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`);
}

const begun = performance.now();

/** As many as the clock says, so that a late timer lowers no rate. */
function tick(): void {
  const due = Math.floor(((performance.now() - begun) * ratePerSecond) / 1000);
  for (let i = 0; orders < due && i < BURST_MAX; i += 1) void buy();
}

const load = setInterval(tick, TICK_MS);
const summaries = process.send ? undefined : setInterval(summarise, SUMMARY_MS);

function stop(): void {
  clearInterval(load);
  clearInterval(summaries);
  checkout.close();
}

process.stdout.write(`${JSON.stringify({ service: 'customers', ratePerSecond })}\n`);
process.on('message', (message) => {
  const former = label;
  label = String(message);
  settle(former);
});
process.once('disconnect', () => process.exit());
process.channel?.unref();
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
