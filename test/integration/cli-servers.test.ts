/**
 * The command line before servers that are no control plane, or one in trouble: each gets its words and its exit code, and none
 * steers the terminal.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { runCli } from '../support/cli.js';

describe('the command line with something else on the other end', () => {
  let server: Server;
  let url: string;
  let answer: (path: string) => { status: number; body: string; headers?: Record<string, string> };

  before((done) => {
    server = createServer((request, response) => {
      const { status, body, headers } = answer(request.url ?? '');
      if (status === 0) return;
      response.writeHead(status, headers).end(body);
    }).listen(0, '127.0.0.1', () => {
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      done();
    });
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const get = (...more: string[]) => runCli(['get', 'policies', '--server', url, ...more]);

  it('says that an answer is not JSON', async () => {
    answer = () => ({ status: 200, body: '<html>' });
    const { code, stderr } = await get();
    expect(code).to.equal(1);
    expect(stderr).to.include('not JSON').and.to.include('--server');
  });

  it("takes a proxy's page for what its status says", async () => {
    for (const [status, code] of [
      [401, 7],
      [403, 7],
      [404, 6],
      [502, 3],
      [503, 3],
      [500, 1],
      [400, 4],
    ] as const) {
      answer = () => ({ status, body: '<h1>nope</h1>' });
      expect((await get()).code, String(status)).to.equal(code);
    }
  });

  it('gives up after --timeout', async () => {
    answer = () => ({ status: 0, body: '' });
    const { code, stderr } = await get('--timeout', '50');
    expect(code).to.equal(3);
    expect(stderr).to.include('within 50 ms');
  });

  it('never lets an answer steer the terminal', async () => {
    const policies = [
      { policy: 'a\u001b[2Jb', revision: 1, match: { to: 'x' }, mode: 'enforce', document: {} },
    ];
    answer = () => ({ status: 200, body: JSON.stringify({ policies }) });
    const { stdout } = await get();
    expect(stdout).to.include('a [2Jb').and.not.to.include('\u001b');
  });

  it('says when an answer came from memory', async () => {
    answer = () => ({ status: 200, body: '{"policies":[]}', headers: { 'switchgear-stale': 'true' } });
    expect((await get()).stderr).to.include('the store is away');
  });

  it('sends the token', async () => {
    let seen: string | undefined;
    server.once('request', (request) => {
      seen = request.headers.authorization;
    });
    answer = () => ({ status: 200, body: '{"policies":[]}' });
    await get('--token', 'abc');
    expect(seen).to.equal('Bearer abc');
  });

  it('says that a server speaks no TLS', async () => {
    const { code, stderr } = await runCli(['get', 'policies', '--server', url.replace('http:', 'https:')]);
    expect(code).to.equal(3);
    expect(stderr).to.include('it does not speak TLS').and.to.include(`try ${url}`);
  });
});
