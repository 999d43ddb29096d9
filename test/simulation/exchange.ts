/**
 * What replicas tell each other costs the store, by how many replicas there are: the store that the control plane uses, on a real Redis,
 * and bodies made by the real encoders (`test/support/mesh-bodies.ts`), of replicas with 10,000 agents each. Measured is one replica's
 * second: in which nothing happens; in which it reads as many of the agents elsewhere as it ever does; the accounts of twenty circuits;
 * an outage, in which circuits of its agents are open. Redis counts its own CPU and bytes.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { conclude, type Figure, type Row } from '../../bench/harness.js';
import { startRedis } from '../../bench/redis.js';
import { decodePage, PAGES } from '../../control-plane/grpc/pages.js';
import { decodeSummary } from '../../control-plane/grpc/summary.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { AGENTS_EACH, accountBody, instanceOf, pageBodies, summaryBody } from '../support/mesh-bodies.js';

const SIZES = [2, 12, 65];
const CIRCUITS = 20;
/** As many as a summary tells of: `control-plane/grpc/summary.ts`. */
const OPEN = 5_000;
/** Replicas in an outage: with 65 an answer is 61 MB, and comes in time or not. */
const OUTAGE_MAX = 12;
const TIMES = 60;
const TTL_MS = 600_000;
/** As `control-plane/grpc/others.ts` and `control-plane/registry/leases.ts` do it. */
const ASKED_AT_ONCE = 32;
const READ_MAX = 20_000;
const LEASES = 500;
const LEASE_MS = 60_000;
/** Replicas whose pages are kept, to weigh them. */
const KEPT = 12;

interface Cost {
  /** Of Redis. */
  readonly cpuUs: number;
  /** Of this process, which does what a replica does. */
  readonly ownUs: number;
  readonly written: number;
  readonly read: number;
}

interface Bodies {
  readonly pages: readonly string[];
  readonly account: string;
}

async function main(): Promise<void> {
  const bodies = { pages: pageBodies(), account: await accountBody() };
  const rows: Row[] = [];
  const figures: Figure[] = [];
  const row = (what: string, value: string) => rows.push({ what, value, baseline: '', ratio: '' });
  const costs = (what: string, { written, read, cpuUs, ownUs }: Cost) => {
    row(`${what}: bytes`, `${kb(read)} KB read, ${kb(written)} KB written`);
    row(`${what}: CPU`, `${cpuUs.toFixed(0)} µs of Redis, ${ownUs.toFixed(0)} µs of the replica`);
  };
  for (const size of SIZES) {
    const { quiet, agents, accounts, outage } = await measured(size, bodies);
    costs(`${size} replicas, nothing happens`, quiet);
    costs(`${size} replicas, ${READ_MAX} agents elsewhere`, agents);
    costs(`${size} replicas, accounts of ${CIRCUITS} circuits`, accounts);
    if (outage) costs(`${size} replicas, ${OPEN} open circuits at each`, outage);
    const share = ((quiet.cpuUs + accounts.cpuUs) * size) / 10_000;
    figures.push({
      name: `exchange: ${size} replicas, ${CIRCUITS} circuits, % of a core of Redis`,
      value: share,
    });
  }
  costs(`${LEASES} leases renewed`, await leases());
  row('memory of an agent elsewhere', `${memoryOf(bodies.pages).toFixed(0)} bytes`);
  conclude({
    title: 'What replicas tell each other',
    command: 'npm run bench:exchange',
    notes: `One replica's second, of replicas with ${AGENTS_EACH} agents each on one Redis; means of ${TIMES}. Nothing happens: a page and the summary are written, all summaries are read. Agents elsewhere: as many as are read in a second at most.`,
    rows,
    figures,
  });
}

const kb = (bytes: number) => (bytes / 1000).toFixed(1);

async function measured(size: number, { pages, account }: Bodies) {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const store = await openStore(redis.url, { mesh: 'bench', replica: 'r0' });
  const replicas = Array.from({ length: size }, (_, i) => `switchgear-6c5d7d9f8b-x${i}`);
  const of = (i: number) => replicas[i % size] as string;
  const accounts = new Map(
    Array.from({ length: CIRCUITS }, (_, i) => [`callee-${i}|callee-${i}-default`, account]),
  );
  try {
    for (const replica of replicas) {
      await store.publishSummaries([summaryOf(replica, 0)], TTL_MS);
      const named = pages.map((body, at) => ({ replica: `${replica} ${at}`, body }));
      await store.publishSummaries(named, TTL_MS, 'pages');
      await store.exchangeHealth({ replica, ttlMs: TTL_MS, accounts });
    }
    const quiet = await cost(client, async (i) => {
      const body = pages[i % PAGES] as string;
      await store.publishSummaries([{ replica: `${of(i)} ${i % PAGES}`, body }], TTL_MS, 'pages');
      await summaries(store, of(i), 0);
    });
    const agents = await cost(client, (i) =>
      agentsElsewhere(
        store,
        replicas.filter((each) => each !== of(i)),
        i,
      ),
    );
    const exchanged = await cost(client, (i) =>
      store.exchangeHealth({ replica: of(i), ttlMs: TTL_MS, accounts }),
    );
    if (size > OUTAGE_MAX) return { quiet, agents, accounts: exchanged };
    for (const replica of replicas) await store.publishSummaries([summaryOf(replica, OPEN)], TTL_MS);
    const outage = await cost(client, (i) => summaries(store, of(i), OPEN));
    return { quiet, agents, accounts: exchanged, outage };
  } finally {
    await store.close();
    client.disconnect();
    await redis.close();
  }
}

const summaryOf = (replica: string, open: number) => ({ replica, body: summaryBody(replica, open) });

async function summaries(store: Store, replica: string, open: number): Promise<void> {
  await store.publishSummaries([summaryOf(replica, open)], TTL_MS);
  for (const { body } of await store.summaries()) decodeSummary(body);
}

async function agentsElsewhere(store: Store, others: readonly string[], round: number): Promise<void> {
  const all = others.flatMap((replica) => Array.from({ length: PAGES }, (_, at) => `${replica} ${at}`));
  let agents = 0;
  for (let n = 0; agents < READ_MAX && n * ASKED_AT_ONCE < all.length; n++) {
    const from = ((round + n) * ASKED_AT_ONCE) % all.length;
    for (const { body } of await store.summaries('pages', all.slice(from, from + ASKED_AT_ONCE)))
      agents += decodePage(body)?.entries.length ?? 0;
  }
}

async function leases(): Promise<Cost> {
  const redis = await startRedis();
  const client = new Redis(redis.url);
  const store = await openStore(redis.url, { mesh: 'bench', replica: 'r0' });
  const instances = Array.from({ length: LEASES }, (_, i) => instanceOf(i));
  try {
    return await cost(client, () => store.lease(instances, LEASE_MS));
  } finally {
    await store.close();
    client.disconnect();
    await redis.close();
  }
}

/** Bytes of the heap, kept as `control-plane/grpc/others.ts` keeps them. */
function memoryOf(pages: readonly string[]): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  gc();
  const before = process.memoryUsage().heapUsed;
  const kept = Array.from({ length: KEPT }, () =>
    pages.map((body) => {
      const page = decodePage(body);
      const boots = new Map(page?.entries.map(({ row, boot }) => [row.agent, boot]));
      return { page, boots };
    }),
  );
  gc();
  const after = process.memoryUsage().heapUsed;
  return (after - before) / (kept.length * AGENTS_EACH);
}

async function cost(client: Redis, once: (i: number) => Promise<unknown>): Promise<Cost> {
  for (let i = 0; i < TIMES / 4; i++) await once(i);
  const before = await counters(client);
  const own = process.cpuUsage();
  for (let i = 0; i < TIMES; i++) await once(i);
  const { user, system } = process.cpuUsage(own);
  const after = await counters(client);
  return {
    cpuUs: ((after.cpuS - before.cpuS) * 1e6) / TIMES,
    ownUs: (user + system) / TIMES,
    written: (after.input - before.input) / TIMES,
    read: (after.output - before.output) / TIMES,
  };
}

async function counters(client: Redis): Promise<{ cpuS: number; input: number; output: number }> {
  const text = await client.info('everything');
  const of = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(text)?.[1]);
  return {
    cpuS: of('used_cpu_user') + of('used_cpu_sys'),
    input: of('total_net_input_bytes'),
    output: of('total_net_output_bytes'),
  };
}

await main();
