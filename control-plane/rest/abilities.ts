/**
 * Which of the agents that make a call do what with its policies. In a fleet of several releases no sentence holds for all: so agents
 * are told in groups of one release and one ability. A policy that is refused leaves an agent with the revision before, if it has had
 * one; which, follows from the policy's history and from when the agent came.
 */
import { z } from 'zod';
import { type Able, parseDocument, unmet } from '../../core/policy/index.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import type { AgentRow, Mirror } from '../ports.js';
import type { HistoryEntry } from '../store/store.js';

const HISTORY_MAX = 100;
const EXAMPLES_MAX = 3;

export const keeps = z
  .int()
  .nullable()
  .optional()
  .describe(
    'revision that they go on with instead; null: none; absent: not known, it is from before they connected',
  );

export const groupsAnswer = z
  .array(
    z.object({
      agents: z.int().describe('how many'),
      examples: z.array(z.string()).describe(`up to ${EXAMPLES_MAX} of them`),
      version: z.string().describe('of the service, as it says itself; empty: it does not'),
      protocol: z.string(),
      enforces: z.array(z.object({ policy: z.string(), revision: z.int() })),
      refuses: z.array(
        z.object({
          policy: z.string(),
          revision: z.int(),
          lacks: z.array(z.string()).describe('what they can not enforce; empty: `refused` says why'),
          keeps,
        }),
      ),
    }),
  )
  .describe('connected agents that make such calls, those together that do the same with these policies');

export type Group = z.infer<typeof groupsAnswer>[number];

export interface Judged {
  readonly groups: Group[];
  /** For the core's notes. */
  readonly able: Able[];
  keeps(agent: string, policy: string): number | null | undefined;
}

type Source = Pick<Mirror, 'history'>;

/** What these agents do with these policies. `wallNow`: milliseconds, as history has them. */
export async function judge(
  agents: readonly AgentRow[],
  matching: readonly PolicyRevision[],
  mirror: Source,
  wallNow: number,
): Promise<Judged> {
  const pasts = new Map<string, readonly HistoryEntry[]>();
  for (const entry of matching)
    if (agents.some((row) => refuses(row, entry))) pasts.set(entry.policy.name, await pastOf(mirror, entry));
  const kept = (row: AgentRow, entry: PolicyRevision) =>
    keptBy(row, entry, pasts.get(entry.policy.name) ?? [], wallNow);
  const found = new Map<string, { rows: AgentRow[]; group: Group }>();
  for (const row of agents) {
    const group = groupOf(row, matching, kept);
    const key = JSON.stringify([{ ...group, examples: [] }, [...row.capabilities].sort()]);
    const known = found.get(key);
    if (known) known.rows.push(row);
    else found.set(key, { rows: [row], group });
  }
  const groups = [...found.values()].map(({ rows, group }) => ({
    ...group,
    agents: rows.length,
    examples: rows.slice(0, EXAMPLES_MAX).map(({ agent }) => agent),
  }));
  return {
    groups,
    able: [...found.values()].map(({ rows, group }) => ({
      capabilities: rows[0]?.capabilities ?? [],
      who: whoOf(rows.length, agents.length, group),
      keep: (policy) => keptText(group.refuses.find((one) => one.policy === policy)),
    })),
    keeps(agent, policy) {
      const row = agents.find((one) => one.agent === agent);
      const entry = matching.find((one) => one.policy.name === policy);
      return row && entry && kept(row, entry);
    },
  };
}

function groupOf(
  row: AgentRow,
  matching: readonly PolicyRevision[],
  kept: (row: AgentRow, entry: PolicyRevision) => number | null | undefined,
): Group {
  const [refused, taken] = [true, false].map((wanted) =>
    matching.filter((entry) => refuses(row, entry) === wanted),
  ) as [PolicyRevision[], PolicyRevision[]];
  return {
    agents: 1,
    examples: [],
    version: row.version,
    protocol: row.protocol,
    enforces: taken
      .filter(({ policy }) => policy.mode === 'enforce')
      .map(({ policy, revision }) => ({ policy: policy.name, revision })),
    refuses: refused.map((entry) => {
      const goesOn = kept(row, entry);
      return {
        policy: entry.policy.name,
        revision: entry.revision,
        lacks: unmet(entry.policy, row.capabilities),
        ...(goesOn === undefined ? {} : { keeps: goesOn }),
      };
    }),
  };
}

/** It says so, or it will, as far as its capabilities tell. */
function refuses({ refused, capabilities }: AgentRow, { policy, revision }: PolicyRevision): boolean {
  return (
    refused.some((one) => one.policy === policy.name && one.revision === revision) ||
    unmet(policy, capabilities).length > 0
  );
}

/** Newest first, from this revision on; nothing while the store is away. */
async function pastOf(
  mirror: Source,
  { policy, revision }: PolicyRevision,
): Promise<readonly HistoryEntry[]> {
  try {
    return await mirror.history(policy.name, { before: revision + 1, limit: HISTORY_MAX });
  } catch {
    return [];
  }
}

/** Revision that an agent goes on with that refuses this one; null: none; undefined: not known. */
function keptBy(
  { applied, capabilities, connectedMs }: AgentRow,
  { staged }: PolicyRevision,
  past: readonly HistoryEntry[],
  wallNow: number,
): number | null | undefined {
  const connectedAt = wallNow - connectedMs;
  for (const [i, newer] of past.entries()) {
    const entry = past[i + 1];
    if (!entry) break;
    if (entry.document === null) return null;
    const result = parseDocument(entry.document);
    if (!result.ok || unmet(result.policy, capabilities).length > 0) continue;
    // It has seen it, or was here while it was the newest.
    if (applied >= entry.revision || connectedAt < newer.at) return entry.revision;
    const before = staged?.previous;
    return before && unmet(before.policy, capabilities).length === 0 ? before.revision : undefined;
  }
  return past.length === 0 || past.length === HISTORY_MAX ? undefined : null;
}

/** `1 of 2 agents (version 1.4.2, protocol 1.2)` */
function whoOf(count: number, all: number, { version, protocol }: Group): string {
  const of =
    count === all ? (all === 1 ? 'the one agent' : `all ${all} agents`) : `${count} of ${all} agents`;
  return `${of} (${version === '' ? 'no version' : `version ${version}`}, protocol ${protocol})`;
}

function keptText(refusal: Group['refuses'][number] | undefined): string {
  const { policy, keeps: kept } = refusal ?? {};
  if (kept === null) return 'they have nothing of it';
  return kept === undefined ? 'they keep the revision they had, if any' : `they keep ${policy}@${kept}`;
}
