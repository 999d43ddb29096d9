/**
 * JSON or YAML out: every resource under /v1 is given in the form that `Accept` prefers, JSON if it doesn't care. The full
 * preference language of RFC 9110 (quality, wildcards, the more specific range wins), for the two types we have.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { stringify } from 'yaml';
import { MeshError } from '../../core/errors.js';
import type { Form } from '../documents.js';

const names: Record<Form, readonly string[]> = {
  json: ['application/json'],
  yaml: ['application/yaml', 'text/yaml', 'application/x-yaml', 'text/x-yaml'],
};

/** The form to answer in; of equally good ones the first offered. Throws `not_acceptable`. */
export function formOf(accept: string | undefined, offered: readonly Form[] = ['json', 'yaml']): Form {
  if (accept === undefined || accept.trim() === '') return offered[0] ?? 'json';
  const ranges = accept.slice(0, 2048).split(',').map(rangeOf);
  let best: { form: Form; rank: number } | undefined;
  for (const form of offered) {
    const rank = Math.max(...names[form].map((name) => rankOf(name, ranges)));
    if (rank > (best?.rank ?? 0)) best = { form, rank };
  }
  if (best) return best.form;
  throw new MeshError(
    'not_acceptable',
    `this comes as ${offered.map((form) => names[form][0]).join(' or ')}`,
  );
}

/** Sends a value in the form that was settled before the work began, so that nobody's write ends in a 406. */
export function answer(request: FastifyRequest, reply: FastifyReply, value: object): FastifyReply {
  if (request.form === 'yaml')
    return answerYaml(reply, stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }));
  return sendText(reply, 'application/json', JSON.stringify(value));
}

/** Sends text that is YAML already. */
export function answerYaml(reply: FastifyReply, text: string): FastifyReply {
  return sendText(reply, 'application/yaml', text);
}

function sendText(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply
    .header('vary', 'accept')
    .serializer((payload: unknown) => payload as string)
    .type(`${type}; charset=utf-8`)
    .send(text);
}

interface Range {
  readonly name: string;
  readonly quality: number;
}

function rangeOf(text: string): Range {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const quality = q === undefined ? 1 : Number(q);
  return { name, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** Quality first, then how exactly the type was named: YAML beside a wildcard wants YAML. 0: not acceptable. */
function rankOf(name: string, ranges: readonly Range[]): number {
  for (const [pattern, exactness] of [
    [name, 0.0002],
    [`${name.split('/')[0]}/*`, 0.0001],
    ['*/*', 0],
  ] as const) {
    const range = ranges.find((candidate) => candidate.name === pattern);
    if (range) return range.quality === 0 ? 0 : range.quality + exactness;
  }
  return 0;
}
