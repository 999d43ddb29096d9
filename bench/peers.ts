/**
 * The libraries that a Node service would use otherwise, set up for the same work: opossum and cockatiel, in their newest versions, or
 * in the last ones that run on Node 20. Each is used as its README says, with what it doesn't have left out.
 */
import { readFileSync } from 'node:fs';

export type Work = () => Promise<number>;

/** One competitor under one set of policies. */
export interface Peer {
  readonly name: string;
  call(): Promise<unknown>;
}

export interface Peers {
  /** `opossum 10.0.0, cockatiel 4.0.0`. */
  readonly versions: string;
  readonly circuit: readonly Peer[];
  readonly circuitAndBulkhead: readonly Peer[];
  /** Circuit, bulkhead, timeout, and retry where there is one: opossum has none. */
  readonly four: readonly Peer[];
  /** An open circuit. */
  readonly open: readonly Peer[];
  close(): void;
}

const MAX_CONCURRENT = 50;
const MAX_QUEUE = 20;
const HOUR_MS = 3_600_000;

interface OpossumBreaker {
  fire(): Promise<unknown>;
  open(): void;
  shutdown(): void;
}
type Opossum = new (work: Work, options: object) => OpossumBreaker;

interface Policy {
  execute(work: Work): Promise<unknown>;
}
interface Cockatiel {
  handleAll: unknown;
  circuitBreaker(policy: unknown, options: object): Policy;
  bulkhead(limit: number, queue: number): Policy;
  timeout(ms: number, strategy: unknown): Policy;
  retry(policy: unknown, options: object): Policy;
  wrap(...policies: Policy[]): Policy;
  SamplingBreaker: new (options: object) => unknown;
  ConsecutiveBreaker: new (failures: number) => unknown;
  ExponentialBackoff: new () => unknown;
  TimeoutStrategy: { readonly Aggressive: unknown };
}

export async function loadPeers(work: Work): Promise<Peers> {
  const modern = Number(process.versions.node.split('.')[0]) >= 22;
  const opossum = modern ? await import('opossum10') : await import('opossum9');
  const cockatiel = modern ? await import('cockatiel4') : await import('cockatiel3');
  const versions = `opossum ${versionOf(modern ? 'opossum10' : 'opossum9')}, cockatiel ${versionOf(modern ? 'cockatiel4' : 'cockatiel3')}`;
  return { versions, ...(await build(opossum.default as Opossum, cockatiel as unknown as Cockatiel, work)) };
}

function versionOf(name: string): string {
  const url = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

async function build(Opossum: Opossum, c: Cockatiel, work: Work): Promise<Omit<Peers, 'versions'>> {
  const breakers: OpossumBreaker[] = [];
  const opossum = (options: object): Peer & { breaker: OpossumBreaker } => {
    const breaker = new Opossum(work, {
      errorThresholdPercentage: 50,
      volumeThreshold: 20,
      resetTimeout: 5_000,
      ...options,
    });
    breakers.push(breaker);
    return { name: 'opossum', breaker, call: () => breaker.fire() };
  };
  const cockatiel = (policy: Policy): Peer => ({ name: 'cockatiel', call: () => policy.execute(work) });
  const breaker = () =>
    c.circuitBreaker(c.handleAll, {
      halfOpenAfter: 5_000,
      breaker: new c.SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 2 }),
    });
  const bulkhead = () => c.bulkhead(MAX_CONCURRENT, MAX_QUEUE);

  const opened = opossum({ timeout: false, resetTimeout: HOUR_MS });
  opened.breaker.open();
  const tripped = c.circuitBreaker(c.handleAll, {
    halfOpenAfter: HOUR_MS,
    breaker: new c.ConsecutiveBreaker(1),
  });
  await tripped.execute(() => Promise.reject(new Error('once'))).catch(() => undefined);

  return {
    circuit: [cockatiel(breaker()), opossum({ timeout: false })],
    circuitAndBulkhead: [
      cockatiel(c.wrap(bulkhead(), breaker())),
      opossum({ timeout: false, capacity: MAX_CONCURRENT }),
    ],
    four: [
      cockatiel(
        c.wrap(
          c.timeout(1_000, c.TimeoutStrategy.Aggressive),
          c.retry(c.handleAll, { maxAttempts: 2, backoff: new c.ExponentialBackoff() }),
          bulkhead(),
          breaker(),
        ),
      ),
      opossum({ timeout: 1_000, capacity: MAX_CONCURRENT }),
    ],
    open: [cockatiel(tripped), opened],
    close: () => {
      for (const one of breakers) one.shutdown();
    },
  };
}
