/**
 * Rules about what we depend on: everything that is imported is declared, everything that is declared is used, every licence
 * is one we may ship, and nothing is older than its last known hole. Pure functions, like the other house rules.
 */
import { builtinModules } from 'node:module';
import { type Files, packageOf } from './rules.js';
import { scan } from './scan.js';

export interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly license?: unknown;
  readonly licenses?: unknown;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
}

const shipped = /^(core|proto|agent|sdk|control-plane|cli)\//;

/**
 * Shipped files import only dependencies and peers; each dependency is imported by a shipped file; each development
 * dependency by some other file, a script or the type checker.
 */
export function dependencies(files: Files, manifest: Manifest): string[] {
  const faults: string[] = [];
  const runtime = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.peerDependencies ?? {}),
  ]);
  const development = new Set(Object.keys(manifest.devDependencies ?? {}));
  const used = { shipped: new Set<string>(), other: new Set<string>() };
  for (const [path, source] of files) {
    if (!/\.(ts|mjs)$/.test(path)) continue;
    for (const { specifier, line, kind } of scan(source).references) {
      if (/^\.{1,2}\//.test(specifier) || specifier === manifest.name || kind === 'url') continue;
      const name = packageOf(specifier);
      if (name.startsWith('node:')) continue;
      if (builtinModules.includes(name)) {
        faults.push(`${path}:${line} imports ${name}: write node:${name}`);
        continue;
      }
      (shipped.test(path) ? used.shipped : used.other).add(name);
      if (shipped.test(path) ? !runtime.has(name) : !runtime.has(name) && !development.has(name))
        faults.push(
          `${path}:${line} imports ${name}, which package.json does not list among its dependencies`,
        );
    }
  }
  for (const name of runtime)
    if (!used.shipped.has(name)) faults.push(`package.json: nothing shipped imports ${name}; remove it`);
  const scripts = Object.values(manifest.scripts ?? {}).join('\n');
  for (const name of development) {
    if (runtime.has(name) || name.startsWith('@types/')) continue;
    const command = { '@biomejs/biome': 'biome', typescript: 'tsc' }[name] ?? name;
    if (!used.other.has(name) && !used.shipped.has(name) && !new RegExp(`\\b${command}\\b`).test(scripts))
      faults.push(`package.json: neither a test nor a script uses ${name}; remove it`);
  }
  return faults;
}

const licencesAllowed = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
  'PSF-2.0',
]);

/** `MIT`, `(MIT OR GPL-2.0)`, `MIT AND ISC`: OR needs one that is allowed, AND all. Without precedence beyond that. */
function licenceAllowed(expression: string): boolean {
  return expression
    .replace(/[()]/g, '')
    .split(/\s+OR\s+/)
    .some((side) => side.split(/\s+AND\s+/).every((name) => licencesAllowed.has(name.trim())));
}

export function licences(installed: readonly Manifest[]): string[] {
  const faults: string[] = [];
  for (const { name, version, license } of installed)
    if (typeof license !== 'string' || !licenceAllowed(license))
      faults.push(
        `${name}@${version}: licence ${JSON.stringify(license) ?? 'not stated'} is none of ${[...licencesAllowed].join(', ')}`,
      );
  return faults;
}

/** Versions below these had crashes or code execution from remote. */
export const minimumVersions: Readonly<Record<string, string>> = {
  '@grpc/grpc-js': '1.14.4',
  fastify: '5.8.5',
  protobufjs: '7.5.6',
};

export function versions(installed: readonly Manifest[], minimums = minimumVersions): string[] {
  const faults: string[] = [];
  for (const [name, minimum] of Object.entries(minimums)) {
    const found = installed.filter((manifest) => manifest.name === name);
    if (found.length === 0) faults.push(`${name} is not installed; run npm ci`);
    for (const { version = '' } of found)
      if (older(version, minimum))
        faults.push(`${name}@${version} is older than ${minimum}, which closed a remote hole; update it`);
  }
  return faults;
}

/** Numbers of a version compared from left to right; a pre-release of the minimum counts as older. */
function older(version: string, minimum: string): boolean {
  const [core = '', pre] = version.split('-', 2);
  const have = core.split('.').map(Number);
  const want = minimum.split('.').map(Number);
  for (let i = 0; i < want.length; i += 1) {
    const difference = (have[i] ?? 0) - (want[i] ?? 0);
    if (Number.isNaN(difference) || difference < 0) return true;
    if (difference > 0) return false;
  }
  return pre !== undefined;
}
