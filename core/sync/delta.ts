/**
 * What a push says, as both ends of the stream know it: which policies came or changed, which went, and up to which revision
 * of which dataset the agent has seen everything of its interest once it is applied.
 */

export interface DocumentRevision {
  readonly name: string;
  readonly revision: number;
  /** Canonical JSON. */
  readonly document: string;
  /** 16 hexadecimal digits of the document's SHA-256. */
  readonly hash: string;
  /** Of a staged rollout: what agents hold that it does not reach. Absent: a control plane that knows none sent it. */
  readonly previous?: PreviousRevision | null | undefined;
}

export interface PreviousRevision {
  /** 0: nothing, the policy is new; then the texts are empty. */
  readonly revision: number;
  readonly document: string;
  readonly hash: string;
}

export interface DeltaContent {
  readonly dataset: string;
  readonly revision: number;
  /** `upserts` are everything there is; whatever else is held goes. */
  readonly complete: boolean;
  readonly upserts: readonly DocumentRevision[];
  readonly removals: readonly string[];
}

/** Content that an agent has seen, whether it could use it or not. Equal content has both equal. */
export interface SeenPolicy {
  readonly name: string;
  readonly hash: string;
  readonly revision: number;
}

/** A policy that an agent can't use, and why, in words. */
export interface Rejection {
  readonly name: string;
  readonly reason: string;
  readonly revision: number;
}

/** What an agent brings along when it connects; an empty dataset: nothing. */
export interface Holdings {
  readonly dataset: string;
  readonly revision: number;
  readonly hashes: readonly SeenPolicy[];
}

/** Most policies that one message names (hashes of a Hello, names of an Ack). Above it an agent asks for everything anew. */
export const namesMax = 10_000;

/** Most refusals that one Ack tells. */
export const rejectionsMax = 1000;
