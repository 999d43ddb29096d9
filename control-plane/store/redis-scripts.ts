/**
 * The Lua scripts that carry every mutation and every read that must see one moment, with the digest Redis knows each by. They
 * lie beside this file (the build copies them), each with its KEYS, ARGV and output at its head; `prelude.lua` is put before
 * each of them. They are called by that digest; a Redis that doesn't know it is given the source, once.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command, RedisConnection } from './redis-connection.js';
import type { Reply } from './redis-replies.js';

const names = [
  'exchange',
  'expire',
  'hint',
  'lease',
  'learn',
  'load',
  'publish',
  'record',
  'registry',
  'release',
  'settle',
  'shards',
  'summaries',
  'write',
] as const;

export type ScriptName = (typeof names)[number];

interface Script {
  readonly source: string;
  /** SHA-1, for EVALSHA. */
  readonly digest: string;
}

function read(name: ScriptName | 'prelude'): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}

let loaded: Readonly<Record<ScriptName, Script>> | undefined;

function scripts(): Readonly<Record<ScriptName, Script>> {
  if (!loaded) {
    const prelude = read('prelude');
    const entries = names.map((name): [ScriptName, Script] => {
      const source = `${prelude}\n${read(name)}`;
      return [name, { source, digest: createHash('sha1').update(source).digest('hex') }];
    });
    loaded = Object.fromEntries(entries) as Record<ScriptName, Script>;
  }
  return loaded;
}

/** The script's reply, and after it one for each of `more`, sent in the same round trip. */
export async function runScript(
  connection: RedisConnection,
  name: ScriptName,
  keys: readonly string[],
  args: readonly (string | number)[],
  ...more: readonly Command[]
): Promise<Reply[]> {
  const { source, digest } = scripts()[name];
  const rest = [keys.length, ...keys, ...args];
  const replies = await connection.send(['evalsha', digest, ...rest], ...more);
  if (!isUnknown(replies[0])) return replies;
  return connection.send(['eval', source, ...rest], ...more);
}

/** A script to run, one of several in the same round trip. */
export interface ScriptCall {
  readonly name: ScriptName;
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
}

/** One reply for each of these, sent together; they may belong to different slots, and none may rest on another's effect. */
export async function runScripts(
  connection: RedisConnection,
  calls: readonly ScriptCall[],
): Promise<readonly Reply[]> {
  if (calls.length === 0) return [];
  const command = ({ name, keys, args }: ScriptCall, verb: 'eval' | 'evalsha'): Command => {
    const { source, digest } = scripts()[name];
    return [verb, verb === 'eval' ? source : digest, keys.length, ...keys, ...args];
  };
  const replies = await connection.sendEach(calls.map((call) => command(call, 'evalsha')));
  const unknown = calls.flatMap((call, at) => (isUnknown(replies[at]) ? [{ call, at }] : []));
  if (unknown.length === 0) return replies;
  const again = await connection.sendEach(unknown.map(({ call }) => command(call, 'eval')));
  for (const [i, { at }] of unknown.entries()) replies[at] = again[i] ?? { error: new Error('no reply') };
  return replies;
}

function isUnknown(reply: Reply | undefined): boolean {
  return reply !== undefined && 'error' in reply && reply.error.message.startsWith('NOSCRIPT');
}
