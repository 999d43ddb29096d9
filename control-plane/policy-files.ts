/**
 * `--policies DIR`: the files of a directory, applied in one write before anybody is served. All faults of all files come at once,
 * each with its file; with one of them nothing is written and nothing starts. What the files don't name stays as it is.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Issue, MeshError, messageOf } from '../core/errors.js';
import type { Policy } from '../core/policy/model.js';
import type { Random } from '../core/random.js';
import { DOCUMENTS_MAX, readPolicies } from './documents.js';
import type { Mirror } from './ports.js';
import type { Logger } from './telemetry/logger.js';

const FILE = /^[^.].*\.(yaml|yml|json)$/i;
const FILE_SIZE_MAX = 1024 * 1024;
/** The author of these writes in the audit. */
const AUTHOR = 'startup';

/**
 * The policies of all `.yaml`, `.yml` and `.json` files directly in the directory, by file name. Throws `invalid_configuration` (the
 * directory or a file can't be read) and `invalid_policy` with an issue for each fault, its path `file: path`.
 */
export async function readPolicyFiles(directory: string): Promise<readonly Policy[]> {
  const policies: Policy[] = [];
  const issues: Issue[] = [];
  const fileOf = new Map<string, string>();
  for (const file of await list(directory)) {
    const text = await readText(join(directory, file));
    const result = text.length > FILE_SIZE_MAX ? tooLarge : readPolicies(text, formOf(file));
    if (!result.ok) {
      for (const { path, message } of result.issues) issues.push({ path: placed(file, path), message });
      continue;
    }
    for (const policy of result.policies) {
      const other = fileOf.get(policy.name);
      if (other !== undefined)
        issues.push({ path: placed(file, 'policy'), message: `"${policy.name}" is in ${other} already` });
      fileOf.set(policy.name, file);
      policies.push(policy);
    }
  }
  if (policies.length > DOCUMENTS_MAX)
    issues.push({
      path: directory,
      message: `must hold at most ${DOCUMENTS_MAX} policies; got ${policies.length}`,
    });
  if (issues.length === 0) return policies;
  const text = issues.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new MeshError('invalid_policy', `the files of ${directory} (--policies) are not right: ${text}`, {
    issues,
  });
}

/** Writes them all or nothing; unchanged ones keep their revision. Throws what the store throws. */
export async function applyPolicies(
  mirror: Mirror,
  policies: readonly Policy[],
  { logger, random }: { logger: Logger; random: Random },
): Promise<void> {
  const { outcomes } = await mirror.write({
    requestId: random.hex(16),
    author: AUTHOR,
    action: 'apply',
    operations: policies.map(({ name, document }) => ({ kind: 'put', name, document, expected: 'any' })),
  });
  const changed = outcomes.filter((outcome) => outcome.changed).map(({ name }) => name);
  logger.info({ policies: outcomes.length, changed }, 'applied the policies of the directory');
}

const tooLarge = { ok: false, issues: [{ path: '', message: 'is larger than 1 MiB' }] } as const;

async function list(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((file) => FILE.test(file)).sort();
  } catch (error) {
    throw new MeshError(
      'invalid_configuration',
      `the directory ${directory} (--policies) can't be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new MeshError('invalid_configuration', `${path} (--policies) can't be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function formOf(file: string): { form: 'json' | 'yaml' } {
  return { form: file.toLowerCase().endsWith('.json') ? 'json' : 'yaml' };
}

function placed(file: string, path: string): string {
  return path === '' ? `${file}:` : `${file}: ${path}`;
}
