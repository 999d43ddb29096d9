/**
 * What an HTTP answer says of its callee. 5xx and 429 are failures, every other status is a success *of the callee*; an answer
 * that carries `switchgear-reject` was shed by a policy of its own and counts neither way. A policy's `classify` has the last
 * word, by HTTP status first, then by the gRPC status that it reads as. Pure.
 */
import type { ClassifySpec } from '../../core/policy/model.js';
import type { Outcome } from '../../core/resilience/outcome.js';
import type { Judgement } from '../guarded-function.js';

/** gRPC's names, for the policy's `retry.on`: google.rpc's mapping, and 502, which is a proxy's word for UNAVAILABLE. */
const names: { readonly [status: number]: string } = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  408: 'DEADLINE_EXCEEDED',
  409: 'ABORTED',
  412: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** Beyond that nobody waits for a retry: a callee that asks for more is not retried. */
const RETRY_AFTER_MAX_MS = 30_000;
/** No wait, which the engine reads as "don't". */
const STOP = '-1';

type Header = (name: string) => string | null | undefined;

/** Undefined: a success, nothing special. `wallNow`: what a date in `retry-after` is taken relative to. */
export function judgeAnswer(
  status: number,
  header: Header,
  classify: ClassifySpec | undefined,
  wallNow: number,
): Judgement | undefined {
  const rejected = header('switchgear-reject');
  const name = names[status] ?? (status >= 400 ? 'UNKNOWN' : 'OK');
  if (rejected !== null && rejected !== undefined && rejected !== '')
    return { outcome: 'neutral', status: name, shed: true, pushback: [], text: `shed the call (${status})` };
  const usual: Outcome = status >= 500 || status === 429 ? 'failure' : 'success';
  const outcome = classified(classify, String(status)) ?? classified(classify, name) ?? usual;
  if (outcome === 'success') return undefined;
  const pushback = pushbackOf(header('retry-after'), wallNow);
  return { outcome, status: name, shed: false, pushback, text: `answered ${status}` };
}

function classified(classify: ClassifySpec | undefined, word: string): Outcome | undefined {
  return classify && Object.hasOwn(classify, word) ? classify[word] : undefined;
}

/** `Retry-After` in seconds or as a date. What is neither is as if it weren't there: in HTTP it may be anything. */
function pushbackOf(value: string | null | undefined, wallNow: number): readonly string[] {
  if (value === null || value === undefined) return [];
  const text = value.trim();
  let ms = Number.NaN;
  if (/^\d{1,9}$/.test(text)) ms = Number(text) * 1_000;
  else if (/^[A-Z][a-z]{2,8},? /.test(text)) ms = Math.max(0, Date.parse(text) - wallNow);
  if (!Number.isFinite(ms)) return [];
  return [ms > RETRY_AFTER_MAX_MS ? STOP : String(Math.ceil(ms))];
}
