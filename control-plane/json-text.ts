/**
 * Keys that a JSON text gives twice in one object. `JSON.parse` keeps the last and tells nobody, so a policy would say something
 * else than its author reads. One linear pass over text that `JSON.parse` has accepted.
 */

import type { Issue } from '../core/errors.js';
import { DEPTH_MAX, type Path, pathOf, quoted } from '../core/policy/plain.js';

interface Frame {
  /** Of an object; undefined: a list. */
  readonly keys: Set<string> | undefined;
  /** Where the next value goes: a key or an index. */
  at: string | number;
}

const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;
const ISSUES_MAX = 100;

export function repeatedKeys(json: string): Issue[] {
  const issues: Issue[] = [];
  const frames: Frame[] = [];
  let expectsKey = false;
  for (const [token] of json.matchAll(tokens)) {
    const frame = frames.at(-1);
    switch (token) {
      case '{':
      case '[':
        frames.push(token === '{' ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 });
        expectsKey = token === '{';
        break;
      case '}':
      case ']':
        frames.pop();
        expectsKey = false;
        break;
      case ',':
        if (typeof frame?.at === 'number') frame.at++;
        expectsKey = frame?.keys !== undefined;
        break;
      default:
        if (!expectsKey || !frame?.keys) break;
        expectsKey = false;
        frame.at = token.includes('\\') ? (JSON.parse(token) as string) : token.slice(1, -1);
        if (frame.keys.has(frame.at) && issues.length < ISSUES_MAX)
          issues.push({ path: placeOf(frames), message: `${quoted(frame.at)} is there twice` });
        frame.keys.add(frame.at);
    }
  }
  return issues;
}

function placeOf(frames: readonly Frame[]): string {
  const path: Path = frames.slice(0, DEPTH_MAX + 2).map(({ at }) => at);
  return pathOf(path);
}
