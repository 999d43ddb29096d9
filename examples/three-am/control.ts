/** The control plane as somebody on call uses it: a policy put over REST, and a look at whether it is in force. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

export const POLICY = 'orders-db-guard';
const IN_FORCE_WITHIN_MS = 10_000;

export interface Protection {
  readonly policy: string;
  readonly revision: number;
  /** From the request until every agent concerned enforces it. */
  readonly inForceMs: number;
}

export async function protect(restUrl: string): Promise<Protection> {
  const startedAt = performance.now();
  const { revision } = await ask<{ revision: number }>(`${restUrl}/v1/policies/${POLICY}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/yaml' },
    body: readFileSync(new URL(`./${POLICY}.yaml`, import.meta.url), 'utf8'),
  });
  for (;;) {
    const { agents } = await ask<{ agents: { total: number; applied: number; refused: unknown[] } }>(
      `${restUrl}/v1/policies/${POLICY}/status`,
    );
    const inForceMs = performance.now() - startedAt;
    if (agents.refused.length > 0) throw new Error(`refused: ${JSON.stringify(agents.refused)}`);
    if (agents.total > 0 && agents.applied === agents.total) return { policy: POLICY, revision, inForceMs };
    if (inForceMs > IN_FORCE_WITHIN_MS)
      throw new Error(`${POLICY} is in force on ${agents.applied} of ${agents.total}`);
    await pause(5);
  }
}

async function ask<Answer>(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
