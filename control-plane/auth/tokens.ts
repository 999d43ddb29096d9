/**
 * The bearer tokens of a control plane: a file with one `role name token` a line, and the book that knows them. The book keeps
 * only SHA-256 digests and compares a presented token with every one of them in constant time, so neither a dump of the memory
 * nor the time of an answer tells a token. Messages name lines and names, never a token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Issue, MeshError, messageOf } from '../../core/errors.js';

/** `operator` may all that `viewer` may; `agent` may open a stream and nothing else. */
export const roles = ['viewer', 'operator', 'agent'] as const;
export type Role = (typeof roles)[number];

export interface TokenEntry {
  readonly role: Role;
  /** Who it is: the author in the audit. One name may have several tokens of one role, so that they can be changed. */
  readonly name: string;
  readonly token: string;
}

export interface Identity {
  readonly name: string;
  readonly role: Role;
}

/** RFC 6750's characters of a bearer token. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const TOKEN_LENGTH_MAX = 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/;
const ENTRIES_MAX = 10_000;

export class TokenBook {
  readonly #entries: readonly (Identity & { readonly digest: Buffer })[];

  constructor(entries: readonly TokenEntry[]) {
    this.#entries = entries.map(({ name, role, token }) => ({ name, role, digest: digestOf(token) }));
  }

  /** Whose token it is. Looks at every entry, whether or not one has matched. */
  find(token: string): Identity | undefined {
    const digest = digestOf(token);
    let found: Identity | undefined;
    for (const entry of this.#entries)
      if (timingSafeEqual(entry.digest, digest)) found = { name: entry.name, role: entry.role };
    return found;
  }

  has(role: Role): boolean {
    return this.#entries.some((entry) => entry.role === role);
  }
}

/** The entries of a token file's text. Throws `invalid_configuration` with an issue for each line that is wrong. */
export function parseTokens(text: string, file: string): TokenEntry[] {
  const issues: Issue[] = [];
  const entries: { entry: TokenEntry; line: number }[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const line = index + 1;
    const words = raw
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const message = fault(words) ?? clash(words as [string, string, string], entries);
    if (message !== undefined) issues.push({ path: `${file}:${line}`, message });
    else entries.push({ entry: entryOf(words as [Role, string, string]), line });
  }
  if (entries.length > ENTRIES_MAX) issues.push({ path: file, message: `more than ${ENTRIES_MAX} tokens` });
  if (issues.length === 0 && entries.length === 0)
    issues.push({ path: file, message: 'holds no token; write lines of the form "operator alice <token>"' });
  if (issues.length > 0) throw invalid(issues);
  return entries.map(({ entry }) => entry);
}

/** Checks entries that come from a program and not from a file, by the same rules. */
export function checkTokens(entries: readonly TokenEntry[]): readonly TokenEntry[] {
  const known: { entry: TokenEntry; line: number }[] = [];
  const issues: Issue[] = [];
  for (const [index, { role, name, token }] of entries.entries()) {
    const message = fault([role, name, token]) ?? clash([role, name, token], known);
    if (message !== undefined) issues.push({ path: `tokens[${index}]`, message });
    else known.push({ entry: { role, name, token }, line: index });
  }
  if (entries.length === 0) issues.push({ path: 'tokens', message: 'is empty; leave it away, or give one' });
  if (issues.length > 0) throw invalid(issues);
  return entries;
}

/** Reads a token file. Throws `invalid_configuration`: not readable, or a wrong line. */
export async function readTokenFile(file: string): Promise<TokenEntry[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new MeshError(
      'invalid_configuration',
      `the token file ${file} (--token-file) can't be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return parseTokens(text, file);
}

function entryOf([role, name, token]: [Role, string, string]): TokenEntry {
  return { role, name, token };
}

function fault(words: readonly string[]): string | undefined {
  const [role, name, token] = words;
  if (role === undefined || name === undefined || token === undefined || words.length !== 3)
    return `has ${words.length} word${words.length === 1 ? '' : 's'}; write three: role name token`;
  if (!(roles as readonly string[]).includes(role))
    return `the first word has to be a role: ${roles.join(', ')}`;
  if (!NAME.test(name))
    return 'the name may have up to 128 letters, digits and ._@-, and starts with a letter or digit';
  if (token.length > TOKEN_LENGTH_MAX || !TOKEN.test(token))
    return `the token of ${name} has characters that a bearer token can't have; use up to ${TOKEN_LENGTH_MAX} of A-Z a-z 0-9 . _ ~ + / -`;
  return undefined;
}

function clash(
  [role, name, token]: readonly [string, string, string],
  entries: readonly { entry: TokenEntry; line: number }[],
): string | undefined {
  for (const { entry, line } of entries) {
    if (entry.token === token) return `the token of ${name} is that of ${entry.name} (entry ${line}) as well`;
    if (entry.name === name && entry.role !== role)
      return `${name} is ${entry.role} already (entry ${line}); a name has one role`;
  }
  return undefined;
}

function invalid(issues: readonly Issue[]): MeshError {
  const text = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new MeshError('invalid_configuration', `the tokens are not right: ${text}`, { issues });
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
