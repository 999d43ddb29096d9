/**
 * Which of the agents that make a call do what with its policies. In a fleet of several releases no sentence holds for all: so agents
 * are told in groups of one release and one ability. A policy that is refused leaves an agent with the revision before, if it has had
 * one; which, follows from the policy's history and from when the agent came.
 */
import { z } from 'zod';
import { type Able, parseDocument, unmet } from '../../core/policy/index.js';
import type { Policy, PolicyRevision } from '../../core/policy/model.js';
import type { AgentRow, Mirror } from '../ports.js';

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
  const limits = new Limits();
  const pasts = new Map<string, readonly Past[]>();
  for (const entry of matching)
    if (agents.some((row) => limits.refuses(row, entry)))
      pasts.set(entry.policy.name, await pastOf(mirror, entry));
  const kept = (row: AgentRow, entry: PolicyRevision) =>
    keptBy(row, entry, pasts.get(entry.policy.name) ?? [], { limits, wallNow });
  const found = new Map<string, { rows: AgentRow[]; group: Group }>();
  for (const row of agents) {
    const group = groupOf(row, matching, limits, kept);
    const key = JSON.stringify([group, limits.abilityOf(row)]);
    const known = found.get(key);
    if (known) known.rows.push(row);
    else found.set(key, { rows: [row], group });
  }
  const groups = [...found.values()].map(({ rows, group }) => ({
    ...group,
    agents: rows.length,
    examples: rows.slice(0, EXAMPLES_MAX).map(({ agent }) => agent),
  }));
  const byName = new Map(agents.map((row) => [row.agent, row]));
  return {
    groups,
    able: [...found.values()].map(({ rows, group }) => ({
      capabilities: rows[0]?.capabilities ?? [],
      who: whoOf(rows.length, agents.length, group),
      keep: (policy) => keptText(group.refuses.find((one) => one.policy === policy)),
    })),
    keeps(agent, policy) {
      const row = byName.get(agent);
      const entry = matching.find((one) => one.policy.name === policy);
      return row && entry && kept(row, entry);
    },
  };
}

/**
 * What agents can't enforce: looked up once for each ability and document, of which there are a few where there are ten thousand
 * agents.
 */
class Limits {
  readonly #unmet = new Map<string, Map<Policy, readonly string[]>>();
  readonly #abilities = new Map<AgentRow, string>();

  /** The same text for agents that can do the same. */
  abilityOf(row: AgentRow): string {
    const ability = this.#abilities.get(row) ?? [...row.capabilities].sort().join();
    this.#abilities.set(row, ability);
    return ability;
  }

  of(row: AgentRow, policy: Policy): readonly string[] {
    const ability = this.abilityOf(row);
    const known = this.#unmet.get(ability) ?? new Map<Policy, readonly string[]>();
    this.#unmet.set(ability, known);
    const lacks = known.get(policy) ?? unmet(policy, row.capabilities);
    known.set(policy, lacks);
    return lacks;
  }

  /** It says so, or it will, as far as its capabilities tell. */
  refuses(row: AgentRow, { policy, revision }: PolicyRevision): boolean {
    return (
      row.refused.some((one) => one.policy === policy.name && one.revision === revision) ||
      this.of(row, policy).length > 0
    );
  }
}

function groupOf(
  row: AgentRow,
  matching: readonly PolicyRevision[],
  limits: Limits,
  kept: (row: AgentRow, entry: PolicyRevision) => number | null | undefined,
): Group {
  const [refused, taken] = [true, false].map((wanted) =>
    matching.filter((entry) => limits.refuses(row, entry) === wanted),
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
        lacks: [...limits.of(row, entry.policy)],
        ...(goesOn === undefined ? {} : { keeps: goesOn }),
      };
    }),
  };
}

/** A revision of a policy. */
interface Past {
  readonly revision: number;
  readonly at: number;
  /** Undefined: it is no policy any more that could be read; null: the deletion. */
  readonly policy: Policy | null | undefined;
}

/** Newest first, from this revision on; nothing while the store is away. */
async function pastOf(mirror: Source, { policy, revision }: PolicyRevision): Promise<readonly Past[]> {
  try {
    const entries = await mirror.history(policy.name, { before: revision + 1, limit: HISTORY_MAX });
    return entries.map(({ document, ...entry }) => ({
      ...entry,
      policy: document === null ? null : read(document),
    }));
  } catch {
    return [];
  }
}

function read(document: string): Policy | undefined {
  const result = parseDocument(document);
  return result.ok ? result.policy : undefined;
}

/** Revision that an agent goes on with that refuses this one; null: none; undefined: not known. */
function keptBy(
  row: AgentRow,
  { staged }: PolicyRevision,
  past: readonly Past[],
  { limits, wallNow }: { limits: Limits; wallNow: number },
): number | null | undefined {
  const connectedAt = wallNow - row.connectedMs;
  for (const [i, newer] of past.entries()) {
    const entry = past[i + 1];
    if (!entry) break;
    if (entry.policy === null) return null;
    if (entry.policy === undefined || limits.of(row, entry.policy).length > 0) continue;
    // It has seen it, or was here while it was the newest.
    if (row.applied >= entry.revision || connectedAt < newer.at) return entry.revision;
    const before = staged?.previous;
    return before && limits.of(row, before.policy).length === 0 ? before.revision : undefined;
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
