/**
 * What `import 'switchgear'` loads, as Node sees it in a process of its own with the built package: the house rule on `sdk/` reads
 * our sources only, and knows nothing of what a dependency pulls in.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HEAVY = ['fastify', 'ioredis', 'pino', 'zod'];
/** What of these it needs is in its own files. */
const INSIDE = ['@opentelemetry/api', 'protobufjs', '@grpc/proto-loader'];
const run = promisify(execFile);

/** Every module that the hook is asked to load; written at once, since the hook lives in a thread of its own. */
const HOOK = `
import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  writeSync(1, url + '\\n');
  return next(url, context);
}`;

/** The packages that importing `specifiers` in turn loads, whether by import or by require. */
async function loaded(...specifiers: string[]): Promise<Set<string>> {
  const text = `
import { createRequire, register } from 'node:module';
register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(HOOK))});
for (const specifier of ${JSON.stringify(specifiers)}) await import(specifier);
console.log(Object.keys(createRequire(process.cwd() + '/')('node:module')._cache).join('\\n'));`;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', text], {
    cwd: ROOT,
    env,
    timeout: 15_000,
    maxBuffer: 2 ** 24,
  });
  const packages = [...stdout.matchAll(/.*\/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//g)];
  const own = stdout.includes('/dist/light/sdk.js') ? ['switchgear'] : [];
  return new Set([...own, ...packages.map((match) => match[1] as string)]);
}

describe('import of the SDK', () => {
  it('loads grpc-js, and neither a web server nor a Redis client nor a logger', async () => {
    const packages = await loaded('switchgear');
    expect([...packages]).to.include.members(['switchgear', '@grpc/grpc-js']);
    expect([...HEAVY, ...INSIDE].filter((name) => packages.has(name))).to.deep.equal([]);
  });

  for (const name of [...HEAVY, ...INSIDE]) {
    it(`would be seen to load ${name}`, async () => {
      expect([...(await loaded('switchgear', name))]).to.include(name);
    });
  }

  it('has the errors of the control plane and of policies be of the class that it exports', async () => {
    const text = `
const { connect, MeshError } = await import('switchgear');
const { startControlPlane } = await import('switchgear/control-plane');
const refusal = (made) => made.then(() => undefined, (error) => error);
const errors = [await refusal(connect({ servise: 'x' })), await refusal(startControlPlane({ rest: 'nowhere:port' }))];
console.log(JSON.stringify(errors.map((error) => [error instanceof MeshError, error?.name])));
process.exit(0);`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', text], {
      cwd: ROOT,
      timeout: 15_000,
    });
    expect(JSON.parse(stdout)).to.deep.equal([
      [true, 'MeshError'],
      [true, 'MeshError'],
    ]);
  });
});
