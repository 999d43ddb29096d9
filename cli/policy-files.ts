/**
 * Files of policies, read and checked before anything is sent, by the parser that the control plane itself uses. Each policy
 * keeps its file: what is found here, and what the control plane finds beyond that, is told as file, path and what would be right.
 */
import { readPolicies } from '../control-plane/documents.js';
import { type Issue, MeshError } from '../core/errors.js';
import { capabilities } from '../core/policy/capabilities.js';
import { parseDocument, unmet } from '../core/policy/index.js';
import { idleInbound } from '../core/policy/notes.js';
import type { FileIssue } from './errors.js';
import { readSources } from './files.js';
import type { Io } from './io.js';
import { count, type Output, printable } from './output.js';
import type { RestClient } from './rest-client.js';

export interface PolicyInFile {
  readonly name: string;
  readonly file: string;
  /** Canonical JSON. */
  readonly document: string;
}

/** All policies that `-f` names. Throws `invalid_policy` with every fault of every file. */
export async function readPolicyFiles(
  paths: readonly string[] | undefined,
  io: Io,
): Promise<readonly PolicyInFile[]> {
  const found: PolicyInFile[] = [];
  const faults: FileIssue[] = [];
  const fileOf = new Map<string, string>();
  for (const { file, text } of await readSources(paths, io)) {
    const result = readPolicies(text, { form: /\.json$/i.test(file) ? 'json' : undefined });
    if (!result.ok) {
      faults.push(...result.issues.map((issue) => ({ file, ...issue })));
      continue;
    }
    for (const { name, document } of result.policies) {
      const first = fileOf.get(name);
      if (first !== undefined)
        faults.push({
          file,
          path: 'policy',
          message: `"${name}" is in ${first} too; a policy has one place`,
        });
      else fileOf.set(name, file);
      found.push({ name, file, document });
    }
  }
  if (faults.length > 0) throw refused(faults, '');
  return found;
}

/** Says on standard error what of them is valid and will not hold all the same: agents of this release refuse it, or it does nothing. */
export function warnOfUnmet(policies: readonly PolicyInFile[], output: Output): void {
  for (const { name, file, document } of policies) {
    const parsed = parseDocument(document);
    if (!parsed.ok) continue;
    const where = printable(`${file}: ${name}`);
    const lacking = unmet(parsed.policy, capabilities);
    if (lacking.length > 0)
      output.note(
        `warning: ${where} needs ${lacking.join(', ')}, which agents of this release can't enforce; they refuse it whole and keep what they had`,
      );
    const idle = idleInbound(parsed.policy);
    if (idle.length > 0)
      output.note(
        `warning: ${where} is for self, where only bulkhead and rateLimit are enforced; without effect there: ${idle.join(', ')}`,
      );
  }
}

/** Sends them as one list. A refusal names the files again. */
export async function sendDocuments<T>(
  client: RestClient,
  path: string,
  policies: readonly PolicyInFile[],
  query: Readonly<Record<string, string | undefined>>,
): Promise<T> {
  const body = `[${policies.map(({ document }) => document).join(',')}]`;
  try {
    return (await client.ask<T>(path, { method: 'POST', query, body })).body;
  } catch (error) {
    if (!(error instanceof MeshError) || error.issues === undefined || error.code !== 'invalid_policy')
      throw error;
    throw refused(
      error.issues.map((issue) => inFile(issue, policies)),
      '; nothing was written',
    );
  }
}

/** `[3].spec.timeout` of the list that was sent → the fourth policy's file, and the path in it. */
function inFile({ path, message }: Issue, policies: readonly PolicyInFile[]): Issue | FileIssue {
  const match = /^\[(\d+)\]\.?(.*)$/.exec(path);
  const policy = policies[Number(match?.[1])];
  if (!match || !policy) return { path, message };
  return { file: policy.file, path: `${policy.name}: ${match[2]}`, message };
}

function refused(faults: readonly Issue[], outcome: string): MeshError {
  return new MeshError('invalid_policy', `${count(faults.length, 'fault')}${outcome}`, { issues: faults });
}
