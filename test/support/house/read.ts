/**
 * Reads the repository for the house rules: our own source files, the manifest with what it names as entries, and the
 * manifests of everything installed. The only part of the house rules that touches the disk.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Manifest } from './packages.js';
import { type Files, rooms } from './rules.js';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Rooms, and what stands beside them. */
const folders = [...Object.keys(rooms), 'tools'];

export function readFiles(): Files {
  const files = new Map<string, string>();
  for (const folder of folders) {
    if (!existsSync(join(root, folder))) continue;
    for (const entry of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      const path = join(root, folder, entry);
      if (/\.(ts|mts|mjs|lua|proto)$/.test(entry) && statSync(path).isFile())
        files.set(relative(root, path).split(sep).join(posix.sep), readFileSync(path, 'utf8'));
    }
  }
  return files;
}

function json(path: string): Manifest & { exports?: unknown; bin?: Record<string, string> } {
  return JSON.parse(readFileSync(path, 'utf8'));
}

export function readManifest(): Manifest {
  return json(join(root, 'package.json'));
}

/** The sources behind the exports map, by their types, and the bin: `./dist/sdk/index.d.ts` → `sdk/index.ts`. */
export function readEntries(): string[] {
  const { exports = {}, bin = {} } = json(join(root, 'package.json'));
  const targets = Object.values(exports as Record<string, string | { types?: string }>).map((target) =>
    typeof target === 'string' ? target : (target.types ?? ''),
  );
  return [...targets, ...Object.values(bin)]
    .map((target) => target.replace(/^\.\//, ''))
    .filter((target) => target.startsWith('dist/') && /\.(js|d\.ts)$/.test(target))
    .map((target) => target.replace(/^dist\//, '').replace(/\.(js|d\.ts)$/, '.ts'));
}

/** Every package under node_modules, nested ones as well. */
export function readInstalled(folder = join(root, 'node_modules')): Manifest[] {
  const found: Manifest[] = [];
  for (const name of readdirSync(folder)) {
    if (name.startsWith('.')) continue;
    if (name.startsWith('@')) {
      found.push(...readInstalled(join(folder, name)));
      continue;
    }
    const manifest = join(folder, name, 'package.json');
    if (existsSync(manifest)) found.push(json(manifest));
    if (existsSync(join(folder, name, 'node_modules')))
      found.push(...readInstalled(join(folder, name, 'node_modules')));
  }
  return found;
}
