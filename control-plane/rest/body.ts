/**
 * Bodies on their way in: bytes, then text, then what the parser makes of it. Only JSON and YAML in plain UTF-8 are let in, up to
 * 1 MiB; every other content type is refused unread, which also keeps forms of foreign web pages out (they can't send these
 * types). The parser that reads files and the wire reads bodies too.
 */
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { type Issue, MeshError, messageOf } from '../../core/errors.js';
import type { Policy } from '../../core/policy/model.js';
import { type Form, type ReadOptions, readPolicies } from '../documents.js';
import { repeatedKeys } from '../json-text.js';
import { readYaml } from '../yaml-text.js';
import type { App } from './context.js';
import { read, summaryOf } from './parameters.js';
import { acceptedTypes } from './problem.js';

export const BODY_SIZE_MAX = 1024 * 1024;

const forms: Readonly<Record<string, Form>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/x-yaml': 'yaml',
  'text/yaml': 'yaml',
  'text/x-yaml': 'yaml',
};

interface TextBody {
  readonly form: Form;
  readonly text: string;
}

/** Sets how the application reads bodies: as text whose form is known, and nothing else. */
export function acceptTexts(app: App): void {
  app.removeAllContentTypeParsers();
  for (const [type, form] of Object.entries(forms))
    app.addContentTypeParser(type, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
      refuseEncoding(request);
      return { form, text: decode(body) } satisfies TextBody;
    });
}

/** All policies of the body. Throws `invalid_request` (no text) and `invalid_policy` with all issues. */
export function readBodyPolicies(request: FastifyRequest): readonly Policy[] {
  return readAll(request, {});
}

/** The one policy of the body, which is called `name`, or gets this name if it has none. Throws as `readBodyPolicies`. */
export function readBodyPolicy(request: FastifyRequest, name: string): Policy {
  const [policy] = readAll(request, { name });
  if (policy) return policy;
  throw new MeshError('internal', 'the parser answered no policy and no issue');
}

/** A body that is no policy, by its schema. Throws `invalid_request`. */
export function readBodyFields<S extends z.ZodObject>(request: FastifyRequest, schema: S): z.output<S> {
  const { form, text } = textOf(request);
  return read(schema, form === 'json' ? parseJson(text) : parseYaml(text), '');
}

/** A body that is a document and no policy, by its own parser. Throws `invalid_request` (no text) and `invalid_policy` with all issues. */
export function readBodyDocument<R extends { readonly ok: boolean; readonly issues?: readonly Issue[] }>(
  request: FastifyRequest,
  parse: (value: unknown) => R,
): Extract<R, { readonly ok: true }> {
  const { form, text } = textOf(request);
  const value = form === 'json' ? parseJson(text) : parseYaml(text);
  const result = parse(value);
  const issues = [...(form === 'json' ? repeatedKeys(text) : []), ...(result.issues ?? [])];
  if (!result.ok || issues.length > 0) throw new MeshError('invalid_policy', summaryOf(issues), { issues });
  return result as Extract<R, { readonly ok: true }>;
}

function readAll(request: FastifyRequest, options: ReadOptions): readonly Policy[] {
  const { form, text } = textOf(request);
  if (form === 'json') parseJson(text);
  const result = readPolicies(text, { ...options, form });
  if (result.ok) return result.policies;
  throw new MeshError('invalid_policy', summaryOf(result.issues), {
    ...(options.name === undefined ? {} : { target: options.name }),
    issues: result.issues,
  });
}

function textOf({ body }: FastifyRequest): TextBody {
  if (typeof body === 'object' && body !== null && 'text' in body) return body as TextBody;
  throw new MeshError('invalid_request', `a body is needed: ${acceptedTypes}`, {
    issues: [{ path: '', message: 'the body is missing' }],
  });
}

/** What is no JSON at all is a fault of the request; what is JSON and no policy is the parser's to name. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(`is no JSON: ${messageOf(error)}`);
  }
}

function parseYaml(text: string): unknown {
  const documents = readYaml(text);
  const [fault] = documents.flatMap(({ faults }) => faults);
  if (fault) throw malformed(`is no YAML: ${fault.message} (line ${fault.line ?? 1})`);
  if (documents.length !== 1) throw malformed(`must hold one document; got ${documents.length}`);
  return documents[0]?.value;
}

function malformed(message: string): MeshError {
  return new MeshError('invalid_request', `the body ${message}`, { issues: [{ path: '', message }] });
}

function refuseEncoding({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding'];
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers['content-type'] ?? '')?.[1];
  const plain = encoding === undefined || encoding.toLowerCase() === 'identity';
  if (plain && (charset === undefined || /^(utf-?8|us-ascii)$/i.test(charset))) return;
  throw new MeshError('unsupported_media_type', acceptedTypes);
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformed('is no UTF-8');
  }
}
