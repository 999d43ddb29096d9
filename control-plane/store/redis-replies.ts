/**
 * What Redis' replies mean to the control plane. Of errors two kinds are told apart: a key that is not as we write it
 * (`store_corrupt`, naming the key, for an operator to look at), and everything else (`store_unavailable`: try again).
 */
import { MeshError } from '../../core/errors.js';

export type Reply = { readonly value: unknown } | { readonly error: Error };

/** What the client says of a command that it could not even send. */
export const UNSENT = "isn't writeable";

const remedy = 'nothing was changed; look at it, and move it away if it is not yours';

export function redisError(error: Error, description: string, key?: string): MeshError {
  const text = error.message.replace(/ script: [0-9a-f]{40}.*$/s, '');
  const corrupt = /^CORRUPT (.*)$/s.exec(text);
  if (corrupt)
    return new MeshError('store_corrupt', `${corrupt[1]}; ${remedy}`, { target: description, cause: error });
  if (text.startsWith('WRONGTYPE'))
    return new MeshError('store_corrupt', `${key ?? 'a key'} is of another type than we write; ${remedy}`, {
      target: description,
      cause: error,
    });
  const reason = text.includes(UNSENT) ? 'the connection is lost' : text;
  return new MeshError('store_unavailable', `does not answer (${reason})`, {
    target: description,
    cause: error,
  });
}

/** The reply's value, or its error as a MeshError thrown. */
export function unwrap(reply: Reply | undefined, description: string, key?: string): unknown {
  if (!reply) throw redisError(new Error('no reply'), description, key);
  if ('error' in reply) throw redisError(reply.error, description, key);
  return reply.value;
}

/** A reply that must be a list of texts, else the server is not the Redis we know. */
export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** `[a, 1, b, 2]` as pairs. */
export function pairs(value: unknown): [string, string][] {
  const list = texts(value);
  const result: [string, string][] = [];
  for (let i = 0; i + 1 < list.length; i += 2) result.push([list[i] ?? '', list[i + 1] ?? '']);
  return result;
}

/** Entries of a stream: the number before the dash of the id, and the fields. */
export interface StreamEntry {
  readonly id: string;
  readonly number: number;
  readonly fields: ReadonlyMap<string, string>;
}

export function streamEntries(value: unknown): StreamEntry[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry) => {
    if (!Array.isArray(entry)) return [];
    const id = String(entry[0]);
    return [{ id, number: Number(id.split('-')[0]), fields: new Map(pairs(entry[1])) }];
  });
}
