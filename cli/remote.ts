/**
 * The options that every verb with a control plane on the other end shares, and the client that comes of them.
 */
import { readFileSync } from 'node:fs';
import { MeshError, messageOf } from '../core/errors.js';
import type { Io } from './io.js';
import { RestClient } from './rest-client.js';
import { type Setting, usage } from './settings.js';

export interface RemoteOptions {
  readonly server: URL;
  readonly token?: string;
  readonly tlsCa?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export const jsonSetting: Setting = { flags: '--json', about: 'answer with one JSON value' };

const TIMEOUT_MS = 10_000;

export const remoteSettings: readonly Setting[] = [
  {
    flags: '--server <url>',
    about: 'the control plane, http://127.0.0.1:7480 if not given',
    parse: parseServer,
  },
  { flags: '--token <token>', about: 'bearer token' },
  { flags: '--tls-ca <file>', about: 'authority of its certificate, PEM' },
  {
    flags: '--timeout <ms>',
    about: `milliseconds to wait for an answer, ${TIMEOUT_MS} if not given`,
    parse: (text) => wholeNumber(text, 1, 600_000),
  },
  jsonSetting,
];

export function connectRemote(options: Partial<RemoteOptions>, io: Io): RestClient {
  return new RestClient(
    {
      server: options.server ?? parseServer('http://127.0.0.1:7480'),
      token: options.token === undefined ? undefined : checkToken(options.token),
      ca: options.tlsCa === undefined ? undefined : readText(options.tlsCa, '--tls-ca'),
      timeoutMs: options.timeout ?? TIMEOUT_MS,
    },
    io.clock,
  );
}

/** A file's text. Throws `invalid_configuration` naming the flag that named the file. */
export function readText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MeshError('invalid_configuration', `${flag} ${path} can not be read: ${messageOf(error)}`);
  }
}

function parseServer(text: string): URL {
  const wrong = 'write a URL, for example http://127.0.0.1:7480';
  if (!URL.canParse(text)) throw new Error(wrong);
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error(wrong);
  if (url.username !== '' || url.password !== '')
    throw new Error('put the token into --token, not into the URL');
  url.search = '';
  url.hash = '';
  return url;
}

/** Checked here and not where options are parsed, since a message about an option repeats its value. */
function checkToken(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw usage('a token (--token, SWITCHGEAR_TOKEN) has no blanks and only ASCII characters');
}

export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new Error(`write a whole number from ${min} to ${max}`);
  return value;
}
