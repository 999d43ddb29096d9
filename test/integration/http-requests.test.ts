/**
 * Requests that are not the usual ones: a Request in the place of settings, HEAD, other schemes, redirects that lead elsewhere, and
 * a reader that throws.
 */
import { expect } from 'chai';
import { request } from 'undici';
import { withinContext } from '../../agent/context.js';
import { deadAddress, type HttpCallee, startHttpCallee } from '../support/http-callee.js';
import { httpTests } from '../support/http-tests.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('HTTP requests of other kinds', () => {
  const { callee, use, idle } = httpTests();
  let other: HttpCallee;

  beforeEach(async () => {
    other = await startHttpCallee((_request, response) => void response.end('elsewhere'));
  });
  afterEach(() => other.stop());

  const redirectTo = (location: string, status = 302) => {
    callee.answer = (_request, response) => void response.writeHead(status, { location }).end();
  };
  /** What this process answers carries a trace, and a weight. */
  const context = {
    deadlineAt: Number.POSITIVE_INFINITY,
    rank: 1,
    trace: [['traceparent', 'ours']],
  } as const;

  it('takes a Request in the place of settings, as fetch does', async () => {
    const { client } = use();
    const headers = { 'content-type': 'text/special', 'x-a': 'b' };
    const given = new Request('http://any.invalid/path', { method: 'PUT', headers, body: 'x' });
    expect((await client.fetch('payments', '/charge', given)).status).to.equal(200);
    expect(callee.requests[0]).to.include({ method: 'PUT', url: '/charge' });
    expect(callee.requests[0]?.headers).to.include(headers);
    expect(callee.bodies).to.deep.equal(['x']);
    // A body can be read once.
    expect(await rejectionOf(client.fetch('payments', '/charge', given))).to.be.instanceOf(TypeError);
    expect(callee.requests).to.have.length(1);
  });

  it('ends with the signal of a Request', async () => {
    callee.answer = () => {};
    const bench = use();
    const controller = new AbortController();
    const given = new Request('http://any.invalid/', { signal: controller.signal });
    const asked = rejectionOf(bench.client.fetch('payments', '/', given));
    await until(() => callee.requests.length === 1, { what: 'the request' });
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await asked).to.equal(reason);
    await idle(bench);
  });

  it('gives no body in answer to HEAD, whatever a policy falls back to', async () => {
    callee.answer = (_request, response) => void response.writeHead(503).end();
    for (const [name, entry] of [
      ['static', { kind: 'static', value: { rate: 1 } }],
      ['handler', { kind: 'handler', name: 'last' }],
    ] as const) {
      const bench = use({ fallback: [entry] });
      bench.targets.handlers.set('last', () => new Response('last'));
      const dispatcher = bench.client.dispatcher('payments');
      const response = await bench.client.fetch('payments', '/', { method: 'HEAD' });
      expect(response.headers.get('switchgear-degraded')).to.match(new RegExp(`^${name}; `));
      expect([response.status, response.body]).to.deep.equal([200, null]);
      if (name === 'handler') continue;
      const { headers, body } = await request('http://payments/', { dispatcher, method: 'HEAD' });
      expect(headers).to.have.property('switchgear-degraded');
      expect(await body.text()).to.equal('');
      await idle(bench);
    }
  });

  it('refuses to send in the clear what is meant for TLS', async () => {
    const bench = use();
    const dispatcher = bench.client.dispatcher('payments');
    const refusal = {
      code: 'invalid_configuration',
      message:
        '[invalid_configuration] dispatcher: the URL begins with https://payments, and instances of payments are called in plain HTTP: write http://payments',
    };
    expect(await rejectionOf(request('https://payments/x', { dispatcher }))).to.include(refusal);
    const ours = { dispatcher: dispatcher as never };
    expect(((await rejectionOf(fetch('https://payments/x', ours))) as Error).cause).to.include(refusal);
    const { statusCode, body } = await dispatcher.request({ path: '/', method: 'GET' });
    await body.dump();
    expect(statusCode).to.equal(200);
    expect(callee.requests).to.have.length(1);
    await idle(bench);
  });

  it('follows a redirect elsewhere as fetch does, and keeps the mesh’s own headers from there', async () => {
    const bench = use({ timeout: 800 });
    redirectTo(`http://${other.address}/away`);
    const headers = { 'x-a': 'b' };
    const ask = (more = {}) =>
      withinContext(context, () => bench.client.fetch('payments', '/', { headers: { ...headers, ...more } }));
    expect(await (await ask()).text()).to.equal('elsewhere');
    const own = ['x-switchgear-deadline-ms', 'switchgear-criticality', 'traceparent'];
    expect(callee.requests[0]?.headers).to.include.keys(...own, 'x-a');
    expect(other.requests[0]?.headers)
      .to.include(headers)
      .and.not.have.any.keys(...own);
    // What the caller has set is the caller's.
    await (await ask({ traceparent: 'mine' })).text();
    expect(other.requests[1]?.headers).to.include({ traceparent: 'mine' });
    await idle(bench);
  });

  it('sends all of them where a redirect leads to an instance', async () => {
    const bench = use({ timeout: 800 }, [callee.address, other.address]);
    redirectTo(`http://${other.address}/there`);
    for (let i = 0; i < 2; i++)
      expect(await (await bench.client.fetch('payments', '/')).text()).to.equal('elsewhere');
    for (const { headers } of other.requests) expect(headers).to.include.keys('x-switchgear-deadline-ms');
    await idle(bench);
  });

  it('sends nothing a second time because a redirect leads to where nobody is', async () => {
    const backoff = { baseMs: 1, maxMs: 1 };
    const bench = use({ retry: { attempts: 3, on: ['UNAVAILABLE'], backoff, budget: 1 } }, [
      callee.address,
      callee.address.replace('127.0.0.1', 'localhost'),
    ]);
    redirectTo(`http://${await deadAddress()}/`, 303);
    const asked = bench.client.fetch('payments', '/', { method: 'POST', body: 'x' });
    expect(((await rejectionOf(asked)) as Error).cause).to.have.property('code', 'ECONNREFUSED');
    expect(callee.bodies).to.deep.equal(['x']);
    await idle(bench);
  });

  it('tells who throws at an upgrade, and closes its connection', async () => {
    callee.answer = (incoming) =>
      void incoming.socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n',
      );
    const bench = use();
    const error = new Error('not like that');
    const heard = await new Promise((resolve) => {
      bench.client.dispatcher('payments').dispatch(
        { path: '/', method: 'GET', upgrade: 'echo' },
        {
          onRequestStart: () => {},
          onRequestUpgrade: () => {
            throw error;
          },
          onResponseError: (_controller, fault) => resolve(fault),
        },
      );
    });
    expect(heard).to.equal(error);
    await idle(bench);
    await until(() => callee.sockets.size === 0, { what: 'the end of the connection' });
  });
});
