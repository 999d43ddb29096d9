/**
 * Writes of a setting of the mesh: one document in which several people change different things. A write is merged with what is
 * there and put over exactly that; where somebody was quicker, it is merged again with theirs, unless the client named the revision
 * it means. So nobody's word is lost over somebody else's.
 */
import type { FastifyRequest } from 'fastify';
import { MeshError } from '../../core/errors.js';
import type { Expected, WriteResult } from '../store/store.js';
import type { RestContext } from './context.js';
import { commitOperations } from './writes.js';

/** Times that somebody else's write may come between. */
const TRIES = 5;

/** What it has been merged from, and what it must be written over. */
export interface Base {
  readonly document: string | undefined;
  readonly revision: number | undefined;
}

export interface SettingWrite {
  /** Its place in the store. */
  readonly name: string;
  /** What people call it. */
  readonly what: string;
  /** For the audit. */
  readonly action: string;
  /** For the figures: one of few. Absent: the action. */
  readonly counted?: string;
  /** As this replica knows it. */
  readonly base: Base;
  /** `any`: over whatever is there. */
  readonly wanted: Expected;
  /** What was asked for, of which a repeat under the same key is known: the document may have the time in it. */
  readonly intent: string;
  /** The document over this one; undefined: there is nothing to write. Throws what is wrong with it. */
  merge(base: Base): string | undefined;
}

/** Undefined: there was nothing to write. Throws `revision_conflict`, `store_unavailable`, and what `merge` throws. */
export async function writeSetting(
  context: RestContext,
  request: FastifyRequest,
  setting: SettingWrite,
): Promise<WriteResult | undefined> {
  const { name, what, action, counted, wanted, intent } = setting;
  let { base } = setting;
  for (let tries = 1; ; tries++) {
    const document = setting.merge(base);
    if (document === undefined) return undefined;
    const expected = wanted === 'any' ? (base.revision ?? null) : wanted;
    const put = { kind: 'put', name, document, expected, intent } as const;
    try {
      return await commitOperations(context, request, action, [put], counted);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'revision_conflict') throw error;
      if (wanted !== 'any' || tries >= TRIES) throw conflict(what, error);
      base = await newestOf(context, name);
    }
  }
}

async function newestOf({ mirror }: RestContext, name: string): Promise<Base> {
  const [newest] = await mirror.history(name, { limit: 1 });
  return {
    document: newest?.document ?? undefined,
    revision: newest?.document ? newest.revision : undefined,
  };
}

/** In words that don't show under which name it is kept. */
function conflict(what: string, error: MeshError): MeshError {
  const text = error.issues?.[0]?.message ?? 'another revision is there';
  return new MeshError('revision_conflict', text, {
    target: what,
    revision: error.revision,
    issues: error.issues?.map(({ message }) => ({ path: '', message })),
    cause: error,
  });
}
