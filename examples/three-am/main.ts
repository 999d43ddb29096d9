/**
 * Three in the morning: the orders' database hangs, and the question is whether the catalogue goes down with it. Everything is
 * real: two redis-servers, a storefront, a gateway with its pool of sockets, a control plane. `--json` prints one line of JSON
 * instead of the table. Exit code 0: every promise was kept; 1: one was not, or something was lost on the way.
 */
import { startControlPlane } from '../../control-plane/index.js';
import { Processes } from './processes.js';
import { catalogueRatio, judge } from './promises.js';
import { report } from './report.js';
import { play } from './story.js';

const json = process.argv.includes('--json');
const startedAt = performance.now();
const processes = new Processes();
const plane = await startControlPlane({
  rest: '127.0.0.1:0',
  grpc: '127.0.0.1:0',
  store: 'memory',
  logLevel: 'error',
});
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => reject(new Error(`stopped by ${signal}`)));
});

function tell(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  (json ? process.stderr : process.stdout).write(`${seconds} s  ${text}\n`);
}

async function run(): Promise<{ kept: boolean; text: string }> {
  const story = await Promise.race([play(processes, plane, tell), processes.lost, interrupted]);
  const promises = judge(story);
  const kept = promises.every((promised) => promised.kept);
  const record = { ...story, catalogueRatio: catalogueRatio(story), promises, kept };
  return { kept, text: json ? JSON.stringify(record) : `\n${report(story, promises)}` };
}

let exitCode = 1;
try {
  const { kept, text } = await run();
  exitCode = kept ? 0 : 1;
  process.stdout.write(`${text}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
await processes.stop();
await plane.close();
// A story that was cut short may still wait for something.
process.exit(exitCode);
