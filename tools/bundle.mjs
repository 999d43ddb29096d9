// Puts what a service imports into a few files, after tsc: three hundred small ones cost it a tenth of a second.
// OpenTelemetry's API and the least of protobufjs go along; grpc-js does not, since there must be one for the whole process.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const ERRORS = `${root}dist/core/errors.js`;
const { peerDependencies } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));

rmSync(`${root}dist/light`, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    sdk: 'dist/sdk/index.js',
    agent: 'dist/agent/index.js',
    policy: 'dist/core/policy/index.js',
  },
  outdir: 'dist/light',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  mainFields: ['module', 'main'],
  external: [...Object.keys(peerDependencies), 'undici'],
  plugins: [
    {
      name: 'errors of the control plane and of the SDK are of one class',
      setup: ({ onResolve }) =>
        onResolve({ filter: /\/errors\.js$/ }, ({ path, resolveDir }) =>
          resolve(resolveDir, path) === ERRORS ? { path: '../core/errors.js', external: true } : undefined,
        ),
    },
  ],
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 120,
  legalComments: 'none',
  metafile: true,
});

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []),
);
const notices = [...packages].sort().map((name) => {
  const { version, license } = JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8'));
  const text = readFileSync(`${root}node_modules/${name}/LICENSE`, 'utf8');
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
});
writeFileSync(`${root}dist/light/NOTICES.txt`, notices.join(`\n${'-'.repeat(80)}\n\n`));
