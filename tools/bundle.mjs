// Puts what a service imports into a few files, after tsc: three hundred small ones cost it a tenth of a second.
// OpenTelemetry's API goes along; grpc-js does not, since there must be one for the whole process. Rolldown, since it leaves top-level
// constants and classes as they are: with `var` in their place, as others make of them, a call costs some 5 % more.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const ERRORS = `${root}dist/core/errors.js`;
const { peerDependencies } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));

rmSync(`${root}dist/light`, { recursive: true, force: true });
const { output } = await build({
  cwd: root,
  input: {
    sdk: 'dist/sdk/index.js',
    agent: 'dist/agent/index.js',
    policy: 'dist/core/policy/index.js',
  },
  platform: 'node',
  external: [...Object.keys(peerDependencies), 'undici'],
  plugins: [
    {
      name: 'errors of the control plane and of the SDK are of one class',
      resolveId: (id, importer) =>
        importer && id.endsWith('/errors.js') && resolve(dirname(importer), id) === ERRORS
          ? { id: '../core/errors.js', external: true }
          : undefined,
    },
  ],
  // Lines stay as they are: Node prints the line that an error comes from.
  output: { dir: 'dist/light', format: 'esm', comments: false },
  logLevel: 'warn',
});

const packages = new Set(
  output.flatMap(({ moduleIds = [] }) =>
    moduleIds.flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
  ),
);
const notices = [...packages].sort().map((name) => {
  const { version, license } = JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8'));
  const text = readFileSync(`${root}node_modules/${name}/LICENSE`, 'utf8');
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
});
writeFileSync(`${root}dist/light/NOTICES.txt`, notices.join(`\n${'-'.repeat(80)}\n\n`));
