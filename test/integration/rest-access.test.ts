/** Who may do what: tokens and roles on both faces, TLS with and without client certificates, and that nothing tells a token. */

import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { TokenEntry } from '../../control-plane/index.js';
import { policy, type Running, restClient, startRest } from '../support/rest.js';

const pem = (name: string) => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));
const tokens: readonly TokenEntry[] = [
  { role: 'viewer', name: 'vic', token: 'tok-viewer-1' },
  { role: 'operator', name: 'ona', token: 'tok-operator-1' },
  { role: 'agent', name: 'fleet', token: 'tok-agent-1' },
];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const path = '/v1/policies/inv';

describe('tokens over REST', () => {
  let sg: Running;
  const lines: string[] = [];
  const log = (fields: object, message: string) => void lines.push(JSON.stringify(fields) + message);
  before(async () => {
    sg = await startRest({ tokens, logger: { debug: log, info: log, warn: log, error: log } });
  });
  after(() => sg.close());

  it('are asked for everywhere but by health, readiness and the page', async () => {
    for (const open of ['/healthz', '/readyz', '/openapi.json', '/docs', '/docs/static/swagger-ui.css'])
      expect((await sg.get(open)).status, open).to.equal(200);
    const { body } = await sg.get('/openapi.json');
    for (const [url, operations] of Object.entries(body.paths as Record<string, object>))
      for (const method of Object.keys(operations)) {
        if (['/healthz', '/readyz', '/openapi.json'].includes(url)) continue;
        const target = url.replace(/\{\w+\}/g, '1');
        const answer = await sg.send(method.toUpperCase(), target);
        expect(answer.status, `${method} ${target}`).to.equal(401);
        expect(answer.headers.get('www-authenticate')).to.equal('Bearer realm="switchgear"');
        expect(answer.body.code).to.equal('unauthenticated');
      }
    for (const [method, url] of [
      ['GET', '/nowhere'],
      ['PATCH', path],
      ['HEAD', '/v1/policies'],
    ] as const)
      expect((await sg.send(method, url)).status, `${method} ${url}`).to.equal(401);
  });

  it('let a viewer read, check and preview, and not write', async () => {
    const viewer = restClient(sg.url, bearer('tok-viewer-1'));
    for (const url of ['/v1/policies', '/v1/agents', '/v1/audit', '/metrics'])
      expect((await viewer.get(url)).status, url).to.equal(200);
    expect((await viewer.post('/v1/validate', policy('inv'))).status).to.equal(200);
    expect((await viewer.put(`${path}?dryRun=true`, policy('inv'))).status).to.equal(200);
    for (const answer of [
      await viewer.put(path, policy('inv')),
      await viewer.put(`${path}?dryRun=false`, policy('inv')),
      await viewer.put(`${path}?dryRun=true&dryRun=true`, policy('inv')),
      await viewer.delete(path),
      await viewer.post('/v1/apply', policy('inv')),
      await viewer.post(`${path}/rollback`, { to: 1 }),
    ]) {
      expect(answer.status).to.equal(403);
      expect(answer.body.code).to.equal('permission_denied');
      expect(answer.body.detail).to.include('vic').and.include('operator');
    }
  });

  it('let an operator write, and put the name into audit and history', async () => {
    const operator = restClient(sg.url, bearer('tok-operator-1'));
    expect((await operator.put(path, policy('inv'))).status).to.equal(201);
    expect((await operator.get('/v1/audit')).body.entries[0]).to.include({ author: 'ona', action: 'put' });
    expect((await operator.get(`${path}/revisions`)).body.revisions[0].author).to.equal('ona');
  });

  it('let an agent do nothing here', async () => {
    expect((await sg.get('/v1/policies', bearer('tok-agent-1'))).status).to.equal(403);
  });

  it('refuse before the body is read', async () => {
    const answer = await sg.put(path, `# ${'x'.repeat(2_000_000)}`, bearer('tok-wrong'));
    expect(answer.status).to.equal(401);
  });

  it('are told by no answer and no line of the log', async () => {
    const answer = await sg.get('/v1/policies?token=tok-guess-1', bearer('tok-guess-2'));
    expect(answer.status).to.equal(401);
    expect(answer.text + [...answer.headers].join() + lines.join()).not.to.match(/tok-/);
  });

  it('keep the keys of one author apart from those of another', async () => {
    const other: TokenEntry = { role: 'operator', name: 'otto', token: 'tok-operator-2' };
    const both = await startRest({ tokens: [...tokens, other] });
    try {
      const key = { 'idempotency-key': 'k' };
      const one = await both.put('/v1/policies/a', policy('a'), { ...key, ...bearer('tok-operator-1') });
      const two = await both.put('/v1/policies/b', policy('b'), { ...key, ...bearer('tok-operator-2') });
      expect([one.status, two.status]).to.deep.equal([201, 201]);
    } finally {
      await both.close();
    }
  });

  for (const [what, headers, code] of [
    ['no token', {}, status.UNAUTHENTICATED],
    ['an unknown token', bearer('tok-guess'), status.UNAUTHENTICATED],
    ["an operator's token", bearer('tok-operator-1'), status.PERMISSION_DENIED],
  ] as const)
    it(`keep a stream with ${what} out`, async () => {
      expect((await session(sg.plane.grpcAddress, headers)).code).to.equal(code);
    });

  it("let a stream with an agent's token in", async () => {
    const { code, details } = await session(sg.plane.grpcAddress, bearer('tok-agent-1'));
    expect(code, details).not.to.be.oneOf([status.UNAUTHENTICATED, status.PERMISSION_DENIED]);
  });
});

/** Opens a session and says something that is no Hello: how it ends tells whether it was let in. */
function session(
  address: string,
  headers: Record<string, string>,
): Promise<{ code: number; details: string }> {
  const client = new Client(address, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const same = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest('/switchgear.v1.Agents/Session', same, same, metadata);
  return new Promise((resolve) => {
    call.on('data', () => {});
    call.on('error', () => {});
    call.on('status', (ended) => {
      client.close();
      resolve(ended);
    });
    call.write(Buffer.from([0x32, 0x00]));
  });
}

describe('TLS over REST', () => {
  const tls = { cert: pem('cert'), key: pem('key') };

  /** The status of GET /healthz, or the code of what went wrong below HTTP. */
  function get(url: string, options: RequestOptions): Promise<number | string | undefined> {
    return new Promise((resolve) => {
      request(`${url}/healthz`, { ca: readFileSync(tls.cert), agent: false, ...options }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
        .end();
    });
  }

  it('serves https to whoever trusts its certificate, and nothing in clear text', async () => {
    const sg = await startRest({ tls });
    try {
      expect(sg.plane.restUrl).to.match(/^https:\/\/127\.0\.0\.1:\d+$/);
      expect(await get(sg.plane.restUrl, {})).to.equal(200);
      expect(await get(sg.plane.restUrl, { ca: [] })).to.be.a('string');
      const clear = await fetch(`${sg.plane.restUrl.replace('https', 'http')}/healthz`).catch(
        () => 'refused',
      );
      expect(clear).to.equal('refused');
    } finally {
      await sg.close();
    }
  });

  it('with an authority takes clients without a certificate and those with one of it, and no others', async () => {
    const sg = await startRest({ tls: { ...tls, ca: pem('client-cert') } });
    const identity = (name: string) => ({
      cert: readFileSync(pem(`${name}cert`)),
      key: readFileSync(pem(`${name}key`)),
    });
    try {
      expect(await get(sg.plane.restUrl, {})).to.equal(200);
      expect(await get(sg.plane.restUrl, identity('client-'))).to.equal(200);
      expect(await get(sg.plane.restUrl, identity(''))).to.be.a('string');
    } finally {
      await sg.close();
    }
  });

  it('listens beyond loopback with TLS and a token file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sg-access-'));
    const tokenFile = join(directory, 'tokens');
    await writeFile(tokenFile, 'viewer vic tok-viewer-1\n');
    const sg = await startRest({ rest: '0.0.0.0:0', tls, tokenFile });
    try {
      expect(sg.plane.restUrl).to.match(/^https:\/\/127\.0\.0\.1:\d+$/);
      expect(await get(sg.plane.restUrl, {})).to.equal(200);
    } finally {
      await sg.close();
      await rm(directory, { recursive: true });
    }
  });
});
