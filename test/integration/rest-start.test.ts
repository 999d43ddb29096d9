/** Starting and stopping: what refuses to start and how it says so, the policies of a directory, and an end that leaves nothing. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type ControlPlaneOptions, startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import type { MeshError } from '../../core/errors.js';
import { type Running, startRest } from '../support/rest.js';

const pem = (name: string) => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));

/** The error of a start that has to fail. */
async function refusal(options: ControlPlaneOptions): Promise<MeshError> {
  let running: Running;
  try {
    running = await startRest(options);
  } catch (error) {
    return error as MeshError;
  }
  await running.close();
  throw new Error('it started');
}

describe('starting a control plane', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sg-start-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('answers bare addresses on free ports, and who it is', async () => {
    const sg = await startRest({ mesh: 'shop' });
    try {
      expect(sg.plane.restUrl).to.match(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(sg.plane.grpcAddress).to.match(/^127\.0\.0\.1:\d+$/);
      expect(sg.plane).to.include({ mesh: 'shop', store: 'memory' });
      expect(sg.plane.replica).to.match(/^replica-[0-9a-f]{8}$/);
      expect((await sg.get('/readyz')).body).to.include({
        status: 'ready',
        mesh: 'shop',
        replica: sg.plane.replica,
      });
    } finally {
      await sg.close();
    }
  });

  it('takes localhost and IPv6', async () => {
    for (const [rest, url] of [
      ['localhost:0', /^http:\/\/127\.0\.0\.1:\d+$/],
      ['[::1]:0', /^http:\/\/\[::1\]:\d+$/],
    ] as const) {
      const sg = await startRest({ rest });
      try {
        expect(sg.plane.restUrl).to.match(url);
        expect((await sg.get('/healthz')).status).to.equal(200);
      } finally {
        await sg.close();
      }
    }
  });

  for (const flag of ['rest', 'grpc'] as const)
    it(`names the address and --${flag} when somebody has it, and closes what it had opened`, async () => {
      const other = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => other.once('listening', resolve));
      const address = `127.0.0.1:${(other.address() as { port: number }).port}`;
      const store = `embedded:${directory}`;
      try {
        const error = await refusal({ [flag]: address, store });
        expect(error.code).to.equal('address_in_use');
        expect(error.message).to.include(address).and.include(`--${flag}`);
      } finally {
        await new Promise((resolve) => other.close(resolve));
      }
      // The lock of the store is free again, and so is everything else.
      await (await startRest({ [flag]: address, store })).close();
    });

  for (const [what, options, words] of [
    ['an address that is none', { rest: 'here' }, ['--rest', 'host:port']],
    ['an address of another machine', { grpc: '192.0.2.1:0', insecure: true }, ['--grpc', '192.0.2.1:0']],
    ['a store that is none', { store: 'mysql://a' }, ['--store', 'embedded:DIR']],
    ['a mesh that can not be a key', { mesh: 'a{b}' }, ['--mesh']],
    ['a replica that can not be a name', { replica: 'a b' }, ['--replica']],
    ['a log level that is none', { logger: undefined, logLevel: 'loud' }, ['--log-level', 'silent']],
    [
      'loopback left without protection',
      { rest: '0.0.0.0:0' },
      ['--rest', '--tls-cert', '--token-file', '--insecure'],
    ],
    [
      'the streams left without protection',
      { grpc: '0.0.0.0:0' },
      ['--grpc', '--tls-cert', '--token-file', '--insecure'],
    ],
    [
      'tokens without TLS beyond loopback',
      { rest: '[::]:0', tokens: [{ role: 'viewer', name: 'v', token: 't' }] },
      ['--tls-cert'],
    ],
    [
      'TLS without tokens beyond loopback',
      { rest: '0.0.0.0:0', tls: { cert: pem('cert'), key: pem('key') } },
      ['--token-file'],
    ],
    ['no tokens', { tokens: [] }, ['tokens']],
    ['a token file that is not there', { tokenFile: '/nowhere/tokens' }, ['--token-file', '/nowhere/tokens']],
    [
      'a certificate that is not there',
      { tls: { cert: '/nowhere/c', key: pem('key') } },
      ['--tls-cert', '/nowhere/c'],
    ],
    ['a certificate that is none', { tls: { cert: pem('key'), key: pem('key') } }, ['--tls-cert']],
    ['a key that is none', { tls: { cert: pem('cert'), key: pem('cert') } }, ['--tls-key']],
    [
      'the key of another certificate',
      { tls: { cert: pem('cert'), key: pem('client-key') } },
      ['--tls-key', '--tls-cert'],
    ],
    [
      'an authority that is none',
      { tls: { cert: pem('cert'), key: pem('key'), ca: pem('key') } },
      ['--tls-ca'],
    ],
    [
      'a directory that is not there',
      { policiesDir: '/nowhere/policies' },
      ['--policies', '/nowhere/policies'],
    ],
  ] as [string, ControlPlaneOptions, string[]][])
    it(`refuses ${what}`, async () => {
      const error = await refusal(options);
      expect(error.code, error.message).to.equal('invalid_configuration');
      for (const word of words) expect(error.message).to.include(word);
    });

  it('names the line of a bad token file and shows no token', async () => {
    const tokenFile = join(directory, 'tokens');
    await writeFile(tokenFile, 'operator alice tok-secret-1\nroot bob tok-secret-2\n');
    const error = await refusal({ tokenFile });
    expect(error.code).to.equal('invalid_configuration');
    expect(error.message).to.include(`${tokenFile}:2`).and.not.include('tok-secret');
  });

  it('says aloud that it is insecure', async () => {
    const warnings: string[] = [];
    const logger = {
      ...silentLogger,
      warn: (_fields: object, message: string) => void warnings.push(message),
    };
    await (await startRest({ rest: '0.0.0.0:0', insecure: true, logger })).close();
    expect(warnings.join()).to.include('INSECURE');
  });

  describe('with the policies of a directory', () => {
    const write = (file: string, text: string) => writeFile(join(directory, file), text);

    it('applies all of its files in one step before anybody is served', async () => {
      await write('b.yaml', 'policy: two\nmatch: { to: b }\n---\npolicy: three\nmatch: { to: c }\n');
      await write('a.json', '{"policy":"one","match":{"to":"a"}}');
      await write('c.yml', '# only a comment\npolicy: four\nmatch: { to: d }\n');
      await write('.hidden.yaml', 'nonsense: [');
      await write('notes.txt', 'nonsense: [');
      await mkdir(join(directory, 'more'));
      const sg = await startRest({ policiesDir: directory });
      try {
        const { body } = await sg.get('/v1/policies');
        expect(body.policies.map(({ policy }: { policy: string }) => policy)).to.deep.equal([
          'four',
          'one',
          'three',
          'two',
        ]);
        const { entries } = (await sg.get('/v1/audit')).body;
        expect(entries).to.have.length(1);
        expect(entries[0]).to.include({ author: 'startup', action: 'apply' });
      } finally {
        await sg.close();
      }
    });

    it('keeps the revisions of what says the same already', async () => {
      await write('a.yaml', 'policy: one\nmatch: { to: a }\n');
      const store = `embedded:${join(directory, 'data')}`;
      for (let start = 0; start < 2; start++) {
        const sg = await startRest({ policiesDir: directory, store });
        expect((await sg.get('/v1/policies/one')).headers.get('etag')).to.equal('"1"');
        await sg.close();
      }
    });

    it('names every fault of every file, and does not start', async () => {
      await write('a.yaml', 'policy: one\nmatch: { to: a }\nspec: { timeout: 5 }\n');
      await write('b.json', '{"policy": ');
      await write('c.yaml', 'policy: two\nmatch: { to: a }\n');
      await write('d.yaml', 'policy: two\nmatch: { to: a }\n');
      await write('e.yaml', '# nothing in it\n');
      const error = await refusal({ policiesDir: directory });
      expect(error.code).to.equal('invalid_policy');
      const paths = error.issues?.map(({ path }) => path);
      expect(paths).to.deep.equal(['a.yaml: spec.timeout', 'b.json:', 'd.yaml: policy', 'e.yaml:']);
      expect(error.message).to.include('--policies');
    });
  });
});

describe('stopping a control plane', () => {
  it('refuses connections afterwards, and may be asked twice', async () => {
    const sg = await startRest();
    await Promise.all([sg.close(), sg.close()]);
    await sg.close();
    expect(await sg.get('/healthz').catch(() => 'refused')).to.equal('refused');
  });

  it('frees its store and its ports for the next', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sg-stop-'));
    try {
      const first = await startRest({ store: `embedded:${directory}` });
      const { restUrl, grpcAddress } = first.plane;
      const locked = await startControlPlane({
        rest: '127.0.0.1:0',
        grpc: '127.0.0.1:0',
        store: `embedded:${directory}`,
        logger: silentLogger,
      }).catch((error) => error);
      expect(locked.code).to.equal('store_locked');
      await first.close();
      const rest = restUrl.replace('http://', '');
      const second = await startRest({ store: `embedded:${directory}`, rest, grpc: grpcAddress });
      expect(second.plane).to.include({ restUrl, grpcAddress });
      await second.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
