/**
 * What a replica tells the others of the limits that its agents use, as compact as JSON gets. It is read back with suspicion,
 * since it has been in a store that others can write to: what doesn't fit is dropped, never thrown.
 */
import type { Account } from './share.js';

export type Accounts = ReadonlyMap<string, Account>;

const FORMAT = 1;
const AGENTS_MAX = 1_000_000;
/** As many as a replica keeps; what is beyond was not written by one. */
export const limitsMax = 10_000;

export function encodeAccounts(accounts: Accounts): string {
  const limits = [...accounts].map(([id, { agents, demand, claim }]) => [id, agents, demand, claim]);
  return JSON.stringify({ format: FORMAT, limits });
}

/** Empty if it is of another format, or none at all. */
export function decodeAccounts(body: string): Accounts {
  const accounts = new Map<string, Account>();
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return accounts;
  }
  const { format, limits } = (value ?? {}) as Record<string, unknown>;
  if (format !== FORMAT || !Array.isArray(limits)) return accounts;
  for (const row of limits.slice(0, limitsMax) as unknown[]) {
    if (!Array.isArray(row)) continue;
    const [id, agents, demand, claim] = row as unknown[];
    if (typeof id !== 'string') continue;
    accounts.set(id, {
      agents: Math.min(AGENTS_MAX, Math.floor(amount(agents))),
      demand: amount(demand),
      claim: amount(claim),
    });
  }
  return accounts;
}

const amount = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0;
